#!/bin/sh
# Fuzzes one target for some seconds on the installed stable toolchain: libFuzzer with coverage and comparisons, debug
# assertions and overflow checks, without an address sanitizer (which needs nightly; the code has no `unsafe`).
# The corpus is kept in fuzz/corpus/TARGET, so that runs go on where the last one ended.
# usage: scripts/fuzz.sh TARGET [SECONDS]
set -eu
cd "$(dirname "$0")/../fuzz"
target="$1"
seconds="${2:-600}"
triple=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Clink-dead-code -Cdebug-assertions -Coverflow-checks"
export RUSTFLAGS
# With a target triple, so that build scripts and procedural macros are not instrumented.
cargo build --release --quiet --target "$triple" --bin "$target"
if [ "$seconds" -gt 0 ]; then
    mkdir -p "corpus/$target" "artifacts/$target"
    "${CARGO_TARGET_DIR:-target}/$triple/release/$target" "corpus/$target" "seeds/$target" \
        -artifact_prefix="artifacts/$target/" -max_total_time="$seconds" -max_len=4096 -timeout=10 -print_final_stats=1
fi
