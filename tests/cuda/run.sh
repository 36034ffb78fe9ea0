#!/bin/bash
# run.sh - artifacts for GPUs, from the compiler to the outputs, on a machine without one.
#
# tests/cuda/nvcc and nvrtc.c compile kernels for the CPU, and driver.c, a libcuda.so.1 that this
# script alone puts in front of the runtime, runs them. Where NVIDIA's compilers are installed, they
# compile the same text.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/cuda/cases.bash
. tests/cuda/stand_in.bash

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
export CHECK_LOG=$work/log XDG_CACHE_HOME=$work/cache CUDA_HOME=$work FAKE_NVCC=tests/cuda/nvcc FAKE_OPT=-O0
real_cuda=/usr/local/cuda

result() { # 0|1 WORDS...
	if [ "$1" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
	[ "$1" = 0 ] && shift && echo "ok: $*" && return
	shift
	echo "FAILED: $*"
	[ -s "$work/err" ] && sed 's/^/    | /' "$work/err"
}

build() { # FUNCTION-OF-stand_in.bash ARGUMENTS...
	"$@" 2>"$work/err" || { result 1 "$*" && exit 1; }
}

compile() { LATHE_NVCC=tests/cuda/nvcc build/bin/lathec "$@" 2>"$work/err"; }

on_gpu() { # WORDS-IN-ITS-OUTPUT EXIT-CODE COMMAND...: with the drivers of $drivers
	local words=$1 wanted=$2 code
	shift 2
	LD_LIBRARY_PATH=$drivers "$@" >"$work/out" 2>"$work/err"
	code=$?
	[ $code = "$wanted" ] && { [ -z "$words" ] || cat "$work/out" "$work/err" | grep -qF -- "$words"; }
	result $? "${*//$work\//}: exit code $code, '$words'"
}

run_case() { on_gpu '' 0 "$@"; }

checks() { # PROGRAM ARGUMENTS...: counts its lines
	LD_LIBRARY_PATH=$drivers "$@" >"$work/out" 2>"$work/err"
	local code=$?
	cat "$work/out"
	passed=$((passed + $(grep -c '^ok: ' "$work/out")))
	failed=$((failed + $(grep -c '^FAILED: ' "$work/out")))
	[ $code = 0 ] || result 1 "$(basename "$1"): exit code $code"
}

build build_driver "$work/drivers"
build build_driver "$work/old" -DOLD
build build_program "$work/jit/libnvrtc.so" -shared -fvisibility=default tests/cuda/nvrtc.c
build build_header "$work/header"
for program in runs streams errors compare; do
	build build_program "$work/check_$program" tests/cuda/check.c tests/cuda/check_$program.c build/lib/liblathe_rt.a -lm -ldl -pthread
done
drivers=$work/drivers

# ---- runs ----
for model in mlp conv control data; do
	compile tests/cuda/$model.lir --target cuda -o "$work/$model.so"
	result $? "$model for a GPU"
	compile tests/cuda/$model.lir -o "$work/$model.cpu.so"
done
checks "$work/check_runs" "$work/mlp.so"
checks "$work/check_streams" "$work/mlp.so"
checks "$work/check_errors" "$work/mlp.so"
for model in mlp conv control data; do
	checks "$work/check_compare" "$work/$model.so" "$work/$model.cpu.so"
done
for no_bf16 in '' 1; do
	FAKE_NO_BF16=$no_bf16 compile tests/cuda/bf16.lir --target cuda -o "$work/bf16.so"
	compile tests/cuda/bf16.lir -o "$work/bf16.cpu.so"
	checks "$work/check_compare" "$work/bf16.so" "$work/bf16.cpu.so"
done
on_gpu 'right' 0 build/bin/lathe-run "$work/conv.so" --check tests/cuda/conv.lir --dim n=2
on_gpu '' 0 build/bin/lathe-run "$work/mlp.so" --dim batch=3 --profile "$work/mlp.json"
compile tests/cuda/half.lir --target cuda:sm_90 -o "$work/half.so"
result $? 'a model whose kernel asks for shared memory'
FAKE_CUDA_SM=90 on_gpu 'right' 0 build/bin/lathe-run "$work/half.so" --check tests/cuda/half.lir --dim batch=70
FAKE_CUDA_SM=90 FAKE_CUDA_FAIL=cuFuncSetAttribute:1:1 on_gpu 'cannot be used' 1 build/bin/lathe-run "$work/half.so" --dim batch=70
grep -q '"name":"gemm_0' "$work/mlp.json"
result $? 'the trace has the kernels'
on_gpu 'gemm_0' 0 build/bin/lathe-run "$work/mlp.so" --profile --dim batch=3
compile tests/cuda/mlp.lir --target cuda --weights "$work/mlp.weights" -o "$work/outside.so"
on_gpu 'right' 0 build/bin/lathe-run "$work/outside.so" --check tests/cuda/mlp.lir
compile tests/cuda/mlp.lir --target cuda -o "$work/again.so" && cmp "$work/mlp.so" "$work/again.so"
result $? 'the same model gives the same bytes'
on_gpu 'there is no CUDA device 1' 6 build/bin/lathe-run "$work/mlp.so" --device 1

# ---- a part of the ONNX backend suite, and a model with branches ----
LATHE_NVCC=tests/cuda/nvcc on_gpu ' 0 failed' 0 build/tests/conformance --target cuda --part 400
model=silero_vad
if [ -e build/models/$model.onnx ]; then
	compile build/models/$model.onnx --target cuda -o "$work/$model.so"
	build_compare "$work"
	run_cases "$model" "$work/$model.so" "$work" run_case result
fi

# ---- what is not there ----
drivers=$work/old
on_gpu 'the NVIDIA driver is too old: it is for CUDA 12.4 and has no cu' 6 build/bin/lathe-run "$work/mlp.so"
mkdir "$work/none" && : >"$work/none/libcuda.so.1"
drivers=$work/none
on_gpu 'it runs on an NVIDIA GPU, whose driver is not installed here' 6 build/bin/lathe-run "$work/mlp.so"
on_gpu 'cuda' 0 build/bin/lathe-run "$work/mlp.so" --info
drivers=$work/drivers
for case in "/nonexistent|nvcc /nonexistent cannot be run|6" '/bin/false|nvcc /bin/false failed|1'; do
	IFS='|' read -r nvcc words code <<<"$case"
	LATHE_NVCC=$nvcc build/bin/lathec tests/cuda/mlp.lir --target cuda -o "$work/x.so" 2>"$work/err"
	[ $? = "$code" ] && grep -qF "$words" "$work/err" && [ ! -e "$work/x.so" ]
	result $? "exit code $code: $words"
done

# ---- compiling when the model is loaded ----
build/bin/lathec tests/cuda/mlp.lir --target cuda --cuda-jit -o "$work/jit.so" 2>"$work/err"
result $? '--cuda-jit needs no compiler'
for file in so so.11.2 so.12 so.13; do # in front of what may be installed
	mkdir -p "$work/no-jit" && : >"$work/no-jit/libnvrtc.$file"
done
drivers=$work/drivers:$work/no-jit
on_gpu 'there is no NVRTC' 6 build/bin/lathe-run "$work/jit.so"
drivers=$work/drivers:$work/jit
on_gpu 'NVRTC makes no code for the GPU, which is sm_70' 6 env FAKE_CUDA_SM=70 build/bin/lathe-run "$work/jit.so"
on_gpu 'does not compile its kernels: NVRTC_ERROR_COMPILATION: line 1: no' 1 env FAKE_NVRTC_FAILS=1 build/bin/lathe-run "$work/jit.so"
on_gpu 'right' 0 build/bin/lathe-run "$work/jit.so" --check tests/cuda/mlp.lir
on_gpu 'right' 0 env FAKE_CUDA_SM=90 build/bin/lathe-run "$work/jit.so" --check tests/cuda/mlp.lir
set -- "$work"/cache/lathe/*.image
[ $# = 2 ] && [ "$(stat -c %a "$1")" = 600 ]
result $? 'the cache has a file for each device'
drivers=$work/drivers:$work/no-jit
on_gpu 'right' 0 env FAKE_NVRTC_FAILS=1 build/bin/lathe-run "$work/jit.so" --check tests/cuda/mlp.lir
for file; do printf x | dd of="$file" bs=1 seek=100 conv=notrunc 2>/dev/null; done
on_gpu 'there is no NVRTC' 6 build/bin/lathe-run "$work/jit.so"
drivers=$work/drivers:$work/jit
on_gpu 'right' 0 env XDG_CACHE_HOME=/proc/nowhere build/bin/lathe-run "$work/jit.so" --check tests/cuda/mlp.lir
on_gpu 'right' 0 build/bin/lathe-run "$work/jit.so" --check tests/cuda/mlp.lir

# ---- NVIDIA's own ----
if [ -e $real_cuda/include/cuda.h ]; then
	${CC:-cc} -std=c17 -Wall -Wextra -Werror -I. -isystem $real_cuda/include -fsyntax-only tests/cuda/api_check.c 2>"$work/err"
	result $? 'calls of the driver are declared as cuda.h does'
fi
if [ -x $real_cuda/bin/nvcc ]; then
	LATHE_NVCC=$real_cuda/bin/nvcc build/bin/lathec tests/cuda/conv.lir --target cuda:sm_80 -o "$work/real.so" 2>"$work/err"
	result $? 'nvcc compiles the kernels of conv for sm_80'
else
	echo 'nvcc is not installed: what it says of the kernels is not checked'
fi
if ls $real_cuda/lib*/libnvrtc.so >/dev/null 2>&1; then
	drivers=$work/none # NVRTC opens the driver as well, and takes it for NVIDIA's
	for model in mlp conv control data bf16 narrow; do
		build/bin/lathec tests/cuda/$model.lir --target cuda --cuda-jit -o "$work/jit.so" 2>"$work/err"
		result $? "$model, to be compiled by NVRTC"
		for sm in 75 80 90; do
			CUDA_HOME=$real_cuda XDG_CACHE_HOME=$work/other checks "$work/check_compare" --nvrtc "$work/jit.so" $sm
		done
	done
else
	echo 'NVRTC is not installed: what it says of the kernels is not checked'
fi

# ---- a GPU, where there is one ----
if nvidia-smi -L >/dev/null 2>&1; then
	drivers=${LD_LIBRARY_PATH:-}
	for model in mlp conv control data; do
		build/bin/lathec tests/cuda/$model.lir --target cuda -o "$work/$model.so" 2>"$work/err"
		result $? "$model for the GPU"
		checks env -u CHECK_LOG "$work/check_compare" "$work/$model.so" "$work/$model.cpu.so"
	done
else
	echo 'there is no GPU: nothing has run on one'
fi
echo "cuda: $passed passed, $failed failed"
[ $failed = 0 ] && [ $passed != 0 ]
