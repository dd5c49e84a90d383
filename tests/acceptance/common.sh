# What the acceptance scripts share: built programs where everybody may read them, an ordinary
# user made for the run and removed afterwards, and a line for each line that must hold.
#
# To be sourced with `suites` set to the test programs that are needed.
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
            COFFERDAM_PROGRAMS="$stage/bin" COFFERDAM_SEED="${COFFERDAM_SEED:-}" \
            COFFERDAM_BIG="${COFFERDAM_BIG:-}" \
            ${COFFERDAM_WALL:+COFFERDAM_WALL="$COFFERDAM_WALL"} \
            ${COFFERDAM_RUNSC_BUILDS:+COFFERDAM_RUNSC_BUILDS="$COFFERDAM_RUNSC_BUILDS"} \
            ${COFFERDAM_TRANSFER_BYTES:+COFFERDAM_TRANSFER_BYTES="$COFFERDAM_TRANSFER_BYTES"} \
            ${COFFERDAM_TOOLS:+COFFERDAM_TOOLS="$COFFERDAM_TOOLS"} "$@")
    fi
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

# make_account NAME: an ordinary user with a toolchain, removed at the end.
make_account() {
    account=$1
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
}

# fuzz LINE FLAG SECONDS TEXT: the targets of libFuzzer.
fuzz() {
    cargo xtask fuzz-targets "$2" --secs "$3" >"$stage/fuzz" 2>&1
    status=$?
    grep -E ' runs$' "$stage/fuzz" | sed 's/^/    /'
    [ $status = 0 ] || tail -n 40 "$stage/fuzz" | sed 's/^/    /'
    say "$1" "$(id -un)" $status "$(grep -cE ' runs$' "$stage/fuzz") $4"
}

# fuzz_and_soak FUZZ_LINE FUZZ_FLAG FUZZ_TEXT SOAK_LINE SOAK_FLAGS SOAK_TEXT ACCOUNT
#
# The targets of libFuzzer and, as root, a soak beside them: nothing of either is timed. Then, as root,
# `person` for an ordinary user. FUZZ_SECS (20) and SOAK_SECS (60) are for who has less time, or more.
fuzz_and_soak() {
    if [ "$(id -u)" = 0 ]; then
        cargo xtask soak $5 --seconds "${SOAK_SECS:-60}" >"$stage/soak" 2>&1 &
        soak=$!
    fi
    fuzz "$1" "$2" "${FUZZ_SECS:-20}" "$3"
    if [ "$(id -u)" = 0 ]; then
        wait "$soak"
        status=$?
        tail -n 12 "$stage/soak" | sed 's/^/    /'
        say "$4" "$(id -un)" $status "$6"
        make_account "$7"
        # One whole gigabyte each way was seen.
        export COFFERDAM_TRANSFER_BYTES=$((64 << 20))
        person "$account"
    else
        echo "not run: the soak, which reads the gateway's memory: only root can"
        echo "not run: the same as another, ordinary user: only root can make one (this was one)"
    fi
}
