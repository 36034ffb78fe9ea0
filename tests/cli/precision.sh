#!/bin/bash
# precision.sh - `--precision`: where products are rounded and where not, that it is told, and what is refused.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/cli/results.bash

lathec=build/bin/lathec
cat >"$work/m.lir" <<'END'
graph main(%x: f32[5,64], %w: f32[64,48], %h: f16[5,64], %v: f16[64,48], %d: f64[5,64], %e: f64[64,48]) {
  %1 = contract %x, %w {spec = "mk,kn->mn"} : f32[5,48]
  %2 = contract %h, %v {spec = "mk,kn->mn"} : f16[5,48]
  %3 = contract %d, %e {spec = "mk,kn->mn"} : f64[5,48]
  yield %1, %2, %3
}
END

expect() { # CODE ARGUMENTS...: lathec's exit code; what it says is in log
	local code=$1
	shift
	"$lathec" "$@" >"$work/text" 2>"$work/log"
	local found=$?
	[ $found = "$code" ]
	result $? "lathec $(sed "s|$work/||g" <<<"$*"): exit code $found, expected $code"
}
has() { # FILE TEXT...: all of them
	local text missing=
	for text in "${@:2}"; do grep -qF -- "$text" "$1" || missing=$text; done
	[ -z "$missing" ]
	result $? "$(basename "$1") has ${missing:-all that it should}"
}

# The graph: products of f32 alone, and nothing at all without the option.
for precision in bf16 f16 tf32; do
	expect 0 "$work/m.lir" --target cuda --precision $precision --emit ir --stop-after precision -o - --remarks
	[ "$(grep -c "m.lir:.*remark: precision: operands are rounded to $precision" "$work/log")" = 1 ]
	result $? "$precision: a remark for the one product of f32"
	case $precision in
	tf32) has "$work/text" '{fn = tf32, spec = "mk,kn->mn"} : f32[5,48]' ;;
	*) has "$work/text" "{dtype = $precision} : $precision[5,64]" '{spec = "mk,kn->mn", dtype = f32} : f32[5,48]' ;;
	esac
	grep -q '{spec = "mk,kn->mn"} : f16' "$work/text" && grep -q '{spec = "mk,kn->mn"} : f64' "$work/text"
	result $? "$precision: products of f16 and f64 stay as they are"
	cp "$work/text" "$work/rounded.lir"
	expect 0 "$work/rounded.lir" --emit ir --stop-after precision -o -
	diff -q "$work/rounded.lir" "$work/text" >"$work/log"
	result $? "$precision: the text reads as the same graph"
done
expect 0 "$work/m.lir" --emit ir --stop-after simplify -o "$work/before.lir"
expect 0 "$work/m.lir" --precision f32 --emit ir --stop-after precision -o "$work/after.lir"
cmp -s "$work/before.lir" "$work/after.lir"
result $? 'f32: results are as the model states'

# It is told.
expect 0 "$work/m.lir" --target cuda --precision tf32 -o "$work/m.cu" --stats --remarks
has "$work/m.cu" '// precision: tf32 (operands of products of f32)' 'tf32(in'
[ "$(sed -n 's/^precision  *//p' "$work/log")" = tf32 ]
result $? 'tf32: --stats names it'
expect 0 "$work/m.lir" -o "$work/f32.so" --stats
[ "$(sed -n 's/^precision  *//p' "$work/log")" = f32 ]
result $? 'f32: --stats names it'
expect 0 "$work/m.lir" --precision bf16 -o "$work/bf16.so"
build/bin/lathe-run "$work/bf16.so" --info >"$work/info" && has "$work/info" 'precision bf16'
! { build/bin/lathe-run "$work/f32.so" --info | grep -q precision; }
result $? 'an artifact in f32 says nothing of it'
expect 0 --help
has "$work/text" '--precision P' 'sums stay in f32'

# Results are near those in f32, and not the same.
for name in f32 bf16; do
	build/bin/lathe-run "$work/$name.so" --input in0=random:1 --input in1=random:2 --input in2=random:3 --input in3=random:4 \
		--input in4=random:5 --input in5=random:6 --output-dir "$work/$name" >"$work/log" 2>&1
	result $? "$name: the artifact runs"
done
build/venv/bin/python - "$work"/f32 "$work"/bf16 >"$work/log" 2>&1 <<'END'
import sys, glob, os, numpy
far = {}
for path in sorted(glob.glob(sys.argv[1] + "/*.npy")):
    a, b = numpy.load(path).astype(float), numpy.load(os.path.join(sys.argv[2], os.path.basename(path))).astype(float)
    far[str(numpy.load(path).dtype)] = abs(a - b).max() / abs(a).max()
assert 1e-5 < far["float32"] < 2e-2 and far["float16"] == 0 and far["float64"] == 0, far
END
result $? "bf16: rounded in f32 alone, to 8 bits $(tail -n 1 "$work/log")"

# What the target does not have, and what is no precision.
expect 2 "$work/m.lir" --precision tf32 -o "$work/x.so"
has "$work/log" 'error: --precision tf32 is for --target cuda'
expect 2 "$work/m.lir" --target cuda:sm_75 --precision tf32 -o "$work/x.cu"
has "$work/log" 'from sm_80 on' 'sm_75'
expect 2 "$work/m.lir" --precision f8 -o "$work/x.so"
expect 0 "$work/m.lir" --target cuda:sm_75 --precision bf16 -o "$work/y.cu" --remarks
[ ! -e "$work/x.so" ] && [ ! -e "$work/x.cu" ]
result $? 'what is refused leaves no file'

echo "precision: $passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
