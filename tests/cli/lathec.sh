#!/bin/bash
# lathec.sh - lathec from the outside: what it writes, says and returns; bad models; options that change
# the code but not the results. Needs the models and the Python environment of `make models`.
# COMPILE=PROGRAM and RUN=PROGRAM test other builds.
set -u
cd "$(dirname "$0")/../.." || exit 1

root=$PWD
lathec=${COMPILE:-$root/build/bin/lathec}
run=${RUN:-$root/build/bin/lathe-run}
python=$root/build/venv/bin/python
models=$root/build/models
mlp=$models/mlp.onnx
case=$models/cases/mlp/default
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

count() { # STATUS WHAT: counts what just ran
	if [ "$1" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "failed: $2"
		head -c 2000 "$work/out" | cut -c1-300 | head -n 8 | sed 's/^/  stdout: /'
		head -c 2000 "$work/err" | sed 's/^/  stderr: /'
	fi
}

expect() { # CODE ARGUMENTS...: the exit code; output is in out and err
	local code=$1
	shift
	timeout 120 "$lathec" "$@" >"$work/out" 2>"$work/err"
	local found=$?
	[ $found = "$code" ]
	count $? "lathec $* exits with $code (found $found)"
}

refuse() { # CODE ARGUMENTS...: as expect, and no file appears
	local before
	before=$(ls -AR "$work/here")
	expect "$@"
	[ "$before" = "$(ls -AR "$work/here")" ]
	count $? "lathec ${*:2} leaves no file behind"
	[ ! -s "$work/out" ]
	count $? "lathec ${*:2} writes nothing to stdout"
}

says() { # FILE TEXT: a line of out or err holds the text
	grep -qF -- "$2" "$work/$1"
	count $? "$1 holds: $2"
}

silent() { # FILE...
	local file
	for file in "$@"; do
		[ ! -s "$work/$file" ]
		count $? "$file is empty"
	done
}

right() { # ARTIFACT: gives the stored results on the stored inputs
	rm -rf "$work/values"
	"$run" "$1" --input "input=$case/in_input.npy" --output-dir "$work/values" >"$work/out" 2>"$work/err" &&
		"$work/compare" "$case/out_output.npy" "$work/values/output.npy" >>"$work/out" 2>>"$work/err"
	count $? "$1 gives the right numbers"
}

: >"$work/out"
${CC:-cc} -std=c17 -D_GNU_SOURCE -O1 -I. -Iinclude -o "$work/compare" tests/models/compare.c tools/npy.c \
	build/lib/liblathe_rt.a -lm 2>"$work/err"
count $? "compare is built"
mkdir "$work/here" && cd "$work/here" || exit 1
"$python" - 2>"$work/err" <<'END'
import numpy, onnx
from onnx import TensorProto, helper, numpy_helper

def make(path, nodes, **weights):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, [2, 3])],
                              [value("y", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(w, k) for k, w in weights.items()])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 3)]
    model = helper.make_model(graph, opset_imports=opsets)
    onnx.save(model, path)
    return model

node, ones = helper.make_node, lambda *dims: numpy.ones(dims, numpy.float32)
make("unknown.onnx", [node("Frobnicate", ["x"], ["a"], name="first"), node("Relu", ["a"], ["b"], name="fine"),
                      node("Twist", ["b"], ["y"], name="second", domain="com.example")])
make("shape.onnx", [node("Gemm", ["x", "w", "c"], ["y"], name="dense")], w=ones(4, 5), c=ones(5))
make("cycle.onnx", [node("Relu", ["y"], ["a"], name="one"), node("Relu", ["a"], ["y"], name="two")])
make("undefined.onnx", [node("Add", ["x", "nowhere"], ["y"], name="total")])
model = make("bytes.onnx", [node("MatMul", ["x", "w"], ["y"], name="product")], w=ones(3, 5))
model.graph.initializer[0].dims[1] = 6
onnx.save(model, "bytes.onnx")
END
count $? "the bad models are made"

# ---- bad models: exit code, sentence, nothing left behind ----
size=$(stat -c %s "$mlp")
for part in 1 100 20000 $((size / 2)) $((size - 1)); do
	head -c "$part" "$mlp" >cut.onnx
	refuse 4 cut.onnx -o x.so
	says err 'cut.onnx: error: '
done
echo 'This is no model.' >text.onnx
refuse 4 text.onnx -o x.so
says err 'text.onnx: error: not a valid ONNX file'
: >empty.onnx
refuse 4 empty.onnx -o x.so
says err 'empty.onnx: error: '
refuse 74 missing.onnx -o x.so
says err 'missing.onnx: error: No such file or directory'
refuse 74 . -o x.so
for use in '-o x.so' '-O0 -o x.so'; do
	# shellcheck disable=SC2086 # several words
	refuse 3 unknown.onnx $use
	says err 'unknown.onnx: first (ai.onnx::Frobnicate v17): error: '
	says err 'unknown.onnx: second (com.example::Twist v3): error: '
	says err '2 nodes need what is not supported'
	! grep -q fine "$work/err"
	count $? "what is supported is not reported"
