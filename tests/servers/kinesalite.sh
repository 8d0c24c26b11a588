#!/usr/bin/env bash
# Kinesis by kinesalite. It listens on all addresses; there is no option for loopback only.

. "$(dirname "$0")/serve.sh"
need node npm

fill() {
    cp "$here/kinesalite/package.json" "$1" &&
        npm install --prefix "$1" --no-audit --no-fund --no-package-lock --ignore-scripts
}
installed fill "$here/kinesalite/package.json"

serve / node "$home/node_modules/kinesalite/cli.js" --port "$port" --shardLimit 1000 --createStreamMs 50 --deleteStreamMs 50
