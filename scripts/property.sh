#!/bin/sh
# The lifecycle property at scale: 100,000 random histories, optimised, with overflow checks and debug assertions.
# usage: scripts/property.sh [CASES [SEED]]
# The seed is printed and, with the outcome and the number of steps, appended to benches/records/property.tsv; the same seed gives the same run.
# Ten million steps take two or three runs with seeds of their own.
set -eu
cd "$(dirname "$0")/.."
AIOPS_PROPTEST_CASES="${1:-100000}"
AIOPS_PROPTEST_SEED="${2:-$(od -An -N6 -tu8 /dev/urandom | tr -d ' ')}"
export AIOPS_PROPTEST_CASES AIOPS_PROPTEST_SEED
record=benches/records/property.tsv
[ -s "$record" ] || printf 'date\tcommit\tcases\tseed\toutcome\tseconds\tsteps\n' > "$record"
echo "cases $AIOPS_PROPTEST_CASES, seed $AIOPS_PROPTEST_SEED"
output=$(mktemp)
trap 'rm -f "$output"' EXIT
started=$(date +%s)
outcome=passed
cargo test --profile testrelease -p aiops-testkit --test it -- --exact --nocapture \
    lifecycle::nothing_runs_that_was_not_allowed > "$output" || outcome=failed
cat "$output"
steps=$(sed -n 's/^\([0-9]*\) steps, .*/\1/p' "$output")
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$(date -u +%F)" "$commit" "$AIOPS_PROPTEST_CASES" "$AIOPS_PROPTEST_SEED" \
    "$outcome" "$(($(date +%s) - started))" "${steps:-unknown}" >> "$record"
echo "$outcome, seed $AIOPS_PROPTEST_SEED (recorded in $record)"
[ "$outcome" = passed ]
