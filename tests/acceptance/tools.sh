#!/bin/sh
# Everyday tools inside `cofferdam run`, under the built-in policy. One line a tool.
#
# usage: tools.sh COFFERDAM DIRECTORY   (the directory is made anew and left behind)
#
# A toolchain is taken from PATH; the crate's dependency must have been fetched before.
set -u
cofferdam=$1
work=$2
failed=0

inside() { "$cofferdam" run --quiet -- sh -ec "$1"; }

tool() {
    name=$1
    if out=$(inside "$2" 2>&1 </dev/null); then
        echo "    ok $name"
    else
        status=$?
        failed=1
        echo "    FAILED $name (status $status)"
        echo "$out" | tail -n 15 | sed 's/^/        /'
    fi
}

rm -rf "$work"
mkdir -p "$work" && cd "$work" || exit 1

# An existing repository, made outside.
git init -q . && git config user.email a@example.com && git config user.name a &&
    echo 1 >a && git add a && git commit -qm one || exit 1
tool "git: add, diff, commit, status, log" \
    'echo 2 >>a; git add a; git diff --cached --stat; git commit -qm two; git status -s; test $(git log --oneline | wc -l) = 2'
tool "git init in a subdirectory" \
    'git init -q sub; cd sub; git config user.email a@example.com; git config user.name a; echo 1 >b; git add b; git commit -qm one'

mkdir -p pack/tests
printf 'def four():\n    return 4\n' >pack/mod.py
printf 'from mod import four\n\ndef test_four():\n    assert four() == 4\n' >pack/tests/test_mod.py
tool "python3 -m venv" \
    '/usr/bin/python3 -m venv .venv; .venv/bin/python -c "import sys; assert sys.prefix != sys.base_prefix"; .venv/bin/pip --version'
tool "pytest of a small package" 'cd pack; PYTHONPATH=. /usr/bin/python3 -m pytest -q -p no:cacheprovider'

printf 'const test = require("node:test"), assert = require("node:assert");\ntest("sum", () => assert.equal(1 + 1, 2));\n' >sum.test.js
tool "node and a small test" 'node --test sum.test.js'

mkdir -p crate/src
printf '[package]\nname = "small"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nstrsim = "0.11"\n' >crate/Cargo.toml
printf 'fn main() { println!("{}", strsim::jaro("a", "a")); }\n#[test]\nfn distance() { assert_eq!(strsim::hamming("ab", "ac").unwrap(), 1); }\n' >crate/src/main.rs
tool "cargo build and cargo test of a crate with a fetched dependency" \
    'cd crate; cargo build -q --offline; cargo test -q --offline; ./target/debug/small'

printf 'int main(void) { return 0; }\n' >c.c
printf 'all: c\nc: c.c\n\tcc -O1 c.c -o c\n' >c.mk
tool "make and cc" 'make -sf c.mk; ./c'
{
    printf 'all:'
    for i in $(seq 50); do printf ' out/%s' "$i"; done
    printf '\nout/%%:\n\t@mkdir -p out; sleep 0.2; echo $@ >$@\n'
} >many.mk
tool "a 50-process parallel build" 'make -sj50 -f many.mk; test $(ls out | wc -l) = 50'
tool "sqlite3, with a write-ahead log" \
    'sqlite3 db "pragma journal_mode = wal; create table t(x); insert into t values (1), (2);" >/dev/null; test $(sqlite3 db "select sum(x) from t") = 3'
tool "tar" 'tar czf p.tgz pack; mkdir -p un; tar xzf p.tgz -C un; diff -r pack un/pack'
tool "rg" 'rg -q test_four .'
exit $failed
