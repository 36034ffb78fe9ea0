#!/bin/bash
# checks.sh - that the checks can fail: lint on a tree with one violation of each kind, and the test
# runner on programs that crash, hang, lie or say nothing.
set -u
cd "$(dirname "$0")/../.." || exit 1
unset MAKEFLAGS MAKELEVEL

root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

count() { # STATUS WHAT: counts what just ran
	if [ "$1" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "failed: $2"
	fi
}

repeat() { # COUNT TEXT
	local i
	for ((i = 0; i < $1; i++)); do printf '%s' "$2"; done
}

# ---- lint ----

mkdir -p "$work"/tree/{tools,ir,codegen/llvm,runtime/base,foreign}
cp tools/lint.sh tools/deps_check.sh tools/sources.sh "$work/tree/tools/"
cd "$work/tree" || exit 1

lines=$(repeat 60 $'    a++;\n')
printf '/* ok. */\nint f(int a) {\n%s\n}\n' "$(echo "$lines" | head -n 58)" >ir/ok.c
printf '/* %s */\n' "$(repeat 94 é)" >ir/wide.h
tools/lint.sh >"$work/out" 2>&1 && [ ! -e foreign/x ]
count $? "a clean tree passes: $(cat "$work/out")"

violation() { # FILE TEXT EXPECTED: lint fails on a file with that text, with that line alone
	printf '%b' "$2" >"$1"
	tools/lint.sh >"$work/out" 2>/dev/null
	local status=$?
	[ $status = 1 ] && [ "$(cat "$work/out")" = "$3" ]
	count $? "$3 (exit code $status, said: $(cat "$work/out"))"
	rm -f "$1"
}

violation ir/a.c 'int a;\n' 'ir/a.c:1: a file opens with a comment that states its idea'
violation ir/a.c '/* a */\nint a; \n' 'ir/a.c:2: blanks at the end of the line'
violation ir/a.c '/* a */\n\tint a;\n' 'ir/a.c:2: a tab; indent with 4 spaces'
violation ir/a.c "/* $(repeat 95 x) */\n" 'ir/a.c:1: 101 columns; at most 100'
violation ir/a.c "/* a */\n$(repeat 600 'int a;\n')" 'ir/a.c:601: more than 600 lines: split the file'
violation ir/a.c "/* a */\nint f(int a,\n      int b) {\n$lines\n}\n" \
	'ir/a.c:2: f has 63 lines; at most 60'
violation ir/a.c '/* a */\n#include "passes/pass.h"\n' 'ir/a.c:2: ir must not include passes/pass.h'
violation ir/a.c '/* a */\n#include <llvm-c/Core.h>\n' \
	'ir/a.c:2: only codegen/llvm includes llvm-c/Core.h'
violation ir/a.c '/* a */\n#include "a.h"\n' 'ir/a.c:2: "a.h" is not a path from the root of the tree'
violation runtime/base/a.c '/* a */\n#include "runtime/pool.h"\n' \
	'runtime/base/a.c:2: base must not include runtime/pool.h'
violation foreign/x '' 'foreign:1: does not belong at the top level (see tools/lint.sh)'
violation notes.txt '' 'notes.txt:1: does not belong at the top level (see tools/lint.sh)'

printf '/* a */\n#include <llvm-c/Core.h>\n#include "runtime/artifact.h"\n' >codegen/llvm/a.c
tools/deps_check.sh >"$work/out" 2>&1
count $? "codegen/llvm sees LLVM and the artifact: $(cat "$work/out")"

# ---- the runner ----

cd "$work" || exit 1
runs() { # SCRIPT LAST LINE STATUS: what run.sh says of a program that is this script
	printf '#!/bin/bash\n%s\n' "$1" >program
	chmod +x program
	LOGS=$work/logs LIMIT=1 "$root/tests/run.sh" "$work/program" >out 2>/dev/null
	local status=$?
	[ $status = "$3" ] && [ "$(tail -n 1 out)" = "$2" ]
	count $? "'$1' gives '$2' (exit code $status, said: $(cat out))"
}

runs 'echo "x: 3 passed, 0 failed"' '3 passed, 0 failed' 0
runs 'echo "x: 3 passed, 2 failed"; exit 1' '3 passed, 2 failed' 1
runs 'echo "x: 3 passed, 2 failed"' '3 passed, 2 failed' 1
runs 'echo "x: 3 passed, 0 failed"; exit 1' '3 passed, 1 failed' 1
runs 'echo "x: 3 passed, 0 failed"; echo bye' '0 passed, 1 failed' 1
runs 'echo "x: 0 passed, 0 failed"' '0 passed, 1 failed' 1
runs 'true' '0 passed, 1 failed' 1
runs 'kill -SEGV $$' '0 passed, 1 failed' 1
runs 'sleep 9; echo "x: 1 passed, 0 failed"' '0 passed, 1 failed' 1
LOGS=$work/logs "$root/tests/run.sh" "$work/absent" >out 2>/dev/null
[ $? = 1 ] && [ "$(tail -n 1 out)" = '0 passed, 1 failed' ]
count $? "a program that is not there"

echo "checks: $passed passed, $failed failed"
[ $failed = 0 ]
