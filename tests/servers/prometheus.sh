#!/usr/bin/env bash
# Prometheus, Debian's, with the settings and rules of examples/deploy. It reads the host whose API listens on
# WASMILL_SCRAPE, 127.0.0.1:9180 if nothing else is said, once a second.

. "$(dirname "$0")/serve.sh"
. "$here/prometheus/install.sh"

deploy=$here/../../examples/deploy
sed -e "s/127.0.0.1:9180/${WASMILL_SCRAPE:-127.0.0.1:9180}/" -e 's/^\( *[a-z_]*interval:\).*/\1 1s/' \
    "$deploy/prometheus.yml" >"$scratch/prometheus.yml"
cp "$deploy/prometheus-rules.yml" "$scratch"
serve /-/ready "$home/usr/bin/prometheus" --config.file="$scratch/prometheus.yml" --storage.tsdb.path="$scratch/data" \
    --web.listen-address="127.0.0.1:$port" --log.level=warn
