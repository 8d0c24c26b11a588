#!/usr/bin/env bash
# An OCI registry by distribution, the one behind most registries, in memory. Who reads and writes: user `reader`, password
# `secret`.

. "$(dirname "$0")/serve.sh"
need go

# Only what the tests need of it is compiled: without the storage of the clouds that takes a third of the time.
fill() {
    cp "$here/oci/main.go" "$here/oci/go.mod" "$here/oci/go.sum" "$1" &&
        (cd "$1" && GOFLAGS=-mod=readonly CGO_ENABLED=0 go build -ldflags='-s -w' -o registry .)
}
installed fill "$here/oci/main.go" "$here/oci/go.mod" "$here/oci/go.sum"

cat >"$scratch/htpasswd" <<'X'
reader:$2a$04$cd6bTxJVKrQeB5gaKW3g6uAko9rAg1n7gzWja4rg1q663ZtjKk7Mi
X
cat >"$scratch/config.yml" <<X
version: 0.1
log: { level: warn }
storage: { inmemory: {}, maintenance: { uploadpurging: { enabled: false } } }
http: { addr: "127.0.0.1:$port", secret: "not one" }
auth: { htpasswd: { realm: tests, path: "$scratch/htpasswd" } }
X
serve /v2/ "$home/registry" "$scratch/config.yml"
