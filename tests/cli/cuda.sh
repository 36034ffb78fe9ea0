#!/bin/bash
# cuda.sh - whole models as CUDA-C: lathec writes them, the C++ compiler builds them behind
# codegen/cuda/emulate.h, and their outputs are compared with those of another runtime (see
# tests/models/run.sh). Where there is nvcc, it compiles the same files.
#
#     tests/cli/cuda.sh [MODEL...]     CHECKED=1: with every access checked, which takes long
#                                      BLESS=1: see below; FULL=1: two large models more, which nvcc
#                                      compiles, all for every architecture
set -u
cd "$(dirname "$0")/../.." || exit 1

models=${*:-mlp magika ${FULL:+mobilenet_v2 resnet50} unet bert_base silero_vad mlp_f16 mobilenet_v2_f16 bert_tiny_f16}
slow='mobilenet_v2_f16 unet bert_base' # for nvcc, and much like others
architectures=${FULL:+75 }80${FULL:+ 90}
gencode=()
for number in $architectures; do gencode+=(-gencode "arch=compute_$number,code=sm_$number"); done
checks=${CHECKED:+-fsanitize=thread,bounds}
. tests/cli/results.bash

# Each attention is one launch of a kernel whose comment says that it is one.
declare -A attentions=([bert_base]=12 [bert_tiny_f16]=2)
count_attentions() { # MODEL
	local launches=0 name
	for name in $(awk '/^\/\/ kernel / { head = "" }
		/^\/\/ / { head = head substr($0, 4) " " }
		/^__global__ void / { split($3, word, "("); if (head ~ /\) +attention /) print word[1] }' "$work/$1.cu"); do
		launches=$((launches + $(grep -c "launch($name," "$work/$1.cu")))
	done
	echo $launches
}

run_case() { # MODEL CASE-FOLDER
	local inputs=() outputs=() kind name file weights=$work/$1.weights worst
	[ -e "$weights" ] || weights=-
	while read -r kind name file; do
		[ "$kind" = input ] && inputs+=("$2/$file")
		[ "$kind" = output ] && outputs+=("$2/$file" "$work/$file")
	done <"$2/case.txt"
	if ! "$work/emulate" "$work/$1.so" "$work/$1.cu" "$1" "$weights" "${inputs[@]}" -- "${outputs[@]}" 2>"$work/log"; then
		result 1 "$1 $(basename "$2"): $(tail -n 1 "$work/log")"
		return
	fi
	while read -r kind name file; do
		[ "$kind" = output ] || continue
		worst=$("$work/compare" "$2/$file" "$work/$file" 2>&1)
		result $? "$1 $(basename "$2") $name: $worst"
	done <"$2/case.txt"
}

for program in emulate compare; do
	${CC:-cc} -std=c17 -D_GNU_SOURCE -O1 -I. -Iinclude -o "$work/$program" tests/models/$program.c \
		tools/npy.c build/lib/liblathe_rt.a -lm -ldl || exit 1
done
# A model of 20 nodes, as people will read it: BLESS=1 writes it anew.
golden=tests/cli/cuda/block
build/bin/lathec $golden.lir --emit cuda -o "$work/block.cu" 2>"$work/log" &&
	{ [ -z "${BLESS:-}" ] || cp "$work/block.cu" $golden.cu; } && diff -u $golden.cu "$work/block.cu"
result $? "$golden.cu is what lathec writes"
command -v nvcc >/dev/null || echo 'nvcc is not installed: what it says of the files is not checked'
for model in $models; do
	if ! build/bin/lathec "build/models/$model.onnx" -o "$work/$model.cu" 2>"$work/log"; then
		result 1 "$model: lathec failed: $(tail -n 1 "$work/log")"
		continue
	fi
	# shellcheck disable=SC2086 # no word, or one
	g++ -std=c++17 -O3 -march=native -Wall -Wextra -Wshadow -Werror -Wno-unknown-pragmas -I. -fPIC $checks -x c++ -c "$work/$model.cu" -o "$work/$model.o" &&
		g++ -shared "$work/$model.o" -o "$work/$model.so"
	result $? "$model compiles as C++ without a warning"
	if [ "${attentions[$model]:-}" ]; then
		launches=$(count_attentions "$model")
		[ "$launches" = "${attentions[$model]}" ]
		result $? "$model: $launches of ${attentions[$model]} attentions are one kernel each"
	fi
	for folder in build/models/cases/"$model"/*/; do
		run_case "$model" "${folder%/}"
	done
	command -v nvcc >/dev/null || continue
	[[ -z ${FULL:-} && " $slow " == *" $model "* ]] && continue
	nvcc -std=c++17 -Werror all-warnings -c "${gencode[@]}" "$work/$model.cu" -o "$work/$model.fatbin" >"$work/log" 2>&1
	result $? "$model compiles with nvcc for $architectures $(grep -m 1 error "$work/log")"
done
echo "cuda: $passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
