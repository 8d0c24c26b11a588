#!/usr/bin/env bash
# Kinesis by kinesis-mock. It listens on all addresses; there is no option for loopback only. Its second port, for TLS, is
# PORT + 1 and not used by the tests. One shard takes about 650 records a second.

. "$(dirname "$0")/serve.sh"
need node npm

fill() {
    cp "$here/kinesis-local/package.json" "$1" &&
        npm install --prefix "$1" --no-audit --no-fund --no-package-lock --ignore-scripts
}
installed fill "$here/kinesis-local/package.json"

# It reads `server.json` from the folder it is started in.
cd "$home/node_modules/kinesis-local"
export KINESIS_MOCK_PLAIN_PORT=$port KINESIS_MOCK_TLS_PORT=$((port + 1)) SHARD_LIMIT=1000 LOG_LEVEL=WARN
export CREATE_STREAM_DURATION=50ms DELETE_STREAM_DURATION=50ms SPLIT_SHARD_DURATION=50ms MERGE_SHARDS_DURATION=50ms
serve /healthcheck node main.js
