#!/bin/bash
# Agents at work: one line for each turn that must be made. `cargo xtask agents` installs them first.
#
# usage: COFFERDAM_TOOLS=DIRECTORY tests/acceptance/agents.sh
#
# DIRECTORY/npm-global is where npm has put them, as its --prefix. As root everything runs twice: as
# root, and as an ordinary user made for it and removed afterwards. What is not installed is a line
# that does not hold.
suites="presets"
. "$(dirname "$0")/common.sh"

mkdir "$stage/tools" || exit 1
# Links where they can be made, and where everybody may read them: agents are large.
cp -al "$COFFERDAM_TOOLS/npm-global" "$stage/tools/" 2>/dev/null ||
    { rm -rf "$stage/tools/npm-global" && cp -a "$COFFERDAM_TOOLS/npm-global" "$stage/tools/"; } || exit 1
export COFFERDAM_TOOLS=$stage/tools

# turn WHO NAME FILTER COUNT: so many tests ran, and each did what it is for.
turn() {
    tests "$1" presets "$3"
    status=$?
    if [ "${ran:-0}" != "$4" ] || grep -q '^not run' "$log"; then status=1; fi
    say "$2" "$1" $status "$5 ($ran tests)"
}

person() {
    turn "$1" claude-code turns::claude_code 4 "a whole turn with the API under its name, by proxy and direct; its key is told nowhere; reports are kept in; its screen shows"
    turn "$1" codex turns::codex 3 "a whole turn with the API under its name, by proxy and direct; its key is told nowhere; closed hosts are named once"
    turn "$1" logins turns::logins 2 "a whole turn by a login and no key: the agent refreshes its token, the API sees the real one, which is nowhere inside, and the vault has the next"
    turn "$1" key turns::a_key 1 "the key is passed only where the person says so"
}

person "$(id -un)"
if [ "$(id -u)" = 0 ]; then
    make_account cofferdam-agents
    person "$account"
else
    echo "not run: the same as another, ordinary user: only root can make one (this was one)"
fi
exit $broken
