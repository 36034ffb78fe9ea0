#!/bin/bash
# golden.sh - golden tests of the passes: tests/golden/PASS/*.lir hold `# RUN: passes`, the input, `# EXPECT`, and the text
# that `lathe-dump --passes` must print for it. `golden.sh --bless` rewrites what is expected: read the diff before
# it is committed.
set -u
cd "$(dirname "$0")/../.." || exit 1

bless=${1:-}
passed=0 failed=0
found=$(mktemp) wanted=$(mktemp)
trap 'rm -f "$found" "$wanted"' EXIT

for file in tests/golden/*/*.lir; do
	passes=$(sed -n 's/^# RUN: //p' "$file")
	build/bin/lathe-dump "$file" --target x86-64-avx2 --verify --passes "$passes" >"$found" 2>&1
	code=$?
	if [ "$bless" = --bless ]; then
		{ sed '/^# EXPECT/,$d' "$file"; echo '# EXPECT'; sed 's/^/# /' "$found"; } >"$wanted"
		cp "$wanted" "$file"
	fi
	sed '1,/^# EXPECT/d; s/^# \{0,1\}//' "$file" >"$wanted"
	if [ $code = 0 ] && diff -u --label "$file" "$wanted" --label found "$found"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
done

# Every pass on graphs has its cases, and one that does not fire.
for pass in infer fold simplify cse dce layout pack fuse order decompose; do
	[ -d "tests/golden/$pass" ] || { echo "pass $pass has no golden test"; failed=$((failed + 1)); }
done
echo "golden: $passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
