# Sourced by scripts that install what the tests need into a cache, once. Not to be run itself. `name` is what messages call
# it; `cache` is where it goes; exit code 77 and a line `SKIPPED: …` on stderr mean that it cannot be had on this machine.

set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
name=$(basename "$0" .sh)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/wasmill/servers
# What a server writes while it runs; removed when it ends.
scratch=$(mktemp -d)

skip() {
    echo "SKIPPED: $name: $*" >&2
    rm -rf "$scratch"
    exit 77
}

# need TOOL…: skips unless all of them are installed.
need() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || skip "needs \`$tool\`, which is not installed"
    done
}

# installed FUNCTION FILE…: sets `home` to the folder that FUNCTION, called with an empty folder, has filled once for this
# content of the files. Two scripts may install at the same time: the first to finish wins.
installed() {
    local fill=$1 fresh
    shift
    home=$cache/$name-$(cat "$@" | cksum | cut -d' ' -f1)
    [ -d "$home" ] && return
    echo "$name: installing into $home (once)" >&2
    mkdir -p "$cache"
    fresh=$(mktemp -d "$cache/.$name.XXXXXX")
    if ! "$fill" "$fresh" >"$fresh/install.log" 2>&1; then
        tail -n 20 "$fresh/install.log" >&2
        rm -rf "$fresh"
        skip "could not be installed, see above"
    fi
    mv -T "$fresh" "$home" 2>/dev/null || rm -rf "$fresh"
}
