#!/bin/bash
# The first hour with cofferdam: from a clone to a policy of one's own, a mistake, a refusal, and the
# record of all of it. Every message is held to six lines of eighty columns.
#
# usage: hour.sh PROGRAMS DIRECTORY [REPOSITORY]
#
# PROGRAMS has the built programs. With a REPOSITORY, it is cloned and the README's first command
# runs in the clone, which builds everything; the second one is what calls this. DIRECTORY is made
# anew and left behind.
set -u
programs=$1
work=$2
repository=${3:-}
failed=0
rm -rf "$work" && mkdir -p "$work" && cd "$work" || exit 1
export PATH="$programs:$PATH"

row() {
    if [ "$2" = 0 ]; then echo "    ok $1"; else
        failed=1
        echo "    BROKEN $1"
        sed 's/^/        | /' out err
    fi
}

# step NAME STATUS PATTERN COMMAND...: the status, the pattern in what is said, and how it is said.
step() {
    name=$1 want=$2 pattern=$3
    shift 3
    "$@" >out 2>err </dev/null
    status=$?
    good=0
    [ "$status" = "$want" ] || { echo "        status $status, not $want"; good=1; }
    cat out err | tr '\n' ' ' | grep -qE -- "$pattern" || { echo "        not said: $pattern"; good=1; }
    # Messages of ours on standard error: at most six rows of a terminal, in plain words.
    if grep -q '^cofferdam' err; then
        rows=$(fold -s -w 80 err | grep -c '')
        [ "$rows" -le 6 ] || { echo "        $rows rows"; good=1; }
        if grep -qE 'panicked|os error|RUST_|Error\(|None\b|unwrap' err; then echo "        not for people"; good=1; fi
        [ "$want" = 0 ] || grep -q 'help: ' err || { echo "        no next step"; good=1; }
    fi
    row "$name" $good
}

if [ -n "$repository" ]; then
    git -c safe.directory='*' clone -q "$repository" clone || exit 1
    command=$(grep -m 1 '^cargo run --release -- ' clone/README.md | sed 's/--release/--profile ci --locked --quiet/')
    step "clone, and the README's first command" 0 'may work here.*may not read home' \
        sh -c "cd clone && $command"
    rm -rf clone
fi

mkdir -p app/src && cd app || exit 1
git init -q .
printf '{ "name": "app", "version": "1.0.0" }\n' >package.json
printf 'test:\n\tnode src/test.js\n' >Makefile
printf 'console.log("tested", 6 * 7)\n' >src/test.js
echo 'a secret' >../secret

step "what is there" 0 'Usage: cofferdam.*run.*Examples:' cofferdam --help
step "does this machine hold it" 0 'user-namespaces|user namespaces' cofferdam doctor
step "run with no policy" 0 'tested 42' cofferdam run -- make test
step "a secret beside the project" 1 'No such file' cofferdam run -- cat ../secret
step "policy init" 0 'wrote .cofferdam/policy.toml.*node.*run. does not read it until' cofferdam policy init
step "policy init again" 125 'there already' cofferdam policy init
step "policy check" 0 'ok' cofferdam policy check .cofferdam/policy.toml
step "plan" 0 'coverage' cofferdam plan --policy .cofferdam/policy.toml -- make test
step "run with it" 0 'tested 42' cofferdam run --policy .cofferdam/policy.toml -- make test
sed 's/^version/verison/' .cofferdam/policy.toml >mistake.toml
step "a mistake in the policy" 125 'unknown key .verison.*mistake.toml:[0-9]+.*did you mean .version' \
    cofferdam policy check mistake.toml
step "the same at a run" 125 'unknown key .verison.*mistake.toml:[0-9]+.*did you mean .version' \
    cofferdam run --policy mistake.toml -- make test
step "a refusal" 125 'too wide.*help: ' cofferdam run --grant "$HOME:ro" -- make test
step "the two dashes left out" 125 'put .--. before the command' cofferdam run make test
step "a program that is not inside" 127 'is not inside' cofferdam run -- no-such-program
step "a limit that is hit" 137 'wall_time' cofferdam run --limit wall_time=1s --limit grace=0s -- sleep 20
step "a shell inside" 0 'inside 42' cofferdam shell -- -c 'echo inside $((6 * 7))'
step "what happened" 0 'make test.*unknown key|refus' cofferdam audit show --last 20
step "only what failed" 0 'too wide' cofferdam audit show --failed
step "is the record whole" 0 'whole' cofferdam audit verify
step "the version for a report" 0 'cofferdam [0-9].*landlock' cofferdam version
exit $failed
