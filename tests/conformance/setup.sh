#!/bin/bash
# setup.sh - writes the cases of the ONNX backend suite into build/conformance, with the onnx package of build/venv
# (made by tests/models/setup.sh). Does nothing when they are there already, from the same package and script.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cases=$root/build/conformance/cases
key=$(cat "$here/cases.py" "$here/../models/requirements.txt" | sha256sum)

[ "$(cat "$cases/.key" 2>/dev/null)" = "$key" ] && exit 0
[ -x "$root/build/venv/bin/python" ] || bash "$here/../models/setup.sh"
"$root/build/venv/bin/python" "$here/cases.py" "$cases"
echo "$key" >"$cases/.key"
