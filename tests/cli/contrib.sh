#!/bin/bash
# contrib.sh - ops of com.microsoft, and functions of models, against what onnxruntime computes of them: the cases of
# tests/conformance/contrib.py, run by the conformance driver. Needs build/venv of `make models`.
set -u
cd "$(dirname "$0")/../.." || exit 1

root=$PWD
script=tests/conformance/contrib.py
work=build/contrib
key=$(cat $script tests/models/requirements.txt | sha256sum)
if [ "$(cat $work/.key 2>/dev/null)" != "$key" ]; then
	"$root/build/venv/bin/python" $script $work/build/conformance/cases build/models || exit 1
	echo "$key" >$work/.key
fi
mkdir -p $work/tests/conformance
: >$work/tests/conformance/expected # nothing is known to fail
cd $work || exit 1
"$root/build/tests/conformance" --all --dims given "$@" >log 2>&1
code=$?
grep -v '^$' log
last=$(tail -n 1 log)
if [[ $code -le 1 && $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ [0-9]+\ skipped$ ]]; then
	echo "contrib: ${BASH_REMATCH[1]} passed, ${BASH_REMATCH[2]} failed"
	exit $code
fi
echo "contrib: 0 passed, 1 failed"
exit 1
