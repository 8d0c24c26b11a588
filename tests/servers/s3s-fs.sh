#!/usr/bin/env bash
# S3 by s3s-fs, which keeps objects as files of a folder, S3_ROOT, and checks every signature: key id and secret are both `test`.
# A bucket is a folder in that one. It is compiled once (4 minutes of one core).

. "$(dirname "$0")/serve.sh"
need cargo

# 0.14.1 is the last one that Rust 1.95 compiles.
fill() {
    env -u CARGO_TARGET_DIR -u RUSTFLAGS cargo install s3s-fs --version 0.14.1 --locked --features binary \
        --root "$1" --target-dir "$1/target" &&
        rm -rf "$1/target"
}
installed fill "$here/s3s-fs.sh"

serve / "$home/bin/s3s-fs" --access-key test --secret-key test --host 127.0.0.1 --port "$port" "${S3_ROOT:-$scratch}"
