#!/bin/sh
# Makes the three components: build.sh FOLDER writes transform.wasm, aggregator.wasm and process.wasm there. What is needed
# is what `sdk/c/build.sh` needs.
set -eu
[ $# -eq 1 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
for kind in transform aggregator process; do
    "$here/../../sdk/c/build.sh" "$kind" "$here/$kind.c" "$1/$kind.wasm"
done
