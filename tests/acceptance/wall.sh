#!/bin/bash
# Acceptance of the wall: one line for each line that must hold.
#
# usage: tests/acceptance/wall.sh
#
# As root everything runs twice: as root, and as an ordinary user made for it and removed
# afterwards (built programs are copied to a directory that everybody may read). What cannot run
# says so by name. Exit status 0 only when every line holds.
suites="containment kernel crash agrees broken streams records"
. "$(dirname "$0")/common.sh"

# What lies outside of the workspace: names, sizes and times of /etc and the home, our log and the toolchain aside.
outside() {
    # Making ~/.local for the log changes the home's own time: what is in it counts.
    find /etc "$1" -xdev -mindepth 1 \( -path "$1/.local" -o -path '*/.cargo' -o -path '*/.rustup' -o -path "$2" \) -prune \
        -o -printf '%p %s %T@ %m %U\n' 2>/dev/null | sort | sha256sum
}

person() {
    who=$1 line=$2
    home=$(as "$who" sh -c 'echo $HOME')
    work=$(as "$who" mktemp -d "${TMPDIR:-/tmp}/cofferdam-tools-XXXXXX")
    before=$(outside "$home" "$work")
    as "$who" sh "$here_tools" "$stage/bin/cofferdam" "$work/app"
    status=$?
    after=$(outside "$home" "$work")
    if [ "$before" != "$after" ]; then status=1; echo "    something outside changed"; fi
    # The same on a terminal: the answer comes through, and so does the exit status.
    said=$(as "$who" script -qec "cd $work/app && $stage/bin/cofferdam run -- sh -c 'echo from-inside; exit 7'" /dev/null)
    if [ $? != 7 ] || [ "${said#*from-inside}" = "$said" ]; then status=1; echo "    on a terminal: $said"; fi
    rm -rf "$work"
    say "$line" "$who" $status "everyday tools work inside, piped and on a terminal; nothing outside changed"

    tests "$who" streams
    say "$line, streams" "$who" $? "status, streams, signals and a terminal are as without a wall ($ran tests)"

    tests "$who" records
    say "$line, record" "$who" $? "the log lies outside of every view, and verify says what it finds ($ran tests)"

    tests "$who" containment home_and_projects p15 k28 k06 k18 k12 k10 f31 f32 k22 network
    say 3 "$who" $? "what peers leave open is closed: home, projects, environment, setuid, sockets, keyctl, perf, userfaultfd, io_uring, namespaces, mounts, /proc/sys, terminals ($ran attacks)"
    tests "$who" containment
    say 4 "$who" $? "the catalogue's rows, each with its control and its twin ($ran tests)"
    tests "$who" kernel
    say 5 "$who" $? "facts of the kernel that this release relies on ($ran tests)"
    tests "$who" crash
    say 6 "$who" $? "$(grep -h 'were killed' "$stage/log"); nothing left; eight starts at once"
    tests "$who" agrees
    say 7 "$who" $? "plan agrees with what happens: $(grep -h 'accesses under' "$stage/log")"
    tests "$who" broken
    say 8 "$who" $? "$(grep -c '^=== ' "$here/crates/cofferdam/tests/broken.golden") broken policies and command lines, each with its message"
}

cp tests/acceptance/tools.sh "$stage/tools.sh" && chmod 755 "$stage/tools.sh"
here_tools=$stage/tools.sh

# The crate of line 1 needs its dependency fetched before.
fetch=$stage/fetch
mkdir -p "$fetch/src"
printf '[package]\nname = "small"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nstrsim = "0.11"\n[workspace]\n' >"$fetch/Cargo.toml"
touch "$fetch/src/lib.rs"
(cd "$fetch" && cargo fetch -q) || { echo "cannot fetch the dependency of line 1"; exit 1; }

person "$(id -un)" 1
if [ "$(id -u)" = 0 ]; then
    make_account cofferdam-acc
    person "$account" 2
else
    echo "line 2: not run: the same as another, ordinary user: only root can make one (this was one)"
fi
exit $broken
