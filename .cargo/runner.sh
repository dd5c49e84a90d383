#!/bin/sh
# How cargo starts a program that it built. `cargo run` builds one program of a package, and
# `cofferdam` (or an example that embeds it) starts `cofferdam-init`, which lies beside it: build
# that too, in the same way.
set -eu
folder=$(dirname "$1")
case $1 in
*/examples/*) folder=$(dirname "$folder") ;;
*/cofferdam) ;;
*) exec "$@" ;;
esac
profile=$(basename "$folder")
if [ "$profile" = debug ]; then profile=dev; fi
"${CARGO:-cargo}" build --quiet --locked --bins --profile "$profile" \
    --manifest-path "$CARGO_MANIFEST_DIR/Cargo.toml"
exec "$@"
