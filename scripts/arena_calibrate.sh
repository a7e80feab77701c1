#!/bin/sh
# Fits the arena's calibration on development seeds, measures it on others, and ships it. Held-out seeds are never touched.
#
#   scripts/arena_calibrate.sh OUT [EPISODES_OF_EACH] [THREADS]
#
# OUT gets: fit/ (records it was fitted on), calibration.json, test/ (records with it), fit.md, test.md, reliability.txt.
# Calibration and reliability curve become aiops-eval/data/arena_calibration.json and arena_reliability.txt, which the next build has in it.
set -eu
out=${1:?usage: scripts/arena_calibrate.sh OUT [EPISODES_OF_EACH] [THREADS]}
of_each=${2:-3}
threads=${3:-2}
data=$(dirname "$0")/../aiops-eval/data
eval=${AIOPS_EVAL:-cargo run --release --quiet -p aiops-eval --}
mkdir -p "$out"
$eval arena --uncalibrated --seed 100000 --of-each "$of_each" --nulls 30 --threads "$threads" --out "$out/fit" >"$out/fit.md"
$eval rescore "$out/fit" --calibrate "$out/calibration.json" >/dev/null
$eval arena --seed 200000 --of-each "$of_each" --nulls 30 --threads "$threads" \
    --calibration "$out/calibration.json" --out "$out/test" >"$out/test.md"
$eval rescore "$out/test" --reliability >"$out/reliability.txt"
cp "$out/calibration.json" "$data/arena_calibration.json"
cp "$out/reliability.txt" "$data/arena_reliability.txt"
cat "$out/test.md" "$out/reliability.txt"
