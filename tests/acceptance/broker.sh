#!/bin/bash
# Acceptance of the broker: one line for each line that must hold.
#
# usage: tests/acceptance/broker.sh
#
# As root everything runs twice: as root, and as an ordinary user made for it and removed afterwards.
# What cannot run says so by name. Exit status 0 only when every line holds.
suites="broker"
. "$(dirname "$0")/common.sh"

person() {
    who=$1
    tests "$who" broker procfs exact blocking nested tcp
    say 2 "$who" $? "who asks gets what the kernel would give: procfs, ETXTBSY, signals, leases, FIFOs, umask, bind, filters, limits of pid 1 ($ran tests)"
    tests "$who" broker names spellings parents git_ hidden reopened masked kept sockets ghosts races deaths
    say 3 "$who" $? "the catalogue's rows of names, each with its control and its twin: F04 to F56, K01, K15, K16, K17, K47 ($ran tests)"
    tests "$who" broker later
    say 4 "$who" $? "names that the host replaces and makes stay held ($ran tests)"
    tests "$who" broker faults record
    say 7 "$who" $? "faults are an errno and an event, and denials are on record ($ran tests)"
}

person "$(id -un)"
if [ "$(id -u)" = 0 ]; then
    make_account cofferdam-broker
    person "$account"
else
    echo "not run: the same as another, ordinary user: only root can make one (this was one)"
fi
exit $broken
