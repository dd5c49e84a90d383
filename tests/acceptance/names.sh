#!/bin/bash
# Acceptance of the gateway: one line for each line that must hold.
#
# usage: tests/acceptance/names.sh
#
# As root everything but fuzzing and the soak runs twice: as root, and as an ordinary user made for it
# and removed afterwards. What cannot run says so by name. Exit status 0 only when every line holds.
#
# FUZZ_SECS (20) and SOAK_SECS (60) are for who has less time, or more.
suites="broken containment names presets"
. "$(dirname "$0")/common.sh"

person() {
    who=$1
    tests "$who" names clients packages
    say 1 "$who" $? "with and without proxy variables: curl, git clone and push, pip, npm, node, python, openssl: allowed ones work, others are refused by name ($ran tests)"
    tests "$who" names registries
    say 2 "$who" $? "real pip install, npm install, cargo fetch through the gateway, where a registry answers ($ran tests)"
    tests "$who" names patterns authorities addresses hellos tunnels smuggling resilience lookups literals wildcards \
        relays sockets local_servers publish upstream_proxies caps fixture internet
    rows=$? rows_ran=$ran
    tests "$who" containment k02 k06 k30 network
    say 3 "$who" $((rows + $?)) "the catalogue's rows of egress that a connection decides, with GOOD, EVIL and scripted DNS in namespaces, and K01, L03, L04, L16, S45 ($rows_ran tests)"
    tests "$who" names l04 record
    gone=$?
    gone_ran=$ran
    tests "$who" broken
    say 6 "$who" $((gone + $?)) "SIGKILL of the gateway in mid-stream, a full audit disk, a bad policy: closed, named ($gone_ran tests, $(grep -c '^=== ' "$here/crates/cofferdam/tests/broken.golden") broken inputs)"
    tests "$who" presets agents turns
    say "deliver 6" "$who" $? "agents do a whole turn against an origin that plays their API, where they are installed ($ran tests)"
}

person "$(id -un)"
fuzz_and_soak 4 --outside \
    "fuzz targets, ${FUZZ_SECS:-20} s each: bytes judged are bytes sent; the differential of authorities is a unit test" \
    5 "" "200 connections for ${SOAK_SECS:-60} s: memory and descriptors stay, no event is lost" cofferdam-names
exit $broken
