#!/bin/bash
# Acceptance of walls, trust and `why`: one line for each line that must hold.
#
# usage: tests/acceptance/trust.sh
#
# As root everything runs twice: as root, and as an ordinary user made for it and removed afterwards. What
# cannot run says so by name. Exit status 0 only when every line holds.
suites="conformance why bubblewrap"
. "$(dirname "$0")/common.sh"

# conformance_and_why WHO
conformance_and_why() {
    who=$1
    tests "$who" conformance the_table a_wrong_row
    status=$?
    grep -E '^(process/|[0-9]+ rows|differs:|no control:)' "$log" | sort -u | sed 's/^/    /'
    say 1 "$who" $status "the table of conformance under process/native: each act comes out as its row says, and is on record so ($ran tests)"
    tests "$who" why
    status=$?
    grep -E '^[0-9]+ cases' "$log" | sed 's/^/    /'
    say "4, why" "$who" $status "why equals what happens in a real sandbox; its words, its help, events ($ran tests)"
}

# bubblewrap_jail WHO
bubblewrap_jail() {
    who=$1
    tests "$who" bubblewrap
    status=$?
    say "3, F51, bubblewrap" "$who" $status "the jail of bubblewrap: streams, names, ends, terminal, gateway; its set-up makes nothing through links of a hostile clone ($ran tests)"
    COFFERDAM_WALL=process/bubblewrap
    export COFFERDAM_WALL
    # Root's own workspace is a refusal under bubblewrap.
    if [ "$who" != root ]; then
        tests "$who" conformance the_table
        status=$?
        say "1, bubblewrap" "$who" $status "the table of conformance under process/bubblewrap ($ran tests)"
    fi
    unset COFFERDAM_WALL
}

conformance_and_why "$(id -un)"
bubblewrap_jail "$(id -un)"
if [ "$(id -u)" = 0 ]; then
    make_account cofferdam-trust
    conformance_and_why "$account"
    bubblewrap_jail "$account"
else
    echo "not run: the same as another, ordinary user: only root can make one (this was one)"
fi
exit $broken
