#!/bin/bash
# Acceptance of walls, layers, trust and `why`: one line for each line that must hold.
#
# usage: tests/acceptance/trust.sh
#
# As root everything runs twice: as root, and as an ordinary user made for it and removed afterwards. What
# cannot run says so by name. Exit status 0 only when every line holds.
suites="conformance why bubblewrap landlock_jail runsc rootfs layers containment"
. "$(dirname "$0")/common.sh"

# conformance_and_why WHO
conformance_and_why() {
    who=$1
    tests "$who" conformance the_table the_profile a_wrong_row
    status=$?
    grep -E '^(process/|[0-9]+ rows|differs:|no control:)' "$log" | sort -u | sed 's/^/    /'
    say 1 "$who" $status "the table of conformance under process/native: each act comes out as its row says, and is on record so ($ran tests)"
    tests "$who" why
    status=$?
    grep -E '^[0-9]+ cases' "$log" | sed 's/^/    /'
    say "4, why" "$who" $status "why equals what happens in a real sandbox; its words, its help, events ($ran tests)"
}

# jails WHO: those beside the native one, and the table under each.
jails() {
    who=$1
    tests "$who" bubblewrap
    say "deliver 1, F51" "$who" $? "the jail of bubblewrap: streams, names, ends, terminal, gateway; its set-up makes nothing through links of a hostile clone ($ran tests)"
    tests "$who" landlock_jail --test-threads=4
    say "deliver 2, K39 K40" "$who" $? "the jail landlock: what it holds holds, what it does not is refused by name, with each older Landlock too ($ran tests)"
    tests "$who" runsc
    say "runsc" "$who" $? "gVisor's runsc: Debian's builds of 2022 and 2024 are found, judged and tried on each platform; one that hangs, lies or could be another's is not chosen ($ran tests)"
    tests "$who" rootfs
    say "rootfs, F36" "$who" $? "another system in place of the host's: a directory, an image, under both jails of namespaces; what is none is refused ($ran tests)"
    for jail in bubblewrap landlock; do
        export COFFERDAM_WALL=process/$jail
        tests "$who" conformance the_table_is
        status=$?
        grep -E '^(process/|[0-9]+ rows)' "$log" | sort -u | sed 's/^/    /'
        say "1, $jail" "$who" $status "the table of conformance under process/$jail, with what is different there in its plan; as root in a workspace of another's ($ran tests)"
        unset COFFERDAM_WALL
    done
    gvisor "$who"
}

# gvisor WHO: the table under gVisor's kernel; everybody reads the program where programs are staged.
gvisor() {
    who=$1
    runsc=${COFFERDAM_RUNSC:-target/runsc/2024/usr/bin/runsc}
    if [ ! -f "$runsc" ] && [ -z "${CI:-}" ]; then
        echo "not run: the table under gvisor/native ($who): there is no $runsc, which cargo xtask runsc target/runsc brings"
        return
    fi
    [ -f "$stage/runsc-2024" ] || { cp "$runsc" "$stage/runsc-2024" && chmod 755 "$stage/runsc-2024"; }
    COFFERDAM_WALL=gvisor/native COFFERDAM_RUNSC=$stage/runsc-2024
    export COFFERDAM_WALL COFFERDAM_RUNSC
    tests "$who" conformance the_table_is
    status=$?
    grep -E '^(gvisor/|[0-9]+ (rows|policies))' "$log" | sort -u | sed 's/^/    /'
    say "gVisor's 2" "$who" $status "the table of conformance under gvisor/native, with what is different there in its plan ($ran tests)"
    COFFERDAM_RUNSC=$runsc
    unset COFFERDAM_WALL
}

