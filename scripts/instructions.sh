#!/bin/sh
# Instructions of each compactor and floor per sample, span or byte, counted by valgrind: what does not depend on how busy
# the machine is. The difference of three turns and one, so that setting up is not counted.
# usage: scripts/instructions.sh [PART OF A NAME]
set -eu
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { echo "not run: there is no valgrind" >&2; exit 1; }
cargo build --release -p aiops-benches --bin work
work="${CARGO_TARGET_DIR:-target}/release/work"
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$work" "$1" "$2" 2>&1 | awk '/Collected/ { print $4 }'
}
printf '| work | instructions | per |\n|---|---|---|\n'
"$work" | grep -F -- "${1:-}" | while IFS="$(printf '\t')" read -r name unit n; do
    one=$(count "$name" 1)
    three=$(count "$name" 3)
    awk -v one="$one" -v three="$three" -v n="$n" -v name="$name" -v unit="$unit" \
        'BEGIN { printf "| %s | %.1f | %s |\n", name, (three - one) / 2 / n, unit }'
done