done
expect 3 unknown.onnx --check
says err 'unknown.onnx: first (ai.onnx::Frobnicate v17): error: '
says out '1  ai.onnx::Frobnicate v17  1 not supported'
says out 'this op is not known: first'
says out '1  ai.onnx::Relu v17        1 not judged: they need what those not supported make'
says out 'unknown.onnx: 3 nodes, 2 not supported, 1 not judged'
expect 3 unknown.onnx --check --json
says out '{"op": "com.example::Twist v3", "nodes": 1, "refused": 1, "skipped": 0}'
refuse 4 shape.onnx -o x.so
says err 'shape.onnx: dense (Gemm): error: '
refuse 4 bytes.onnx -o x.so
says err 'bytes.onnx: w (Initializer): error: '
refuse 4 cycle.onnx -o x.so
says err 'cycle.onnx: one (Relu): error: '
refuse 4 undefined.onnx -o x.so
says err "undefined.onnx: total (Add): error: input 1, 'nowhere', "

# ---- JSON lines ----
refuse 3 unknown.onnx --json -o x.so
"$python" - "$work/err" <<'END'
import json, sys
found = [json.loads(line) for line in open(sys.argv[1])]
errors = [d for d in found if d["level"] == "error"]
assert all(d["file"] == "unknown.onnx" for d in found)
assert [d["node"] for d in errors] == ["first", "second"]
assert all(d["status"] == 3 and d["op"] and d["text"] for d in errors)
END
count $? "--json writes JSON lines"

# ---- output that cannot be written ----
mkdir folder
refuse 74 "$mlp" -o none/x.so
says err 'none/x.so'
refuse 74 "$mlp" -o folder
refuse 74 "$mlp" -o folder --emit ir
refuse 74 "$mlp" -o none/x.ll --emit llvm-ir
refuse 74 "$mlp" -o none/x.o --emit obj
refuse 74 "$mlp" --weights none/w -o x.so
refuse 74 "$mlp" --schedule none.txt -o x.so
refuse 74 "$mlp" -o /dev/full
refuse 74 "$mlp" --emit ir -o /dev/full
ulimit -S -f 100 # of 512 or 1024 bytes, less than the artifact
refuse 74 "$mlp" -o x.so
ulimit -S -f unlimited
echo old >kept.so
refuse 4 text.onnx -o kept.so
[ "$(cat kept.so)" = old ]
count $? "a failure leaves the old output alone"

# ---- success: silent, the same each time, right ----
expect 0 "$mlp" -o a.so
silent out err
expect 0 "$mlp" -o b.so
cmp -s a.so b.so
count $? "the same input gives the same bytes"
right ./a.so
expect 0 "$mlp" -o kept.so
cmp -s a.so kept.so
count $? "an old output is replaced"
for options in -O0 -O1 -O3 '--disable fuse' '--disable simplify,layout,pack' '--target x86-64' --verify \
	--no-debug-info; do
	[ "$(uname -m)" = x86_64 ] || [ "${options#--target}" = "$options" ] || continue
	# shellcheck disable=SC2086 # several words
	expect 0 "$mlp" $options -o c.so
	silent out err
	right ./c.so
done
expect 0 "$mlp" --weights w.bin -o outside.so
silent out err
right ./outside.so
[ "$(stat -c %s outside.so)" -lt $(($(stat -c %s a.so) / 4)) ]
count $? "the weights are in their own file"
mv w.bin away.bin
"$run" ./outside.so >"$work/out" 2>"$work/err"
[ $? = 74 ]
count $? "an artifact without its weights says so"
expect 0 "$models/magika.onnx" --dim unk__214=2 -o d.so
"$run" d.so --info >"$work/out" 2>"$work/err"
says out 'i32[2,2048]'
expect 0 "$models/magika.onnx" --dim unk__214=1..4 -o d.so
"$run" d.so --info >"$work/out" 2>"$work/err"
says out '1..4'
! "$run" d.so --dim unk__214=5 >"$work/out" 2>"$work/err"
count $? "a dim has the range of --dim"

