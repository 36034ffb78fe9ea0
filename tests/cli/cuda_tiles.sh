#!/bin/bash
# cuda_tiles.sh - what nvcc makes of tiles: contractions and convolutions of all dtypes and layouts,
# and attentions, compiled for every architecture, where no kernel may
# spill registers. Without nvcc lathec alone runs.
#
#     tests/cli/cuda_tiles.sh     FULL=1: every architecture for every dtype, heads of all sizes
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

# With heads of several sizes: 512 columns, and n with a mask.
attentions() { # DTYPE
	local head inputs='' body='' yields='' scale="%f = const $1[] splat(0.125)"
	for head in ${FULL:+32} 64 ${FULL:+128}; do
		inputs+="%q$head: $1[16,512,$head], %k$head: $1[16,512,$head], %v$head: $1[16,512,$head], "
		inputs+="%x$head: $1[16,h,$head], %y$head: $1[16,n,$head], %z$head: $1[16,n,$head], "
		body+="
  %s$head = contract %q$head, %k$head {spec = \"amd,and->amn\"} : $1[16,512,512]
  %t$head = mul %s$head, %f : $1[16,512,512]
  %p$head = softmax %t$head {axis = 2} : $1[16,512,512]
  %o$head = contract %p$head, %v$head {spec = \"amn,anc->amc\"} : $1[16,512,$head]
  %r$head = contract %x$head, %y$head {spec = \"amd,and->amn\"} : $1[16,h,n]
  %u$head = add %r$head, %b : $1[16,h,n]
  %w$head = softmax %u$head {axis = 2} : $1[16,h,n]
  %e$head = contract %w$head, %z$head {spec = \"amn,anc->amc\"} : $1[16,h,$head]"
		yields+="${yields:+, }%o$head, %e$head"
	done
	echo "graph main($inputs%b: $1[h,n]) {
  $scale$body
  yield $yields
}"
}

# Compiles a file for each architecture, by default for all; at least so many kernels are in it.
check_spills() { # NAME KERNELS [PRECISION [ARCHITECTURE]]
	local arch spills clean all=sm_75\ sm_80\ sm_90
	build/bin/lathec "$work/$1.lir" --target cuda --precision "${3:-f32}" -o "$work/$1.cu" 2>"$work/log"
	result $? "$1: lathec $(grep -m 1 error "$work/log")"
	command -v nvcc >/dev/null || return
	[ -n "${FULL:-}" ] || all=${4:-$all}
	for arch in $all; do
		nvcc -std=c++17 -arch=$arch -Xptxas -v -cubin -o /dev/null "$work/$1.cu" >"$work/log" 2>&1
		result $? "$1: nvcc for $arch $(grep -m 1 error "$work/log")"
		spills=$(grep -c 'spill' "$work/log")
		clean=$(grep -c ' 0 bytes spill stores, 0 bytes spill loads' "$work/log")
		[ "$spills" -ge "$2" ] && [ "$spills" = "$clean" ]
		result $? "$1: $clean of $spills kernels spill nothing on $arch, at most" \
			"$(sed -n 's/.*Used \([0-9]*\) registers.*/\1/p' "$work/log" | sort -n | tail -1) registers"
	done
}

for dtype in f32 f16 bf16 f64 i8; do
	model $dtype $dtype >"$work/$dtype.lir"
done
check_spills f32 5 f32 sm_80
check_spills f16 5
check_spills bf16 5 f32 sm_80
check_spills f64 5 f32 sm_80
check_spills i8 5 f32 sm_80
model f32 f32 >"$work/tf32.lir"
check_spills tf32 5 tf32 sm_80
model u8 i32 ', dtype = i32' >"$work/u8.lir"
check_spills u8 5 f32 sm_75
for dtype in f32 f16 bf16; do
	attentions $dtype >"$work/attention_$dtype.lir"
	check_spills attention_$dtype 2 f32 sm_80
done

# Warpgroups, which code for sm_90a alone has: the compiler says so where it makes them wait for each
# other. Elsewhere the same text multiplies by warps.
for dtype in f16 ${FULL:+bf16}; do
	build/bin/lathec "$work/$dtype.lir" --target cuda:sm_90 -o "$work/$dtype.90.cu" 2>"$work/log"
	result $? "$dtype for sm_90: lathec $(grep -m 1 error "$work/log")"
	grep -q "wgmma.*256<false, true>(" "$work/$dtype.90.cu"
	result $? "$dtype for sm_90: a tile of 256 columns"
	command -v nvcc >/dev/null || continue
	for arch in sm_90a ${FULL:+sm_80 sm_100}; do
		nvcc -std=c++17 -arch=$arch -Xptxas -v -cubin -o /dev/null "$work/$dtype.90.cu" >"$work/log" 2>&1
		result $? "$dtype for sm_90: nvcc for $arch $(grep -m 1 error "$work/log")"
		spills=$(grep -c 'spill' "$work/log")
		clean=$(grep -c ' 0 bytes spill stores, 0 bytes spill loads' "$work/log")
		[ "$spills" -ge 5 ] && [ "$spills" = "$clean" ] && ! grep -q 'wgmma.*serialized\|injected' "$work/log"
		result $? "$dtype for sm_90 on $arch: $clean of $spills kernels spill nothing and wait for nothing" \
			"$(grep -m 1 'serialized\|injected' "$work/log")"
	done
done

# Pairs of four threads: toolkits from CUDA 13 on know no sm_70, but still assemble its instruction.
build/bin/lathec "$work/f16.lir" --target cuda:sm_70 -o "$work/f16.70.cu" 2>"$work/log"
result $? "f16 for sm_70: lathec $(grep -m 1 error "$work/log")"
grep -q ' multiply_in_quads<false, true>(' "$work/f16.70.cu"
result $? "f16 for sm_70: pairs of four threads"
if command -v nvcc >/dev/null; then
	arch=sm_70
	nvcc --list-gpu-code | grep -qx sm_70 || { arch=sm_75 && echo 'nvcc knows no sm_70: its kernels are compiled for sm_75'; }
	nvcc -std=c++17 -arch=$arch -Xptxas -v -cubin -o /dev/null "$work/f16.70.cu" >"$work/log" 2>&1
	result $? "f16 for sm_70: nvcc for $arch $(grep -m 1 error "$work/log")"
	spills=$(grep -c 'spill' "$work/log")
	clean=$(grep -c ' 0 bytes spill stores, 0 bytes spill loads' "$work/log")
	[ "$spills" -ge 5 ] && [ "$spills" = "$clean" ]
	result $? "f16 for sm_70: $clean of $spills kernels spill nothing"
fi
echo "cuda_tiles: $passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
