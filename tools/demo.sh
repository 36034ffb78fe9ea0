#!/bin/bash
# demo.sh - lathe's main job on a real model: compiles the file-type model out of the published package magika, builds a
# C program that links nothing but liblathe_rt, and asks it what kind of file several files of this repository are.
set -eu
cd "$(dirname "$0")/.."

work=build/demo
model=build/models/magika.onnx
mkdir -p "$work"

echo "1. compile: build/bin/lathec $model -o $work/magika.so"
build/bin/lathec "$model" -o "$work/magika.so" --stats

echo
echo "2. link: cc tools/demo/magika.c -llathe_rt"
${CC:-cc} -std=c99 -O2 -Iinclude tools/demo/magika.c -o "$work/magika" -Lbuild/lib -llathe_rt \
	-Wl,-rpath,"$PWD/build/lib"

# The names of the 214 kinds lie beside the model in the package.
wheel=$(ls build/models/wheels/magika-*.whl | head -n 1)
build/venv/bin/python - "$wheel" >"$work/labels.txt" <<'PYTHON'
import json, sys, zipfile
config = json.loads(zipfile.ZipFile(sys.argv[1]).read("magika/models/standard_v3_3/config.min.json"))
print("\n".join(config["target_labels_space"]))
PYTHON

echo
echo "3. ask"
"$work/magika" "$work/magika.so" "$work/labels.txt" \
	README.md Makefile LICENSE ir/dim.c tests/run.sh tests/models/expected.py "$model" build/bin/lathec
echo
echo "4. how long: build/bin/lathe-run $work/magika.so --repeat 20"
build/bin/lathe-run "$work/magika.so" --repeat 20
