#!/bin/bash
# Acceptance of the daily tool: one line for each line that must hold.
#
# usage: tests/acceptance/daily.sh
#
# As root everything runs twice: as root, and as an ordinary user made for it and removed
# afterwards. What cannot run says so by name. Exit status 0 only when every line holds.
suites="broken containment doctor faces policies presets start terminal"
. "$(dirname "$0")/common.sh"

cp tests/acceptance/screens.sh tests/acceptance/hour.sh "$stage/" || exit 1
# A repository that everybody may clone.
git -c safe.directory='*' clone -q --bare "$here" "$stage/repository.git" || exit 1
chmod -R a+rX "$stage/repository.git" && chmod 755 "$stage/screens.sh" "$stage/hour.sh"

# Runs a script of ours in a new directory of the person's.
script_of() {
    who=$1
    shift
    work=$(as "$who" mktemp -d "${TMPDIR:-/tmp}/cofferdam-daily-XXXXXX")
    as "$who" "$@" "$work/here" ${repository:+"$repository"}
    status=$?
    rm -rf "$work"
    return $status
}

person() {
    who=$1 repository=
    script_of "$who" "$stage/screens.sh" "$stage/bin/cofferdam"
    screens=$?
    tests "$who" terminal
    say 1 "$who" $((screens + $?)) "screens of vim, less, htop and tmux; keys, jobs and sizes; the terminal is sane afterwards ($ran tests)"
    tests "$who" containment k30 k31 k32 k33 f41 limits scopes
    say 2 "$who" $? "bombs meet their limits and the host's true runs on; limits are held or refused ($ran tests; the files of cgroup v2 are a unit test over a faked tree)"
    tests "$who" containment f03 f26 f39 f43 f47 l10 l14 p17 k06 hidden_names git_elsewhere kept_homes
    rows=$? rows_ran=$ran
    tests "$who" terminal nobody_else_attaches answers_and_modes
    say 3 "$who" $((rows + $?)) "F03 F26 F39 F41 F43 F47 L10 L14 P17 T03 T09 K01, hidden names, kept homes, git elsewhere ($rows_ran attacks)"
    tests "$who" presets
    say 4 "$who" $? "each preset with its toolchain, where that is installed; nothing outside changed ($ran tests)"
    tests "$who" doctor
    say 5 "$who" $? "doctor against reality: each answer right, each refusal exact ($ran tests)"
    # The clone is built once, by whoever comes last.
    if [ "$who" != "$(id -un)" ] || [ "$(id -u)" != 0 ]; then
        repository=$stage/repository.git
        # git clones nothing that is another's.
        chown -R "$who": "$repository"
    fi
    script_of "$who" "$stage/hour.sh" "$stage/bin"
    say 6 "$who" $? "the first hour: clone, policy init, run, a mistake, a refusal, audit show; no message over 6 lines"
    tests "$who" broken
    first=$?
    tests "$who" policies
    count=$(cat "$here"/crates/cofferdam/tests/{broken,policies}.golden | grep -c '^=== ')
    say 7 "$who" $((first + $?)) "$count broken inputs with their messages, 45 of them of the wall"
    tests "$who" faces
    say "deliver 6" "$who" $? "shell, audit show, completions, manual pages, version ($ran tests)"
    tests "$who" start
    say "deliver 7" "$who" $? "a start lists, syncs and starts nothing needless ($ran tests)"
}

person "$(id -un)"
if [ "$(id -u)" = 0 ]; then
    make_account cofferdam-daily
    person "$account"
else
    echo "not run: the same as another, ordinary user: only root can make one (this was one)"
fi
exit $broken
