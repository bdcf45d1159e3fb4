#!/usr/bin/env bash
# Every GPU test and benchmark of the project in one call, under 9 minutes, on a machine with torch, Triton and
# transformers. Results go to $OUT (default data/results); one short table is printed last.
set -uo pipefail
cd "$(dirname "$0")/../.."
out=${OUT:-data/results}
mkdir -p "$out"
export PYTHONUNBUFFERED=1
python=${PYTHON:-python3}
summary=()

step() { # NAME SECONDS COMMAND...: runs it, keeps its log, remembers how it went
    local name=$1 limit=$2 began=$SECONDS state=ok
    shift 2
    timeout "$limit" "$@" >"$out/$name.log" 2>&1 || state="FAILED ($?)"
    summary+=("$(printf '%-12s %-14s %4ss  %s' "$name" "$state" $((SECONDS - began)) "$(grep -v '^$' "$out/$name.log" | tail -1 | cut -c1-110)")")
}

workers=()
"$python" -c "import xdist" 2>/dev/null && workers=(-n 8) # nearly all of the tests' time is compiling
step tests 200 "$python" -m pytest tests/kernels -m gpu -q --noconftest -p no:cacheprovider "${workers[@]}"
for module in attention decode estimate policies; do
    if [ -f "tests/benchmarks/$module.py" ]; then
        step "$module" 150 "$python" -m "tests.benchmarks.$module" --out "$out/$module.json"
    fi
done
if command -v compute-sanitizer >/dev/null; then
    step memcheck 90 compute-sanitizer --tool memcheck --error-exitcode 9 "$python" -m tests.benchmarks.sanitize
    # for information: racecheck does not follow the barriers by which Triton hands arguments to partitions, see NOTES.md
    step racecheck 90 compute-sanitizer --tool racecheck "$python" -m tests.benchmarks.sanitize
    step control 60 compute-sanitizer --tool racecheck "$python" -m tests.benchmarks.sanitize control
fi

for module in attention decode estimate policies; do
    [ -f "$out/$module.log" ] && sed -nE '/^(case|policy) /,$p' "$out/$module.log"
done
printf '%s\n' "${summary[@]}"
! printf '%s\n' "${summary[@]}" | grep -q FAILED
