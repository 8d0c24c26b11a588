#!/usr/bin/env bash
# The C compiler of the guests in C: zig, the official package, which brings a libc for WebAssembly. Installs it once and
# prints `READY COMMAND`, where COMMAND runs it.

. "$(dirname "$0")/../servers/install.sh"
cache=${cache%/servers}/toolchains
trap 'rm -rf "$scratch"' EXIT
need python3

fill() {
    python3 -m venv "$1" && "$1/bin/pip" install --no-compile --requirement "$here/zig/requirements.txt"
}
installed fill "$here/zig/requirements.txt"

# Run as a module: the paths inside a virtual environment's own scripts do not survive the move into the cache.
echo "READY $home/bin/python -m ziglang"