# ---- text output and passes ----
expect 0 "$mlp" --emit ir --stop-after dce -o -
silent err
says out 'graph main('
expect 0 "$mlp" --emit kernels -o -
silent err
says out 'kernel n_gemm'
expect 0 "$mlp" --emit llvm-ir -o -
silent err
says out 'target triple = '
expect 0 "$mlp" --emit asm -o -
silent err
says out '.text'
expect 0 "$mlp" --emit asm -o a.s
silent out err
cmp -s a.s <("$lathec" "$mlp" --emit asm -o -)
count $? "a file and standard output get the same text"
expect 0 "$mlp" --emit obj -o a.o
silent out err
[ "$(head -c 4 a.o | tail -c 3)" = ELF ]
count $? "--emit obj writes an object"
expect 0 "$mlp" --emit ir --stop-after cse -o mlp.lir
expect 0 mlp.lir -o e.so
right ./e.so
expect 0 "$mlp" --print-after fuse -o x.so
says out '; after fuse'
rm x.so
refuse 0 "$mlp" --stop-after fuse
refuse 0 "$mlp" --stop-after lower -o x.so # nothing is planned yet, so there is no artifact
refuse 0 "$mlp" --pass-limit 3 -o x.so
expect 0 "$mlp" --time-passes --stats --remarks -o x.so
says err 'plan-memory'
says err 'kernels'
expect 0 "$mlp" --progress -o x.so
grep -q "$(printf '\r')" "$work/err"
count $? "--progress moves a line"
[ "$(tail -c 4 "$work/err")" = "$(printf '\r\033[K')" ]
count $? "the line is gone in the end"
expect 0 "$mlp" --check
says out '  ai.onnx::Gemm v'
says out 'all of them supported'

# ---- help, lists, wrong use ----
for option in --help --help-all --version --list-passes --list-ops --list-targets; do
	expect 0 "$option"
	silent err
	[ -s "$work/out" ]
	count $? "$option prints"
done
expect 0 --list-ops
for op in 'ai.onnx::Abs  *opset 1-' 'ai.onnx::Resize  *opset 10-' 'ai.onnx.ml::Binarizer  *opset 1-'; do
	grep -q "^$op" "$work/out"
	count $? "--list-ops has $op"
done
[ "$(wc -l <"$work/out")" -gt 150 ] && [ "$(sort -u "$work/out" | wc -l)" = "$(wc -l <"$work/out")" ]
count $? "--list-ops has one line an op"
expect 0 --list-ops --json
"$python" - "$work/out" "$root/frontends/onnx/notes.def" <<'END'
import json, re, sys
ops = [json.loads(line) for line in open(sys.argv[1])]
noted = re.findall(r'^ONNX_NOTE\("([^"]*)"', open(sys.argv[2]).read(), re.M)
names = {(o["domain"] + "::" if o["domain"] != "ai.onnx" else "") + o["op"]: o["note"] for o in ops}
assert noted and all(names.get(n) for n in noted), [n for n in noted if not names.get(n)]
assert sum(map(bool, names.values())) == len(set(noted)) == len(noted)
END
count $? "every note of notes.def is about an op that is read"
expect 0 --help ops-page
cmp -s "$work/out" "$root/frontends/onnx/OPS.md"
count $? "frontends/onnx/OPS.md is what 'make ops-page' writes"
expect 0 --list-passes
mapfile -t passes < <(cut -d' ' -f1 "$work/out")
for pass in "${passes[@]}"; do
	refuse 0 "$mlp" --stop-after "$pass"
done
expect 0 --help
says out 'Usage: lathec [options] MODEL -o OUT'
rm -f x.so
refuse 2
refuse 2 "$mlp"
says err 'no output is given'
refuse 2 "$mlp" "$mlp" -o x.so
refuse 2 "$mlp" --emits ir -o x.so
says err "did you mean '--emit'?"
refuse 2 "$mlp" --emit pdf -o x.so
refuse 2 "$mlp" --emit ir --stop-after fuse
refuse 2 "$mlp" -o -
refuse 2 "$mlp" --weights - -o x.so
refuse 2 "$mlp" --weights x.so -o x.so
cp "$mlp" copy.onnx
ln -s copy.onnx link.onnx
refuse 2 copy.onnx -o link.onnx
says err 'the output would replace the model'
cmp -s copy.onnx "$mlp"
count $? "the model is as it was"
refuse 2 "$mlp" --target z80 -o x.so
says err "there is no target named 'z80'"
refuse 2 "$mlp" --dim batch -o x.so
refuse 2 "$mlp" --dim batch=4 -o x.so
says err "no input has a dim that is named 'batch'"
refuse 2 "$mlp" --input z=1x3 -o x.so
for option in --stop-after --print-after --disable; do
	refuse 2 "$mlp" $option fuss -o x.so
	says err "$option: there is no pass named 'fuss'"
done
refuse 2 "$mlp" --disable dce,lower -o x.so
says err "'lower' cannot be left out"
refuse 2 "$mlp" --disable plan-memory -o x.so

