#!/usr/bin/env bash
# S3, DynamoDB, SNS, SQS and CloudWatch by moto, which keeps everything in memory and accepts any credentials.

. "$(dirname "$0")/serve.sh"
need python3

fill() {
    python3 -m venv "$1" && "$1/bin/pip" install --no-compile --requirement "$here/moto/requirements.txt"
}
installed fill "$here/moto/requirements.txt"

# Run as a module: the paths inside a virtual environment's own scripts do not survive the move into the cache.
serve /moto-api/ "$home/bin/python" -m moto.server --host 127.0.0.1 --port "$port"
