#!/bin/bash
# cuda_sort.sh - what compilers say of sorts, masks and scatters for a GPU: no warning, and no kernel
# spills registers. Without nvcc, the C++ compiler alone is asked.
set -u
cd "$(dirname "$0")/../.." || exit 1

command -v nvcc >/dev/null || echo 'nvcc is not installed: what it says of the files is not checked'
. tests/cli/results.bash

build/bin/lathec tests/cli/cuda/sort.lir --target cuda -o "$work/sort.cu" 2>"$work/log"
result $? "lathec $(grep -m 1 error "$work/log")"
! grep -q ', 1, 1, stream' "$work/sort.cu"
result $? 'no kernel is one thread'
g++ -std=c++17 -O1 -Wall -Werror -Wno-unknown-pragmas -I. -fPIC -x c++ -c "$work/sort.cu" -o "$work/sort.o" 2>"$work/log"
result $? "g++ $(grep -m 1 error "$work/log")"
for arch in $(command -v nvcc >/dev/null && echo sm_75 sm_80 sm_90); do
	nvcc -std=c++17 -arch=$arch -Werror all-warnings -Xptxas -v -cubin -o /dev/null "$work/sort.cu" >"$work/log" 2>&1
	result $? "nvcc for $arch $(grep -m 1 error "$work/log")"
	spills=$(grep -c 'spill' "$work/log")
	clean=$(grep -c ' 0 bytes spill stores, 0 bytes spill loads' "$work/log")
	[ "$spills" -ge 15 ] && [ "$spills" = "$clean" ]
	result $? "$clean of $spills kernels spill nothing on $arch, at most" \
		"$(sed -n 's/.*Used \([0-9]*\) registers.*/\1/p' "$work/log" | sort -n | tail -1) registers"
done
echo "cuda_sort: $passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