# ---- what will be ----
for option in '--tune log.txt' '--params p.params' '--target cuda --emit llvm-ir' \
	'--target cuda:sm_90 --emit obj' '--cpu znver9'; do
	# shellcheck disable=SC2086 # several words
	refuse 3 "$mlp" $option -o x.so
	says err 'supported'
done

# ---- GPUs ----
expect 0 "$mlp" -o mlp.cu
grep -q '^__global__ void ' mlp.cu && grep -q 'cudaError_t mlp_run(' mlp.cu
count $? "mlp.cu has kernels and mlp_run"
[ "$(stat -c %s mlp.weights)" = "$(sed -n 's|^// weights: \([0-9]*\) bytes|\1|p' mlp.cu)" ]
count $? 'the weights are beside mlp.cu, all of them'
expect 0 "$mlp" --emit cuda --target cuda:sm_90 --weights w.bin -o m.cu
cmp -s w.bin mlp.weights
count $? '--weights names their file'
[ ! -e m.weights ]
count $? 'then there is no other one'
expect 0 "$mlp" --target cuda --emit kernels -o k.txt
grep -q 'grid ' k.txt && grep -q 'thread ' k.txt
count $? 'kernels for a GPU have grid and thread loops'
refuse 2 "$mlp" --target x86-64 --emit cuda -o m2.cu
refuse 2 "$mlp" --target cuda:x --emit cuda -o m2.cu

# ---- targets ----
if [ "$(uname -m)" = x86_64 ]; then
	expect 0 "$mlp" --target x86_64-linux-gnu -o triple.so
	expect 0 "$mlp" --target x86-64 -o row.so
	cmp -s triple.so row.so
	count $? "a triple stands for the least of its machines"
	expect 0 "$mlp" --target x86-64 --cpu x86-64-v3 -o cpu.so
	expect 0 "$mlp" --target x86-64-avx2 -o row.so
	cmp -s cpu.so row.so
	count $? "--cpu names a row"
	expect 0 "$mlp" --target x86-64 --features +avx,+fma -o features.so
	"$run" features.so --info >"$work/out" 2>"$work/err"
	says out 'x86-64+avx+fma'
	expect 0 "$mlp" --target x86-64-avx2 --features -f16c,-bmi2 -o features.so
	right ./features.so
	expect 0 "$mlp" --cpu native -o native.so
	right ./native.so
fi
refuse 2 "$mlp" --features +warp -o x.so
says err "found '+warp'"
refuse 2 "$mlp" --target riscv64-linux-gnu -o x.so

# ---- suffixes, standard input, topics, option files ----
mv a.o object.o
mv a.s text.s
for suffix in o ll s; do
	expect 0 "$mlp" -o "a.$suffix"
done
cmp -s object.o a.o && cmp -s text.s a.s
count $? "the suffix decides what is written"
expect 0 "$mlp" --emit so -o kind.o
"$run" kind.o --info >"$work/out" 2>"$work/err"
count $? "--emit decides before the suffix"
"$lathec" - -o stdin.so <"$mlp" >"$work/out" 2>"$work/err" && cmp -s stdin.so a.so
count $? "a model from a file on standard input"
# shellcheck disable=SC2002 # a pipe is the point
cat mlp.lir | "$lathec" - -o stdin.so >"$work/out" 2>"$work/err" && cmp -s stdin.so e.so
count $? "a model from a pipe"
echo 'graph' | "$lathec" - -o stdin.so >"$work/out" 2>"$work/err"
[ $? = 4 ]
count $? "a bad model from a pipe"
says err '-:'
for topic in ops passes targets; do
	expect 0 "--list-$topic"
	cp "$work/out" list
	expect 0 --help $topic
	cmp -s "$work/out" list
	count $? "--help $topic"
done
printf -- '--emit ir\n--stop-after "dce" -o -\n' >options
expect 0 "@options" "$mlp"
says out 'graph main('
refuse 74 @missing "$mlp"

# ---- JSON for what is not of the model, too ----
for use in '--stop-after fuss' '--dim a=x' '--target z80' '--features +warp' '-o none/x.ll' '--schedule none.txt'; do
	# shellcheck disable=SC2086 # several words
	"$lathec" "$mlp" -o x.so $use --json >"$work/out" 2>"$work/err"
	"$python" -c 'import json, sys; [json.loads(line)["level"] for line in open(sys.argv[1])]' "$work/err" &&
		[ -s "$work/err" ]
	count $? "$use: errors are JSON"
done

cd "$root" || exit 1
echo "lathec: $passed passed, $failed failed"
[ $failed = 0 ] && [ $passed != 0 ]