person() {
    who=$1
    conformance_and_why "$who"
    jails "$who"
    tests "$who" layers clone --test-threads=2
    say "2, P01 P11 P13" "$who" $? "a hostile clone: doctor, plan, run, policy, trust, completions, sessions: nothing of it ran, connected or widened anything; each within its time ($ran tests)"
    tests "$who" layers p03_headless
    say "3, P01 P03" "$who" $? "without a terminal nothing is trusted, and no word but yes trusts ($ran tests)"
    tests "$who" layers p04
    say "3, P04" "$who" $? "programs, secrets and ways out in a project's policy are errors at their line ($ran tests)"
    tests "$who" layers p07 what_is_trusted
    say "3, P07" "$who" $? "a byte more, a link, a FIFO, a file that is gone: asked again ($ran tests)"
    tests "$who" layers p08
    say "3, P08" "$who" $? "words that begin with a dash are words; completion runs nothing ($ran tests)"
    tests "$who" layers p14
    say "3, P14" "$who" $? "however a shell is talked to, the kernel decides ($ran tests)"
    tests "$who" layers p15
    say "3, P15, ours" "$who" $? "no variable has a program of ours run anything ($ran tests)"
    tests "$who" containment p15 p17
    say "3, P15 P17" "$who" $? "what passes is listed; what would run later on the host is not written ($ran tests)"
    tests "$who" layers p22
    say "3, P22" "$who" $? "a thousand requests from inside widen nothing ($ran tests)"
    tests "$who" layers e24
    say "3, E24" "$who" $? "another policy during a session, about something else: CONNECT of a host that no rule names is 403 ($ran tests)"
    tests "$who" layers e25
    say "3, E25" "$who" $? "what only the managed policy says holds where no layer has the block ($ran tests)"
    tests "$who" layers managed:: terminal::
    say "deliver 4" "$who" $? "the managed file is root's alone or a refusal; mounts, limits, audit; what a person is shown ($ran tests)"
    tests "$who" layers races
    say 5 "$who" $? "the file is swapped between show, answer and load: what holds is what was shown ($ran tests)"
}

# unit LINE "CRATE FLAGS" FILTER TEXT: tests of a crate, which no person's rights bear on.
unit() {
    cargo test --profile ci --locked -q -p $2 --lib "$3" >"$stage/log" 2>&1
    status=$?
    ran=$(sed -n 's/^test result: .* \([0-9]*\) passed.*/\1/p' "$stage/log")
    [ "${ran:-0}" -gt 0 ] || status=1
    [ $status = 0 ] || tail -n 20 "$stage/log" | cut -c 1-2000 | sed 's/^/    /'
    say "$1" "$(id -un)" $status "$4 ($ran tests)"
}

person "$(id -un)"
cargo test --profile ci --locked -q -p cofferdam-plan --test seatbelt >"$stage/log" 2>&1
status=$?
say "deliver 3, K41" "$(id -un)" $status "profiles for macOS: as golden, and an evaluator of their language says what the judge says ($(sed -n 's/^test result: .* \([0-9]*\) passed.*/\1/p' "$stage/log") tests); not run on a Mac"
[ $status = 0 ] || tail -n 20 "$stage/log" | cut -c 1-2000 | sed 's/^/    /'
unit "4, layers" "cofferdam-policy --features text" layers_tests "1,000 random stacks: no lower layer widens beyond a second, slow reading of the ceiling"
unit 5 cofferdam trusted:: "1,000 rounds of a file that is swapped: loaded are bytes that were shown and pinned"
echo "not applicable: P09 P10: there is no dashboard and no HTTP API, so nothing listens"
echo "not applicable: P08, URLs: no handler of URLs is installed"
echo "not applicable: P16, beyond S21 S22: the authority of a session is in the gateway's memory alone (tests inspect)"
echo "not applicable: P18 P19: there is no overlay workspace, so nothing is applied to the host later"
echo "not applicable: P20: no alert when an instruction file changes; CLAUDE.md and AGENTS.md are the workspace's own"
echo "not applicable: P21: no agent is told apart from what it starts; nothing is labelled"
echo "not applicable: P24: there is no release to update from yet"
echo "not applicable: P25: there is no gateway for MCP; no server of the host's is reached from inside"
if [ "$(id -u)" = 0 ]; then
    make_account cofferdam-trust
    person "$account"
else
    echo "not run: the same as another, ordinary user: only root can make one (this was one)"
fi
exit $broken
