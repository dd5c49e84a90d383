#!/bin/bash
# Acceptance of credentials and output controls: one line for each line that must hold.
#
# usage: tests/acceptance/vault.sh
#
# As root everything but fuzzing runs twice: as root, and as an ordinary user made for it and removed
# afterwards. What cannot run says so by name. Exit status 0 only when every line holds. After each run of
# the first lines the secret is looked for in all that cofferdam wrote.
#
# FUZZ_SECS (5) is for who has less time, or more.
suites="identity vault output"
. "$(dirname "$0")/common.sh"

person() {
    who=$1
    tests "$who" identity incident::a_foreign incident::the_secret --test-threads=4
    say 1 "$who" $? "the incident: a foreign key's upload is refused with an alarm, the session's own passes with the real key, and that is nowhere inside ($ran tests)"
    tests "$who" identity incident::what_a_phish
    say 2 "$who" $? "the phish: the file is absent, and the post has no route ($ran tests)"
    # Each fetches its packages: once is enough for those who serve them.
    if [ "$who" = "$(id -un)" ]; then
        tests "$who" identity clients --test-threads=4
        say 3 "$who" $? "real clients that hold what stands in, against origins that see the real thing ($ran tests)"
    else
        echo "not run: real clients as another, ordinary user: what they are is fetched once"
    fi
    tests "$who" identity oauth --test-threads=4
    say "deliver 3, C21" "$who" $? "tokens that an endpoint rotates: stand-ins alone are inside, the vault has the new one, a foreign one is refused; client credentials, HTTP/2, logins ($ran tests)"
    tests "$who" identity ssh::a_named ssh::git ssh::the_key ssh::the_agents ssh::the_plan ssh::without --test-threads=2
    say "3, ssh" "$who" $? "ssh and git over ssh against OpenSSH's own host: an agent inside signs, and the key stays outside ($ran tests)"
    tests "$who" identity ssh::another ssh::nothing ssh::replayed ssh::each ssh::a_kept ssh::a_revoked ssh::an_expired ssh::a_key ssh::what ssh::others --test-threads=2
    say "4, agents" "$who" $? "C15 C16 C17: another host, another user, keys to add and locks; the person's own agents, keyrings and helpers of git ($ran tests)"
    tests "$who" identity bearing astray lifecycle messages --test-threads=4
    say 4 "$who" $? "C01 C04 C06 C07 C09 C10 C14 C19 C20 S24 T07: each way to bear an identity with its twins, what goes astray, revoked, expired, of another session ($ran tests)"
    tests "$who" identity fetching
    say "4, C03" "$who" $? "C03: an API that is allowed fetches, runs and keeps nothing for its caller ($ran tests)"
    tests "$who" identity masked
    say "4, C23 C24" "$who" $? "C23 C24: a masked .env shows what stands in, the host gets the real thing; files of the home that hold keys are absent ($ran tests)"
    tests "$who" output
    say "4, output" "$who" $? "T01 T03 T08: what a terminal, a file and a pipe get, canaries, sizes, records that nobody forges ($ran tests)"
    tests "$who" vault
    say "deliver 1" "$who" $? "the vault: set, list, test, rotate, remove; locked, corrupt, two at once; the value is nowhere ($ran tests)"
}

person "$(id -un)"
fuzz 5 --secrets "${FUZZ_SECS:-5}" \
    "fuzz targets of what looks for secrets and takes them out, signs, and makes output safe, ${FUZZ_SECS:-5} s each; AWS's vectors are unit tests"
if [ "$(id -u)" = 0 ]; then
    make_account cofferdam-vault
    person "$account"
else
    echo "not run: the same as another, ordinary user: only root can make one (this was one)"
fi
exit $broken
