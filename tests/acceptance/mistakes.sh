#!/bin/bash
# Broken rules about names: each is refused with one message, piped and on a terminal.
#
# usage: mistakes.sh COFFERDAM DIRECTORY   (the directory is made anew and left behind)
set -u
cofferdam=$1
work=$2
failed=0
rm -rf "$work" && mkdir -p "$work/app" && cd "$work/app" || exit 1
git init -q .

# told FILE TEXT: what was said is refused for TEXT, at line 3 of the policy, with a remedy, in six rows.
told() {
    good=0
    tr -d '\r' <"$1" | sed 's/\x1b\[[0-9;?]*[a-zA-Z]//g' >said
    [ "$(grep -c '^cofferdam: refused: ' said)" = 1 ] || { echo "        not one message"; good=1; }
    # On a terminal rows are broken to its width.
    tr -s '\n ' '  ' <said | grep -qF -- "$2" || { echo "        not said: $2"; good=1; }
    grep -qE -- "--> .*policy\.toml:3:[0-9]+" said || { echo "        no place"; good=1; }
    grep -q '^ *help: ' said || { echo "        no remedy"; good=1; }
    # The place names the policy's file, however long its path is.
    rows=$(grep -v -- '--> ' said | fold -s -w 80 | grep -c '')
    [ "$rows" -le 6 ] || { echo "        $rows rows"; good=1; }
    [ ! -e ran ] || { echo "        it ran"; good=1; }
    return $good
}

# mistake TEXT LINE: the line, in [filesystem], is refused for TEXT.
mistake() {
    printf 'version = 1\n[filesystem]\n%s\n' "$2" >"$work/policy.toml"
    broken=0
    "$cofferdam" run --policy "$work/policy.toml" -- touch ran >out 2>&1 </dev/null
    status=$?
    [ $status = 125 ] || { echo "        piped: status $status"; broken=1; }
    told out "$1" || broken=1
    script -qec "$cofferdam run --policy $work/policy.toml -- touch ran" /dev/null >out </dev/null
    status=$?
    [ $status = 125 ] || { echo "        on a terminal: status $status"; broken=1; }
    told out "$1" || broken=1
    if [ $broken = 0 ]; then echo "    ok $2"; else
        failed=1
        echo "    BROKEN $2"
        sed 's/^/        | /' said
    fi
}

mistake 'goes with `no-delete`' 'workspace = { path = ".", mode = "read-write", overwrite = false }'
mistake 'must be a boolean' 'workspace = { path = ".", mode = "no-delete", overwrite = "no" }'
mistake 'unknown mode' 'workspace = { path = ".", mode = "nodelete" }'
mistake 'did you mean `overwrite`' 'workspace = { path = ".", mode = "no-delete", overwirte = false }'
mistake 'is no pattern' 'hide = ["**/*.{pem,key}"]'
mistake 'is the workspace itself' 'hide = ["."]'
mistake 'contains `..`' 'protect = ["../other"]'
mistake 'must be an array' 'mask = "conf/.env"'
mistake 'covers the workspace' 'mask = ["."]'

# The twin: the same rules, written well.
printf 'version = 1\n[filesystem]\nworkspace = { path = ".", mode = "no-delete", overwrite = false }\nhide = ["**/*.pem"]\nmask = ["conf/.env"]\nprotect = ["later/**"]\n' >"$work/policy.toml"
if "$cofferdam" run --quiet --policy "$work/policy.toml" -- touch ran && [ -e ran ]; then
    echo "    ok the same without mistakes"
else
    failed=1
    echo "    BROKEN the same without mistakes"
fi
exit $failed
