#!/bin/bash
# run.sh - real models, end to end: lathec compiles each, lathe-run runs it on every stored case (build/models/cases/
# MODEL/CASE, made by expected.py from onnxruntime's results), and compare.c judges the outputs. One artifact
# serves all cases of a model, whatever their sizes. Compiling takes at most twice the memory of the weights, and 300 MB.
set -u
cd "$(dirname "$0")/../.." || exit 1

models=${MODELS:-magika rapidocr_det rapidocr_cls rapidocr_rec silero_vad silero_vad_op15 basic_pitch minilm_int8 resnet50 mobilenet_v2 bert_base unet lstm mlp}
work=build/models/out
passed=0 failed=0
mkdir -p "$work"

result() { # 0|1 WORDS...
	if [ "$1" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
	shift
	echo "$*"
}

${CC:-cc} -std=c17 -D_GNU_SOURCE -O1 -I. -Iinclude -o "$work/compare" tests/models/compare.c tools/npy.c \
	build/lib/liblathe_rt.a -lm || exit 1

run_case() { # MODEL CASE-FOLDER
	local inputs=() kind name file out=$work/$1-$(basename "$2") worst
	rm -rf "$out"
	while read -r kind name file; do
		[ "$kind" = input ] && inputs+=(--input "$name=$2/$file")
	done <"$2/case.txt"
	mkdir -p "$out"
	if ! build/bin/lathe-run "$work/$1.so" --threads 2 "${inputs[@]}" --output-dir "$out" >"$out/log" 2>&1; then
		result 1 "$1 $(basename "$2"): lathe-run failed: $(tail -n 1 "$out/log")"
		return
	fi
	while read -r kind name file; do
		[ "$kind" = output ] || continue
		worst=$("$work/compare" "$2/$file" "$out/${file#out_}" 2>&1)
		result $? "$1 $(basename "$2") $name: $worst"
	done <"$2/case.txt"
	rm -rf "$out"
}

check_memory() { # MODEL: what --stats said in its log
	awk -v model="$1" '
		function bytes(n, unit) { return n * (unit == "GB" ? 1e9 : unit == "MB" ? 1e6 : unit == "kB" ? 1e3 : 1) }
		$1 == "weights" { weights = bytes($2, $3) }
		$1 == "peak" { peak = bytes($3, $4) }
		END {
			printf "%s: compiling took %.0f MB for %.0f MB of weights\n", model, peak / 1e6, weights / 1e6
			exit !(peak > 0 && weights > 0 && peak <= 2 * weights + 300e6)
		}' "$work/$1.log" >"$work/$1.words"
	result $? "$(cat "$work/$1.words")"
	rm -f "$work/$1.words"
}

for model in $models; do
	if ! build/bin/lathec "build/models/$model.onnx" -o "$work/$model.so" --stats >"$work/$model.log" 2>&1; then
		result 1 "$model: lathec failed: $(tail -n 1 "$work/$model.log")"
		continue
	fi
	check_memory "$model"
	for folder in build/models/cases/"$model"/*/; do
		run_case "$model" "${folder%/}"
	done
	rm -f "$work/$model.so"
done
echo "models: $passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
