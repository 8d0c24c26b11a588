# Sourced by the scripts beside it, which install a server into a cache and run it for the tests. Not to be run itself.
# A script is called as `NAME.sh PORT`. It prints `READY http://127.0.0.1:PORT` once the server answers, and ends with the
# server. Exit code 77 and a line `SKIPPED: …` on stderr mean that the server cannot be had on this machine.

port=${1:?"usage: $(basename "$0") PORT"}
. "$(dirname "$0")/install.sh"

# answers PATH: whether the server gives an answer that is no server error; kinesalite refuses unsigned requests.
answers() {
    local status
    exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
    printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$1" >&3
    read -r _ status _ <&3 || return 1
    [ "$status" -lt 500 ]
}

# serve PATH COMMAND…: runs the server until it ends, announces it when PATH answers. With WASMILL_STOP_AT_EOF set it also
# stops when standard input ends: a test process that dies, however it dies, takes its servers along.
serve() {
    local path=$1 server
    shift
    "$@" </dev/null >"$scratch/log" 2>&1 &
    server=$!
    trap 'kill -KILL $server 2>/dev/null; rm -rf "$scratch"' EXIT
    trap exit INT TERM HUP
    if [ -n "${WASMILL_STOP_AT_EOF:-}" ]; then
        (cat >/dev/null; kill -TERM $$) <&0 >/dev/null 2>&1 &
    fi
    until (answers "$path") 2>/dev/null; do
        if ! kill -0 "$server" 2>/dev/null; then
            cat "$scratch/log" >&2
            exit 1
        fi
        sleep 0.1
    done
    echo "READY http://127.0.0.1:$port"
    wait "$server" || {
        tail -n 40 "$scratch/log" >&2
        exit 1
    }
}
