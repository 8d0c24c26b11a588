#!/usr/bin/env bash
# S3 by MinIO, which keeps objects on disk below S3_ROOT, and checks every signature: key id and secret are both `testtest`. A bucket
# is a folder in that one, if it is there before the server starts. It is compiled once, from the Go module proxy (5 minutes of one core).

. "$(dirname "$0")/serve.sh"
need go

fill() {
    GOFLAGS=-mod=mod GOBIN=$1 CGO_ENABLED=0 \
        go install -ldflags='-s -w' github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
}
installed fill "$here/minio.sh"

export MINIO_ROOT_USER=testtest MINIO_ROOT_PASSWORD=testtest MINIO_BROWSER=off
serve /minio/health/live "$home/minio" server --quiet --address "127.0.0.1:$port" "${S3_ROOT:-$scratch/data}"
