#!/bin/sh
# Makes a component of one C file: build.sh KIND PLUGIN.c OUT.wasm
# KIND is transform, aggregator or process. Needed are zig (`pip install ziglang==0.17.0`, then ZIG="python3 -m ziglang")
# and wasm-tools (`cargo install wasm-tools`); WASM_TOOLS names another one. With an empty WASM_TOOLS, OUT.wasm is the core
# module, for something else to make a component of: what that has to know is in it.
set -eu
[ $# -eq 3 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
kind=$1 source=$2 out=$3
sdk=$(cd "$(dirname "$0")" && pwd)
bindings=$sdk/generated/$kind
[ -d "$bindings" ] || { echo "build.sh: no kind \"$kind\"; expected transform, aggregator or process" >&2; exit 2; }
wasm_tools=${WASM_TOOLS-wasm-tools}
module=$out.module
trap 'rm -f "$module"' EXIT
# Nothing of libc that needs an operating system is linked, so the component imports nothing but the contract.
${ZIG:-zig} cc -target wasm32-wasi -mexec-model=reactor -std=c11 -O2 -s -Wall -Wextra -Werror \
    -I "$sdk" -I "$bindings" -o "$module" "$source" "$bindings/bindings.c" "$bindings/bindings_component_type.o"
if [ -n "$wasm_tools" ]; then
    $wasm_tools component new "$module" -o "$out"
else
    mv "$module" "$out"
fi
