#!/bin/bash
# cuda_tiles.sh - what nvcc makes of tiles: contractions and convolutions of all dtypes and layouts,
# compiled for every architecture, where no kernel may spill registers. Without nvcc lathec alone
# runs.
set -u
cd "$(dirname "$0")/../.." || exit 1

command -v nvcc >/dev/null || echo 'nvcc is not installed: what it says of the files is not checked'
. tests/cli/results.bash

conv='strides = [1, 1], dilations = [1, 1], pad_lo = [1, 1], pad_hi = [1, 1], groups = 1'
model() { # DTYPE RESULT-DTYPE [MORE ATTRIBUTES]
	local more=${3:-}
	cat <<END
graph main(%a: $1[1024,1024], %b: $1[1024,1024], %c: $1[n,200], %d: $1[130,200], %e: $1[12,h,64],
           %f: $1[12,64,h], %x: $1[8,56,56,64], %w: $1[3,3,64,128], %y: $1[n,h,30,3], %v: $1[3,3,3,64]) {
  %1 = contract %a, %b {spec = "mk,kn->mn"$more} : $2[1024,1024]
  %2 = contract %c, %d {spec = "mk,nk->mn"$more} : $2[n,130]
  %3 = contract %e, %f {spec = "bmk,bkn->bmn"$more} : $2[12,h,h]
  %4 = conv %x, %w {$conv$more} : $2[8,56,56,128]
  %5 = conv %y, %v {$conv$more} : $2[n,h,30,64]
  yield %1, %2, %3, %4, %5
}
END
}

for dtype in f32 tf32 f16 bf16 f64 i8 u8; do
	case $dtype in
	tf32) model f32 f32 ;;
	u8) model u8 i32 ', dtype = i32' ;;
	*) model $dtype $dtype ;;
	esac >"$work/$dtype.lir"
	precision=f32
	[ $dtype = tf32 ] && precision=tf32
	build/bin/lathec "$work/$dtype.lir" --target cuda --precision $precision -o "$work/$dtype.cu" 2>"$work/log"
	result $? "$dtype: lathec $(grep -m 1 error "$work/log")"
	command -v nvcc >/dev/null || continue
	for arch in sm_75 sm_80 sm_90; do
		nvcc -std=c++17 -arch=$arch -Xptxas -v -cubin -o /dev/null "$work/$dtype.cu" >"$work/log" 2>&1
		result $? "$dtype: nvcc for $arch $(grep -m 1 error "$work/log")"
		spills=$(grep -c 'spill' "$work/log")
		clean=$(grep -c ' 0 bytes spill stores, 0 bytes spill loads' "$work/log")
		[ "$spills" -ge 5 ] && [ "$spills" = "$clean" ]
		result $? "$dtype: $clean of $spills kernels spill nothing on $arch, at most" \
			"$(sed -n 's/.*Used \([0-9]*\) registers.*/\1/p' "$work/log" | sort -n | tail -1) registers"
	done
done
echo "cuda_tiles: $passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
