#!/bin/bash
# Acceptance of what looks inside requests: one line for each line that must hold.
#
# usage: tests/acceptance/inspect.sh
#
# As root everything but fuzzing and the soak runs twice: as root, and as an ordinary user made for it
# and removed afterwards. What cannot run says so by name. Exit status 0 only when every line holds.
#
# FUZZ_SECS (20) and SOAK_SECS (60) are for who has less time, or more.
suites="inspect sessions trust"
. "$(dirname "$0")/common.sh"

person() {
    who=$1
    # Most of these wait for somebody: more of them at a time than there are processors.
    tests "$who" inspect clients packages streams transfers origins internet --test-threads=4
    say 1 "$who" $? "h1 and h2, ${COFFERDAM_TRANSFER_BYTES:-1073741824} bytes each way, WebSocket, events, gRPC, pip, npm, cargo, git, curl, node, python: with and without proxy variables the same verdict, bytes and event ($ran tests)"
    tests "$who" inspect fronting smuggling switching targets contents rules record certificates s39 --test-threads=4
    say 2 "$who" $? "the catalogue's rows that need the inside, with twins, the bytes at the origin against those that were judged, and an event each ($ran tests)"
    tests "$who" trust
    say "deliver 1" "$who" $? "the sandbox believes the session's authority, by files, by variables, by Java's store, and nothing of it changes from inside ($ran tests)"
    tests "$who" sessions
    say "deliver 5" "$who" $? "policies are applied to sessions that run, persons are asked outside, and nobody else answers ($ran tests)"
    tests "$who" inspect reload approval five_thousand
    say 4 "$who" $? "500 reloads during 10,000 requests, names made up to deceive who is asked, 5,000 idle tunnels and slow heads beside another sandbox ($ran tests)"
}

person "$(id -un)"
fuzz_and_soak 3 --inside \
    "fuzz targets of what is read inside, ${FUZZ_SECS:-20} s each; the differential of requests is a unit test" \
    5 --inspected "mixed requests, looked into, for ${SOAK_SECS:-60} s: memory and descriptors stay, no event is lost" cofferdam-inspect
exit $broken
