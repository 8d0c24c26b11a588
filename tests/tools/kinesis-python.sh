#!/usr/bin/env bash
# A client of Kinesis in Python: boto3, and the packing and unpacking of aws-kinesis-agg. Installs both once and prints
# `READY COMMAND`, where COMMAND runs `kinesis-python/client.py` (see there).

. "$(dirname "$0")/../servers/install.sh"
cache=${cache%/servers}/toolchains
trap 'rm -rf "$scratch"' EXIT
need python3

fill() {
    python3 -m venv "$1" && "$1/bin/pip" install --no-compile --requirement "$here/kinesis-python/requirements.txt"
}
installed fill "$here/kinesis-python/requirements.txt"

echo "READY $home/bin/python $here/kinesis-python/client.py"
