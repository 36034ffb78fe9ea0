#!/bin/bash
# conformance.sh - that the conformance driver can fail: cases of its own, right, wrong, malformed, and what it says
# when its list of known failures is not true.
set -u
cd "$(dirname "$0")/../.." || exit 1

driver=$PWD/build/tests/conformance
suite=$PWD/build/conformance/cases
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work # where a linker leaves its files when the case crashes
passed=0 failed=0
cd "$work" || exit 1
mkdir -p tests/conformance build/conformance/cases/{node,simple,pytorch-converted,pytorch-operator}
list=tests/conformance/expected

expect() { # WHAT STATUS TEXT [OPTIONS...]: the driver's exit code, and a line that it prints
	local what=$1 status=$2 text=$3
	shift 3
	"$driver" --all $dims "$@" >out 2>&1
	local code=$?
	if [ $code = "$status" ] && grep -qxF "$text" out; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "failed: $what: exit code $code, expected $status and the line '$text'; said:"
		sed 's/^/    /' out
	fi
}

case_of() { # NAME: a copy of that case
	cp -r "$suite/node/$1" build/conformance/cases/node/
}

dims='--dims given'
: >$list
case_of test_abs
expect 'a right answer' 0 '1 passed, 0 failed, 0 skipped'
cp "$suite/node/test_abs/test_data_set_0/input_0.pb" build/conformance/cases/node/test_abs/test_data_set_0/output_0.pb
expect 'a wrong answer' 1 '0 passed, 1 failed, 0 skipped'
echo 'node/test_abs: known' >$list
expect 'a wrong answer that is known' 0 '0 passed, 1 failed, 0 skipped'

case_of test_relu
cp "$suite/node/test_exp/model.onnx" build/conformance/cases/node/test_relu/
expect 'another function' 1 '1 results are not what tests/conformance/expected says'
expect 'blessing' 0 '0 passed, 2 failed, 0 skipped' --bless
expect 'what was blessed' 0 '0 passed, 2 failed, 0 skipped'
expect 'a glob' 0 '0 passed, 1 failed, 1 skipped' --filter 'test_r*'
grep -qx 'node/test_abs: known' $list && grep -q '^node/test_relu: output 0: ' $list
expect 'reasons' $? '0 passed, 2 failed, 0 skipped'
cp "$suite/node/test_relu/model.onnx" build/conformance/cases/node/test_relu/
expect 'a case that passes again' 1 'node/test_relu: passes, and stands in tests/conformance/expected'

head -c 60 "$suite/node/test_relu/model.onnx" >build/conformance/cases/node/test_relu/model.onnx
expect 'a damaged model' 0 '0 passed, 2 failed, 0 skipped'
rm -r build/conformance/cases/node/test_relu/test_data_set_0
cp "$suite/node/test_relu/model.onnx" build/conformance/cases/node/test_relu/
expect 'no data' 0 'node/test_relu: test data: there is no data set' --list-failures

# A linker that takes the case down, and one that never ends: the run goes on.
printf '#!/bin/bash\nkill -SEGV $PPID\n' >crash
printf '#!/bin/bash\nexec sleep 3\n' >hang
chmod +x crash hang
LATHE_LD=$work/crash expect 'a crash' 0 'node/test_relu: crash: Segmentation fault' --list-failures
LATHE_LD=$work/hang expect 'a case that hangs' 0 'node/test_relu: too slow: still running after 1 s' \
	--list-failures --limit 1

# Symbolic extents: a model of f32[2], whose data has three elements.
rm -r build/conformance/cases/node/*
case_of test_neg_example
data=build/conformance/cases/node/test_neg_example/test_data_set_0
printf '\x08\x03\x10\x01\x4a\x0c\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40' >$data/input_0.pb
printf '\x08\x03\x10\x01\x4a\x0c\x00\x00\x80\xbf\x00\x00\x00\xc0\x00\x00\x40\xc0' >$data/output_0.pb
: >$list
: >$list.batch
: >$list.all
expect 'other extents than given' 1 "node/test_neg_example: run-time error: input 'x' axis 0: expected 2, found 3"
dims='--dims batch' expect 'other leading extents' 0 '1 passed, 0 failed, 0 skipped'
dims='--dims all' expect 'other extents' 0 '1 passed, 0 failed, 0 skipped'
dims='' expect 'every form' 1 '2 passed, 1 failed, 0 skipped'
dims='' expect 'blessing every form' 0 'all            1   1             1   1' --bless --json results
grep -q '^node/test_neg_example' $list && ! grep -q '^node' $list.batch $list.all &&
	[ "$(grep -c '"dims": "\(given\|batch\|all\)", "case": "node/test_neg_example"' results)" = 3 ]
dims='' expect 'lists and results' $? '2 passed, 1 failed, 0 skipped'
: >$list
echo 'node/test_neg_example: known' >$list.all
dims='' expect 'a list of a form' 1 'node/test_neg_example: passes, and stands in tests/conformance/expected.all'

echo 'node/test_nothing: known' >$list
expect 'an unknown name' 1 'tests/conformance/expected: error: the suite has no case node/test_nothing'

echo "cli_conformance: $passed passed, $failed failed"
[ $failed = 0 ]
