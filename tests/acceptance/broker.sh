#!/bin/bash
# Acceptance of the broker: one line for each line that must hold.
#
# usage: tests/acceptance/broker.sh
#
# As root it runs twice: as root, and as an ordinary user made for it and removed afterwards. The
# ordinary user runs everything; root runs what differs for a stand-in user and idmapped trees, and leaves
# out the work of line 6 and the first line's seeds but one. What cannot run says so by name. Exit status 0
# only when every line holds.
#
# BIG=1 adds the repository of 300,000 files of line 5, which takes minutes, and COFFERDAM_SEED has line 1 make
# other operations.
suites="broker work"
. "$(dirname "$0")/common.sh"
export COFFERDAM_BIG=${BIG:-}
cp tests/acceptance/mistakes.sh "$stage/" && chmod 755 "$stage/mistakes.sh" || exit 1

# seconds WHAT COMMAND...: runs it and tells how long it took.
seconds() {
    what=$1 began=$SECONDS
    shift
    "$@"
    taken=$?
    echo "    $what: $((SECONDS - began)) s"
    return $taken
}

# What the tests say of themselves, in figures.
figures() {
    grep -hE '^(test [a-z_:]+ \.\.\. )?[a-zA-Z0-9].*( x [0-9.]+$|operations, |replacements, | looks )' "$stage/log" |
        sed -E 's/^test [a-z0-9_:]+ \.\.\. //; s/^/    /'
}

person() {
    who=$1 all=$2
    differential="differential"
    [ "$all" = all ] || differential="differential::operations_of_four_threads"
    seconds "line 1" tests "$who" work "$differential"
    say 1 "$who" $? "random operations on names, outside and inside: the same answers, the same trees ($ran tests)"
    figures
    seconds "line 2" tests "$who" broker procfs exact blocking nested limits reopened tcp threads
    say 2 "$who" $? "findings of the kernel: takeover by procfs, busy texts, double execution, leases, FIFOs, umask, bind, limits, nested filters ($ran tests)"
    seconds "line 3" tests "$who" broker names spellings parents git_ remotes hidden masked kept sockets ghosts races bind_race waiters deaths record later
    say 3 "$who" $? "the catalogue's rows that concern names ($ran attacks)"
    seconds "line 4" tests "$who" work host_replaces
    say 4 "$who" $? "the host saves guarded files as editors and git do, the workload tries meanwhile: no window ($ran tests)"
    figures
    seconds "line 5" tests "$who" work crowd big
    say 5 "$who" $? "eight sandboxes in one tree do what one does; git on the host sees nothing ($ran tests)"
    figures
    if [ "$all" = all ]; then
        seconds "line 6" tests "$who" work real
        say 6 "$who" $? "archives, git, sqlite, editors, make, tests, cargo, npm: the same result as outside ($ran kinds)"
        figures
    fi
    seconds "line 7" tests "$who" broker faults
    say 7 "$who" $? "faults: an errno to the caller, never half of the effect ($ran tests)"
    work=$(as "$who" mktemp -d "${TMPDIR:-/tmp}/cofferdam-broker-XXXXXX")
    as "$who" "$stage/mistakes.sh" "$stage/bin/cofferdam" "$work/here"
    say "bad input" "$who" $? "broken rules about names: one message each, with place and remedy, piped and on a terminal"
    rm -rf "$work"
}

if [ "$(id -u)" = 0 ]; then
    person "$(id -un)" part
    make_account cofferdam-broker
    person "$account" all
else
    person "$(id -un)" all
    echo "not run: the same as root, and as another, ordinary user: only root can (this was one)"
fi
exit $broken
