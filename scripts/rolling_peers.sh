#!/bin/sh
# Rolling 3-sigma scores beside bottleneck and polars: 10 million f64, window 288, one thread, interleaved rounds.
# usage: scripts/rolling_peers.sh [ROUNDS]
# Installs the peers with pip into a temporary virtual environment, which is removed at the end.
set -eu
cd "$(dirname "$0")/.."
cargo build --release -p aiops-benches --bin ratios
target="${CARGO_TARGET_DIR:-target}"
environment=$(mktemp -d)
trap 'rm -rf "$environment"' EXIT INT TERM
python3 -m venv "$environment"
"$environment/bin/pip" --quiet install numpy bottleneck polars
POLARS_MAX_THREADS=1 OMP_NUM_THREADS=1 \
    "$environment/bin/python" scripts/rolling_peers.py "$target/release/ratios" "${1:-5}"
