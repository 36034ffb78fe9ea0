#!/bin/bash
# run.sh - runs test programs (the arguments) and the script tests, and adds up their last lines,
# `NAME: P passed, F failed`. One that crashes, hangs, or prints no such line counts as one failed.
# Output is in build/test-logs/NAME.log and is shown for what failed. The last line is
# `N passed, N failed`; the exit code is 0 only when nothing failed and something passed.
#
#     tests/run.sh [PROGRAM...]       without arguments: all of build/tests and the script tests
#     JOBS=2 LIMIT=480                at most so many at once; seconds for each
#     LOGS=build/test-logs            where the output goes
set -u

cd "$(dirname "$0")/.." || exit 1
logs=${LOGS:-build/test-logs}
jobs=${JOBS:-2}
limit=${LIMIT:-480}

run_one() { # PROGRAM NAME: writes NAME.log and NAME.result ("passed failed seconds reason")
	local program=$1 name=$2 start end rc last passed failed reason=ok
	start=$(date +%s%N)
	case $program in
	*.sh) timeout -k 5 "$limit" bash "$program" >"$logs/$name.log" 2>&1 </dev/null ;;
	*) timeout -k 5 "$limit" "$program" >"$logs/$name.log" 2>&1 </dev/null ;;
	esac
	rc=$?
	end=$(date +%s%N)
	last=$(tail -n 1 "$logs/$name.log" | tr -d '\0')
	if [[ $last =~ ^[^[:space:]]+:\ ([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
		passed=$((10#${BASH_REMATCH[1]})) failed=$((10#${BASH_REMATCH[2]}))
		if [ $failed = 0 ] && [ $rc != 0 ]; then
			failed=1 reason="exit code $rc"
		elif [ $passed = 0 ] && [ $failed = 0 ]; then
			failed=1 reason="no test ran"
		fi
	else
		passed=0 failed=1 reason="no last line with the counts, exit code $rc"
		[ $rc = 124 ] && reason="still running after $limit s"
	fi
	[ "$failed" != 0 ] && [ "$reason" = ok ] && reason=failed
	echo "$passed $failed $(((end - start) / 1000000)) $reason" >"$logs/$name.result"
}

show() { # NAME: the line of a finished test, and its log when it failed
	local passed failed ms reason
	read -r passed failed ms reason <"$logs/$1.result"
	printf '%-28s %6d passed %4d failed %4d.%02d s%s\n' "$1" "$passed" "$failed" \
		$((ms / 1000)) $((ms % 1000 / 10)) "$([ "$reason" = ok ] || echo "  ($reason)")"
	[ "$reason" = ok ] || tail -n 40 "$logs/$1.log" | sed 's/^/    | /'
}

programs=("$@")
shopt -s nullglob
if [ $# = 0 ]; then
	for program in build/tests/*; do
		[ -f "$program" ] && [ -x "$program" ] && programs+=("$program")
	done
fi
if [ $# = 0 ] || [ -n "${MAKELEVEL:-}" ]; then
	programs+=(tests/cli/*.sh tests/cuda/*.sh)
	# First, since it takes longest.
	[ -f tests/models/run.sh ] && programs=(tests/models/run.sh "${programs[@]}")
fi

mkdir -p "$logs"
rm -f "$logs"/*.log "$logs"/*.result
names=()
for program in "${programs[@]}"; do
	case $program in
	tests/*.sh) name=${program#tests/} name=${name%.sh} name=${name//\//_} ;;
	*) name=$(basename "$program") ;;
	esac
	names+=("$name")
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
	run_one "$program" "$name" &
done
wait

total_passed=0 total_failed=0
for name in ${names[@]+"${names[@]}"}; do
	show "$name"
	read -r passed failed _ <"$logs/$name.result"
	total_passed=$((total_passed + passed)) total_failed=$((total_failed + failed))
done
echo "$total_passed passed, $total_failed failed" | tee "$logs/summary"
[ $total_failed = 0 ] && [ $total_passed -gt 0 ]
