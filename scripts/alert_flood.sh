#!/bin/sh
# No critical alert is lost in floods of a million alerts: the property at scale, optimised, with overflow checks and debug assertions.
# usage: scripts/alert_flood.sh [ALERTS]
set -eu
cd "$(dirname "$0")/.."
AIOPS_ALERT_FLOOD="${1:-1000000}"
export AIOPS_ALERT_FLOOD
cargo test --profile testrelease -p aiops-detect --test it -- --exact --nocapture \
    correlate::bounds::critical_alerts_survive_a_flood
