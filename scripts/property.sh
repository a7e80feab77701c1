#!/bin/sh
# Properties at scale, optimised, with overflow checks and debug assertions: the lifecycle with 100,000 random histories, and that no critical
# alert is lost in floods of a million.
# usage: scripts/property.sh [CASES [SEED]]
# The seed is printed and, with the outcome, appended to benches/records/property.tsv; the same seed gives the same run.
set -eu
cd "$(dirname "$0")/.."
AIOPS_PROPTEST_CASES="${1:-100000}"
AIOPS_PROPTEST_SEED="${2:-$(od -An -N6 -tu8 /dev/urandom | tr -d ' ')}"
export AIOPS_PROPTEST_CASES AIOPS_PROPTEST_SEED
record=benches/records/property.tsv
[ -s "$record" ] || printf 'date\tcommit\tcases\tseed\toutcome\tseconds\n' > "$record"
echo "cases $AIOPS_PROPTEST_CASES, seed $AIOPS_PROPTEST_SEED"
started=$(date +%s)
outcome=passed
cargo test --profile testrelease -p aiops-testkit --test it -- --exact --nocapture \
    lifecycle::nothing_runs_that_was_not_allowed || outcome=failed
AIOPS_ALERT_FLOOD=1000000 cargo test --profile testrelease -p aiops-detect --test it -- --exact --nocapture \
    correlate::bounds::critical_alerts_survive_a_flood || outcome=failed
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$(date -u +%F)" "$commit" "$AIOPS_PROPTEST_CASES" "$AIOPS_PROPTEST_SEED" \
    "$outcome" "$(($(date +%s) - started))" >> "$record"
echo "$outcome, seed $AIOPS_PROPTEST_SEED (recorded in $record)"
[ "$outcome" = passed ]
