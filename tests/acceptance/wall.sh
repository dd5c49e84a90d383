#!/bin/bash
# Acceptance of the wall: one line for each line that must hold.
#
# usage: tests/acceptance/wall.sh
#
# As root everything runs twice: as root, and as an ordinary user made for it and removed
# afterwards (built programs are copied to a directory that everybody may read). What cannot run
# says so by name. Exit status 0 only when every line holds.
set -u
cd "$(dirname "$0")/../.." || exit 1
here=$PWD
broken=0

stage=$(mktemp -d /tmp/cofferdam-acceptance-XXXXXX)
chmod 755 "$stage"
account=
clean() {
    if [ -n "$account" ]; then
        userdel -r "$account" >/dev/null 2>&1
    fi
    rm -rf "$stage"
}
trap clean EXIT
trap 'exit 130' INT TERM

suites="containment kernel crash agrees broken streams records faces presets policies"
mkdir "$stage/bin" "$stage/tests" || exit 1
cargo build --profile ci --locked -q || exit 1
# Paths of what was built, from cargo itself.
cargo test --profile ci --locked -q --no-run --message-format=json -p cofferdam \
    $(for suite in $suites; do echo --test "$suite"; done) 2>/dev/null |
    /usr/bin/python3 -c '
import json, shutil, sys
stage = sys.argv[1]
for line in sys.stdin:
    message = json.loads(line)
    program = message.get("executable")
    if not program: continue
    kind, name = message["target"]["kind"], message["target"]["name"]
    shutil.copy(program, stage + ("/tests/" if "test" in kind else "/bin/") + name)
' "$stage" || exit 1
chmod -R a+rX "$stage"
for name in $suites; do [ -x "$stage/tests/$name" ] || { echo "not built: $name"; exit 1; }; done

# say LINE WHO STATUS TEXT
say() {
    if [ "$3" = 0 ]; then echo "line $1 ($2): holds: $4"; else
        broken=1
        echo "line $1 ($2): BROKEN: $4"
    fi
}

# Runs a command as $1 with that person's home, programs and toolchain.
as() {
    who=$1
    shift
    # Records of these runs are the test's own: a person's log is neither needed nor touched.
    state=$stage/state-$who
    if [ ! -d "$state" ]; then mkdir -m 700 "$state" && chown "$who" "$state"; fi
    if [ "$who" = "$(id -un)" ]; then
        COFFERDAM_PROGRAMS=$stage/bin XDG_STATE_HOME=$state "$@"
    else
        (cd "/home/$who" && setpriv --reuid "$who" --regid "$who" --clear-groups \
            env -i HOME="/home/$who" USER="$who" TERM=xterm LANG=C.UTF-8 TMPDIR="${TMPDIR:-/tmp}" XDG_STATE_HOME="$state" \
            PATH="/home/$who/.rustup/toolchains/t/bin:/usr/local/bin:/usr/bin:/bin" \
            COFFERDAM_PROGRAMS="$stage/bin" COFFERDAM_SEED="${COFFERDAM_SEED:-}" "$@")
    fi
}

# What lies outside of the workspace: names, sizes and times of /etc and the home, our log and the toolchain aside.
outside() {
    # Making ~/.local for the log changes the home's own time: what is in it counts.
    find /etc "$1" -xdev -mindepth 1 \( -path "$1/.local" -o -path '*/.cargo' -o -path '*/.rustup' -o -path "$2" \) -prune \
        -o -printf '%p %s %T@ %m %U\n' 2>/dev/null | sort | sha256sum
}

# tests WHO SUITE [FILTER...]
tests() {
    who=$1 suite=$2
    shift 2
    log=$stage/log
    as "$who" "$stage/tests/$suite" "$@" --nocapture >"$log" 2>&1
    status=$?
    grep -E '^not run' "$log" | sort -u | sed 's/^/    /'
    if [ $status != 0 ]; then
        { grep -A 3 panicked "$log"; grep -vE '^$' "$log" | tail -n 20; } | cut -c 1-2000 | sed 's/^/    /'
    fi
    ran=$(sed -n 's/^test result: .* \([0-9]*\) passed.*/\1/p' "$log")
    [ "${ran:-0}" -gt 0 ] || status=1
    return $status
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

    tests "$who" faces
    say "$line, faces" "$who" $? "shell, audit show, completions, manual pages and version ($ran tests)"

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
    tests "$who" policies
    say "8, policy" "$who" $? "policy init, check, show and schema ($ran tests)"
    tests "$who" presets
    say "8, presets" "$who" $? "each preset with its toolchain, where that is installed ($ran tests)"
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
    account=cofferdam-acc
    userdel -r "$account" >/dev/null 2>&1
    useradd -m -d "/home/$account" "$account" || exit 1
    home=/home/$account
    mkdir -p "$home/.rustup/toolchains" "$home/.cargo"
    toolchain=$(readlink -f "$(rustc --print sysroot)")
    # Links where they can be made: a toolchain is large.
    cp -al "$toolchain" "$home/.rustup/toolchains/t" 2>/dev/null ||
        cp -a "$toolchain" "$home/.rustup/toolchains/t" || exit 1
    cargo_home=${CARGO_HOME:-$HOME/.cargo}
    cp -a "$cargo_home/registry" "$home/.cargo/" || exit 1
    [ -e "$cargo_home/config.toml" ] && cp "$cargo_home/config.toml" "$home/.cargo/"
    chown -R "$account": "$home/.cargo"
    chown "$account": "$home/.rustup" "$home/.rustup/toolchains"
    person "$account" 2
else
    echo "line 2: not run: the same as another, ordinary user: only root can make one (this was one)"
fi
exit $broken
