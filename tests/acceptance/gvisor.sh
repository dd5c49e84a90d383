#!/bin/bash
# Acceptance of gVisor in the native jail: one line for each line that must hold.
#
# usage: tests/acceptance/gvisor.sh
#
# Both builds of runsc come from `cargo xtask runsc` (COFFERDAM_RUNSC_BUILDS is for who has them already:
# YEAR/usr/bin/runsc in it). As root everything runs twice: as root, and as an ordinary user made for it and
# removed afterwards. What cannot run says so by name. Exit status 0 only when every line holds.
suites="gvisor"
. "$(dirname "$0")/common.sh"

builds=${COFFERDAM_RUNSC_BUILDS:-target/runsc}
[ -n "${COFFERDAM_RUNSC_BUILDS:-}" ] || cargo xtask runsc "$builds" >/dev/null || exit 1
# Where everybody may come to them.
for year in 2022 2024; do
    mkdir -p "$stage/runsc/$year/usr/bin" &&
        cp "$builds/$year/usr/bin/runsc" "$stage/runsc/$year/usr/bin/runsc" || exit 1
done
chmod -R a+rX,go-w "$stage/runsc"
export COFFERDAM_RUNSC_BUILDS=$stage/runsc

# line LINE FILTER TEXT
line() {
    tests "$who" gvisor $2 --test-threads=2
    say "$1" "$who" $? "$3 ($ran tests)"
}

person() {
    who=$1
    line 1 "inside::the_kernel inside::python inside::cargo" \
        "uname and dmesg are gVisor's, with systrap and with ptrace; python, node, git; cargo build with a granted toolchain"
    line "1, pip" inside::pip "a real pip install through the gateway, by proxy and without; another host and the bare address are refused"
    line "1, 8 at once" inside::eight "eight sandboxes at once, each with its own places"
    line "1, tenant" inside::what_is "with tenant nothing that is written stays"
    line "1, bad input" inside::bad "a runsc that is none, unknown words, a clause that nobody holds: refused by name"
    line "1, ends" "ends::statuses ends::streams ends::limits ends::the_wall" \
        "0, 7, 126, 127, 137, 143; a MiB through a pipe, environment, directory, limits, wall time"
    line "1, terminal" ends::a_terminal "a pty: its size, Ctrl-C, 130"
    line 3 sentry:: "a program in the place of runsc, with all that the jail leaves to runsc: no home, no way out, no process of the host's, no write, nothing outlives the session"
    for row in f17 f18 f27 k05 k31 k32 k33 l06; do
        line "4, $(echo $row | tr a-z A-Z)" "rows::$row" "$(sed -n "s|^/// $(echo $row | tr a-z A-Z)[^:]*: ||p" crates/cofferdam/tests/gvisor/rows.rs)"
    done
}

person "$(id -un)"
echo "covered by 3: K10 K18: a sentry's namespaces lead nowhere, and calls that no runsc needs are refused"
echo "not run: F36, archives of an image: the tests of --rootfs"
echo "not run: the platform kvm: a virtual machine in one may hang; the trial chooses it last (tests runsc)"
if [ "$(id -u)" = 0 ]; then
    make_account cofferdam-gvisor
    person "$account"
else
    echo "not run: the same as another, ordinary user: only root can make one (this was one)"
fi
exit $broken
