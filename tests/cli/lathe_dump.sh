#!/bin/bash
# lathe_dump.sh - lathe-dump on a small text model: each view shows what it is for, and wrong use is refused.
set -u
cd "$(dirname "$0")/../.." || exit 1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
passed=0 failed=0

cat >"$work/model.lir" <<'LIR'
graph main(%x: f32[4,8]) {
  %w = const f32[8,16] splat(0.5)
  %1 = contract %x, %w {spec = "mk,kn->mn"}
  %2 = relu %1
  %3 = exp %x
  yield %2
}
LIR

check() { # WHAT WANTED-EXIT-CODE WANTED-PATTERN ARGUMENTS...
	local what=$1 code=$2 pattern=$3 found
	shift 3
	found=$(build/bin/lathe-dump "$@" 2>&1)
	if [ $? = "$code" ] && grep -q -- "$pattern" <<<"$found"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "$what: expected exit code $code and '$pattern', found:"
		echo "$found" | head -n 20
	fi
}

model=$work/model.lir
check "as read" 0 'contract %0' "$model"
check "named passes" 0 'relu' "$model" --passes infer,dce
check "an unknown pass" 2 "no pass named" "$model" --passes infer,nothing-like-this
build/bin/lathe-dump "$model" --passes infer,dce >"$work/dce.lir"
check "the text reads back" 0 'relu' "$work/dce.lir"
if grep -q exp "$work/dce.lir"; then failed=$((failed + 1)); else passed=$((passed + 1)); fi
check "after one pass" 0 'after fuse' "$model" --after fuse
check "after all passes" 0 'after plan-memory' "$model" --all
check "what a pass changed" 0 '^-%[0-9]* = exp' "$model" --diff
check "what the others changed" 0 '; simplify changed nothing' "$model" --diff
check "the change of one pass" 0 '^+.*fused' "$model" --diff --after fuse
check "two builds part" 0 'the IR differs first after dce' "$model" --diff-with "--disable dce"
check "how they part" 0 '^+.*exp' "$model" --diff-with "--disable dce"
check "two builds by level" 0 'the IR differs first after pack' "$model" --diff-with -O0 --disable dce
check "two builds at once" 0 'the IR is the same' "$model" --diff-with "--verify --disable decompose"
check "a word that is no option" 2 "'nothing' is no option" "$model" --diff-with "nothing"
check "a wrong option" 2 "unknown option '--nothing'" "$model" --diff-with "--nothing"
check "no options" 2 'needs a value' "$model" --diff-with
check "no pass is wrong" 0 'passes the outputs are those of the model' "$model" --bisect
check "no pass is wrong at -O0" 0 'the greatest error is' "$model" --bisect -O0 --input in0=random:3
check "on zeros" 0 'the greatest error is 0$' "$model" --bisect --input in0=zeros
check "an unknown input" 2 'no input of this name' "$model" --bisect --input nobody=zeros
check "a missing input file" 74 'No such file' "$model" --bisect --input in0=missing.npy
check "a shape for text" 2 '--input cannot change them' "$model" --bisect --input in0=4x8
check "reduced to one node" 0 '^  %1 = relu %0 : f32\[4,16\]' "$model" --reduce "grep -q relu"
check "nothing to reduce" 1 'does not find the model interesting' "$model" --reduce "grep -q tanh"
check "no command" 2 'cannot be run' "$model" --reduce "$work/nothing"
check "reduced for a failure" 0 'of IR became' "$model" --reduce "! build/bin/lathec --stop-after nothing"
printf '#!/bin/bash\ngrep -q relu "$1" || exit 1\n[ -e "$0.ran" ] && kill -INT $PPID\ntouch "$0.ran"\n' >"$work/stops.sh"
chmod +x "$work/stops.sh"
check "stopped, and something is left" 1 'graph main' "$model" --reduce "exec $work/stops.sh"
if ls -d "$TMPDIR"/lathe-* 2>/dev/null; then failed=$((failed + 1)); else passed=$((passed + 1)); fi
check "one thing at a time" 2 '--bisect and --diff exclude each other' "$model" --bisect --diff
check "kernels" 0 'parallel' "$model" --kernels
check "assembly" 0 'ret' "$model" --asm --target x86-64
check "LLVM IR" 0 'define' "$model" --llvm
check "memory" 0 'lower bound' "$model" --memory
check "dot" 0 '' "$model" --dot "$work/model.dot" --stop-after fuse
grep -q 'digraph' "$work/model.dot" && passed=$((passed + 1)) || failed=$((failed + 1))
check "svg" 0 '' "$model" --svg "$work/model.svg" --stop-after fuse
grep -q '<svg' "$work/model.svg" && passed=$((passed + 1)) || failed=$((failed + 1))
check "unknown node" 2 'no kernel is made of' "$model" --kernels --node nobody
check "no kernels yet" 2 'no kernels' "$model" --kernels --stop-after fuse
check "missing file" 74 'No such file' "$work/missing.lir"
check "help" 0 'lathe-dump' --help
echo "lathe_dump: $passed passed, $failed failed"
[ "$failed" = 0 ]
