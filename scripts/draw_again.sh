#!/bin/sh
# Plays the unit and integration tests of the workspace again and again, each time with another seed for what is drawn at random.
# usage: scripts/draw_again.sh [ROUNDS [FIRST_SEED]]
# `.ci/run` plays one fixed seed, so that a red run is the fault of the change; this looks where nobody has looked. The round that fails
# ends it and tells its seed: `PROPTEST_RNG_SEED=SEED cargo test -p CRATE NAME` plays it again.
set -eu
cd "$(dirname "$0")/.."
rounds="${1:-10}"
[ "$rounds" -ge 1 ] || { echo "usage: $0 [ROUNDS [FIRST_SEED]]" >&2; exit 2; }
seed="${2:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}"
for round in $(seq "$rounds"); do
    echo "round $round of $rounds, seed $seed"
    PROPTEST_RNG_SEED=$seed cargo test -q --locked --workspace --lib --test it || { echo "failed with seed $seed"; exit 1; }
    seed=$((seed + 1))
done
