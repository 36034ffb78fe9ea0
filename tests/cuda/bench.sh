#!/bin/bash
# bench.sh - `make bench-gpu` on a machine without a GPU: on the tests' driver, whose clock counts kernels, beside
# libraries that stand in for cuBLAS and cuDNN.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/cli/results.bash
. tests/cuda/stand_in.bash
export FAKE_OPT=-O0 FAKE_CUDA_NS=1000 LATHE_NVCC=tests/cuda/nvcc
real_cuda=/usr/local/cuda
drivers=$work/drivers

build_driver "$work/drivers" && build_libraries "$work/libraries" "$work/drivers" && build_header "$work/header" || exit 1
mkdir "$work/none" "$work/empty" && : >"$work/none/libcuda.so.1"
echo 'int nothing;' >"$work/empty.c"
build_program "$work/empty/libcublas.so.12" -shared "$work/empty.c"

bench() { # EXIT-CODE OPTIONS...
	local wanted=$1 code
	shift
	LD_LIBRARY_PATH=$drivers build/bench-gpu/bench_gpu --rounds 2 --milliseconds 0.01 --jobs 2 --libraries "$work/libraries" \
		--json "$work/results.json" "$@" >"$work/out" 2>"$work/err"
	code=$?
	[ $code = "$wanted" ]
	result $? "exit code $code: $*"
}
says() { # WORDS
	grep -qF -- "$1" "$work/out"
	local code=$?
	result $code "$1"
	[ $code = 0 ] || cat "$work/out" "$work/err"
}

# 2 * 64^3 operations in 1 us are 0.524 TFLOP/s; ten processors of 1 GHz do 20.5 on tensor cores, and 1.28 in f32.
bench 0 --scale 64 --filter '64 x 64 x 64 [bf]*' --model tests/cuda/mlp.lir
says 'Fake 7 (sm_80, 10 processors, 1.00 GHz, 256 GB/s), CUDA 12.4, cuBLAS 12.3.4, cuDNN 9.1.2; the least of 2 rounds.'
says '| products, m x n x k | dtype | lathe, ms | cuBLAS, ms | of its speed | TFLOP/s | of the peak |'
says '| 64 x 64 x 64 | f16 | 0.001 | 0.002 | 200 % | 0.524 | 3 % |'
says '| 64 x 64 x 64 | bf16 | 0.001 | 0.002 | 200 % | 0.524 | 3 % |'
says '| 64 x 64 x 64 | f32 | 0.001 | 0.002 | 200 % | 0.524 | 41 % |'
says '| mlp.lir | 0.003 | 3 | 0.003 | 0.00 | 0.00 |'
says '| mlp.lir | softmax_3 | 1 | 0.001 | 33 % |'
python3 - "$work/results.json" <<'END'
import json
import sys
found = json.load(open(sys.argv[1]))
rows = {(row["name"], row.get("dtype")): row for row in found["rows"]}
product, model = rows["64 x 64 x 64", "f16"], rows["mlp.lir", None]
assert found["device"] == "Fake 7" and found["capability"] == 80 and len(rows) == 4
assert abs(product["lathe_ms"] - 0.001) < 1e-9 and abs(product["peer_ms"] - 0.002) < 1e-9
assert product["flop"] == 2 * 64 ** 3 and product["peak_flop_per_second"] == 20.48e12
assert product["trouble"] is None and product["peer_trouble"] is None and product["peer"] == "cuBLAS"
assert model["launches"] == 3 and len(model["kernels"]) == 3
assert abs(sum(kernel["ms"] for kernel in model["kernels"]) - model["kernel_ms"]) < 1e-9
END
result $? 'the figures are in the file, too'

if build/bin/lathec --help | grep -q -- '--precision'; then
	bench 0 --scale 64 --filter '64 x 64 x 64 [ti]*'
	says '| 64 x 64 x 64 | tf32 | 0.001 | 0.002 | 200 % | 0.524 | 5 % |'
	says '| 64 x 64 x 64 | i8 | 0.001 | 0.002 | 200 % | 0.524 | 1 % |'
fi

# One of them, and three that are alike.
bench 0 --only conv --scale 8 --filter '1 x 7 x 7 x 16, 16 of 3 x 3*'
says '| convolutions of resnet50, one image | dtype | lathe, ms | cuDNN, ms | of its speed | TFLOP/s | of the peak |'
says '| 3 times 1 x 7 x 7 x 16, 16 of 3 x 3 | f32 | 0.001 | 0.002 | 200 % | 0.226 | 18 % |'
says '| all 4 | f32 | 0.004 | 0.008 | 200 % | 0.188 | 15 % |'

one=(--only gemm --scale 128 --filter '32 x 32 x 32 f16')
bench 0 "${one[@]}" --libraries "$work/none"
says 'cuBLAS is not here: there is no libcublas.so.N'
says '| 32 x 32 x 32 | f16 | 0.001 | - | - |'
bench 0 "${one[@]}" --libraries "$work/empty"
says 'cuBLAS here has no cublasCreate_v2.'
FAKE_CUBLAS_FAIL=14 bench 0 "${one[@]}"
says '| 32 x 32 x 32 | f16 | 0.001 | cuBLAS says 14 | - |'
FAKE_CUBLAS_WRONG=1 bench 1 "${one[@]}"
says '| 32 x 32 x 32 | f16 | wrong: off by '
bench 1 "${one[@]}" --lathec /nonexistent
says '| 32 x 32 x 32 | f16 | /nonexistent: No such file or directory |'
FAKE_CUDA_FAIL=cuMemAlloc_v2:1:2 bench 1 "${one[@]}"
says '| 32 x 32 x 32 | f16 | out of memory |'
bench 1 --only none --model /nonexistent.onnx
says 'No such file or directory'
bench 74 --only none --json /nonexistent/x.json
bench 0 --info
says 'Fake 7 (sm_80, 10 processors'
FAKE_CUDA_SM=83 bench 0 --info --libraries "$work/none"
says 'What sm_83 can do at most is not known here.'
FAKE_CUDA_DEVICES=0 bench 6 --info
says 'bench-gpu: nothing is measured: there is no NVIDIA GPU here'
bench 6 --device 3
says 'there is no CUDA device 3: there are 1'
drivers=$work/none
bench 6
says 'bench-gpu: nothing is measured: it runs on an NVIDIA GPU, whose driver is not installed here'

if [ -e $real_cuda/include/cublas_v2.h ] && [ -e $real_cuda/include/cudnn.h ]; then
	${CC:-cc} -std=c17 -Wall -Wextra -Werror -Wno-deprecated-declarations -I. -isystem $real_cuda/include -fsyntax-only \
		tests/cuda/peers_check.c
	result $? "calls of cuBLAS and cuDNN are declared as NVIDIA's headers do"
fi
echo "bench_gpu: $passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
