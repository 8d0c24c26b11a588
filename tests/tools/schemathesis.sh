#!/usr/bin/env bash
# schemathesis.sh URL TOKEN JOB: holds the API of a host against its own document, with schemathesis, which is installed once.
# Half of the requests are about JOB, which runs; the others about whatever comes to its mind. What it finds is printed, and
# the exit code is 1 then.

. "$(dirname "$0")/../servers/install.sh"
cache=${cache%/servers}/toolchains
trap 'rm -rf "$scratch"' EXIT
need python3

fill() {
    python3 -m venv "$1" && "$1/bin/pip" install --no-compile --requirement "$here/schemathesis/requirements.txt"
}
installed fill "$here/schemathesis/requirements.txt"

url=$1 token=$2 job=$3

# It writes a folder of what it has seen.
cd "$scratch"

# fuzz SETTINGS OPTION…: one run. The same seed makes the same requests. Whether a request that the document allows can be done
# depends on what the host runs just then, so that is no check.
fuzz() {
    local settings=$1
    shift
    printf '%s' "$settings" >schemathesis.toml
    "$home/bin/python" -m schemathesis.cli run "$url" --header "Authorization: Bearer $token" --seed 1 --no-shrink \
        --phases examples,coverage,fuzzing --max-examples "${SCHEMATHESIS_EXAMPLES:-10}" --request-timeout 20 \
        --suppress-health-check all --warnings off --exclude-checks positive_data_acceptance "$@"
}

# A log that is followed has no end.
ends='"query.follow" = false
'
of_job="[parameters]
\"path.job\" = \"$job\"
\"path.step\" = \"averages\"
\"query.limit\" = 1
\"query.seconds\" = 1
$ends"
fuzz "$of_job" --exclude-method DELETE --exclude-path '/api/v1/jobs/{job}/pause' --exclude-path '/api/v1/jobs/{job}'
fuzz "[parameters]
$ends"
