#!/bin/sh
# A million hostile plans against the default guards and a policy, optimised, with overflow checks and debug assertions.
# usage: scripts/adversary.sh [PLANS [SEED]]
set -eu
cd "$(dirname "$0")/.."
AIOPS_PLANS="${1:-1000000}"
AIOPS_PLANS_SEED="${2:-1}"
export AIOPS_PLANS AIOPS_PLANS_SEED
exec cargo test --profile testrelease -p aiops-act --test it -- --nocapture adversary
