#!/bin/sh
# Fits the arena's calibration on development seeds and measures it on others. Held-out seeds are never touched.
#
#   scripts/arena_calibrate.sh OUT [EPISODES_OF_EACH] [THREADS]
#
# OUT gets: fit/ (records it was fitted on), calibration.json, test/ (records with it), fit.md, test.md, reliability.txt.
set -eu
out=${1:?usage: scripts/arena_calibrate.sh OUT [EPISODES_OF_EACH] [THREADS]}
of_each=${2:-3}
threads=${3:-2}
eval=${AIOPS_EVAL:-cargo run --release --quiet -p aiops-eval --}
mkdir -p "$out"
$eval arena --seed 100000 --of-each "$of_each" --nulls 30 --threads "$threads" --out "$out/fit" >"$out/fit.md"
$eval rescore "$out/fit" --calibrate "$out/calibration.json" >/dev/null
$eval arena --seed 200000 --of-each "$of_each" --nulls 30 --threads "$threads" \
    --calibration "$out/calibration.json" --out "$out/test" >"$out/test.md"
$eval rescore "$out/test" --reliability >"$out/reliability.txt"
cat "$out/test.md" "$out/reliability.txt"
