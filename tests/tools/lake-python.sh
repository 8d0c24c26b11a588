#!/usr/bin/env bash
# Readers of Parquet in Python: DuckDB and pyarrow. Installs both once and prints `READY COMMAND`, where COMMAND runs
# `lake-python/client.py` (see there).

. "$(dirname "$0")/../servers/install.sh"
cache=${cache%/servers}/toolchains
trap 'rm -rf "$scratch"' EXIT
need python3

fill() {
    python3 -m venv "$1" && "$1/bin/pip" install --no-compile --requirement "$here/lake-python/requirements.txt"
}
installed fill "$here/lake-python/requirements.txt"

echo "READY $home/bin/python $here/lake-python/client.py"
