#!/usr/bin/env bash
# promtool, which judges metrics and rules: Debian's, as tests/servers/prometheus.sh has it. Prints `READY COMMAND`.

. "$(dirname "$0")/../servers/install.sh"
trap 'rm -rf "$scratch"' EXIT
. "$here/../servers/prometheus/install.sh"

echo "READY $home/usr/bin/promtool"
