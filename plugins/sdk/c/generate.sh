#!/bin/sh
# Writes `generated/` anew from the contract. Needed only when `wit/` changes; wit-bindgen-cli is installed by:
#   cargo install wit-bindgen-cli --version 0.63.0 --locked --no-default-features --features c
set -eu
cd "$(dirname "$0")"
for world in transform aggregator process; do
    # One name for all worlds, so that their common types have one name too.
    wit-bindgen c ../../../wit --world "$world" --rename-world bindings --out-dir "generated/$world"
done
