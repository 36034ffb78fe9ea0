#!/bin/bash
# dump_html.sh - lathe-dump --html: pages of small models, of one whose names are markup, and what is said
# when there can be none. html_page.py looks into the pages.
set -u
cd "$(dirname "$0")/../.." || exit 1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
passed=0 failed=0

cat >"$work/model.lir" <<'LIR'
graph main(%x: f32[n,8]) {
  %w = const f32[8,16] splat(0.5)
  %1 = contract %x, %w {spec = "mk,kn->mn"} loc("dense" "MatMul")
  %2 = relu %1 loc("act" "Relu")
  %3 = exp %x loc("unused" "Exp")
  yield %2
}
LIR
evil='</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>&lt;'
cat >"$work/a<b>&.lir" <<LIR
module "$evil"
symbol n in 1..64
graph main(%x "$evil": f32[n,8]) {
  %w "w$evil" = const f32[8] splat(0.5)
  %1 "v$evil" = add %x, %w loc("node$evil" "Op$evil")
  %2 = softmax %1 {axis = 1} loc("soft ' \" \\\\ $evil" "Softmax")
  yield %2
}
LIR
cat >"$work/topk.lir" <<'LIR'
graph main(%x: f32[4,8]) {
  %1, %2 = topk %x {size = [3], axis = 1, largest = true, sorted = true} loc("top" "TopK")
  %3 = relu %1
  yield %3, %2
}
LIR

count() { # STATUS WHAT: counts what just ran
	if [ "$1" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "failed: $2"
	fi
}

check() { # WHAT WANTED-EXIT-CODE WANTED-PATTERN ARGUMENTS...
	local what=$1 code=$2 pattern=$3 found status
	shift 3
	found=$(build/bin/lathe-dump "$@" 2>&1)
	status=$?
	[ $status = "$code" ] && grep -q -- "$pattern" <<<"$found"
	count $? "$what: expected exit code $code and '$pattern', found $status and: $(head -n 5 <<<"$found")"
}

page() { # WHAT MODEL OPTIONS...: the page in $work/page.html is sound and agrees with --diff
	local what=$1
	shift
	rm -f "$work/page.html"
	check "$what" 0 '^$' "$@" --html "$work/page.html"
	build/bin/lathe-dump "$@" --diff >"$work/diff"
	python3 tests/cli/html_page.py "$work/page.html" "$work/diff" >"$work/out" 2>&1
	count $? "$what: $(cat "$work/out")"
}

shows() { # WHAT PATTERN
	grep -q -- "$2" "$work/page.html"
	count $? "$1: the page does not have '$2'"
}

page "a model" "$work/model.lir"
shows "a pass" '"name":"fuse"'
shows "its remarks" 'plan-memory: .* buffers'
shows "a node of the model" '"dense (MatMul)"'
page "without optimization" "$work/model.lir" -O0
shows "a pass that does not run" 'runs at -O1 and above'
page "a pass left out" "$work/model.lir" --disable cse
shows "why it does not run" 'is left out by --disable'
page "another machine" "$work/model.lir" --target aarch64
page "a library function" "$work/topk.lir"
shows "its name" '"function":"topk"'
page "names that are markup" "$work/a<b>&.lir"
shows "escaped, and all there" '"node\\u003c/script\\u003e\\u003cscript\\u003ealert(1)'
! grep -q '<script>alert' "$work/page.html"
count $? "markup of the model is in the page"

build/bin/lathe-dump "$work/model.lir" --html - >"$work/stdout.html"
cp "$work/stdout.html" "$work/first.html"
build/bin/lathe-dump "$work/model.lir" --html "$work/page.html"
times='s/"seconds":[0-9.]*//g'
cmp -s <(sed "$times" "$work/stdout.html") <(sed "$times" "$work/page.html")
count $? "standard output gives another page than a file"
check "no kernels" 0 '^$' "$work/model.lir" --html "$work/page.html" --stop-after fuse
shows "the end" 'comes after the end'
! grep -q '"kernels":' "$work/page.html"
count $? "kernels that there are none of"

build/bin/lathe-run "$work/model.lir" --repeat 3 --profile "$work/trace.json" >/dev/null 2>&1
check "a profile" 0 '^$' "$work/model.lir" --html "$work/page.html" --profile "$work/trace.json"
shows "times" '"profile":\[\["[a-z_0-9]*dense[a-z_0-9]*",'
check "another model's" 2 'no kernel of this trace is one of' "$work/topk.lir" --html "$work/x.html" \
	--profile "$work/trace.json"
head -c 200 "$work/trace.json" >"$work/cut.json"
check "a damaged one" 4 'cut.json: error: this is no trace: line' "$work/model.lir" --html "$work/x.html" \
	--profile "$work/cut.json"
check "a missing one" 74 'missing.json: error: No such file' "$work/model.lir" --html "$work/x.html" \
	--profile "$work/missing.json"
check "one before there are kernels" 2 'there are no kernels where' "$work/model.lir" \
	--html "$work/x.html" --profile "$work/trace.json" --stop-after fuse
check "one for no page" 2 '--profile goes with --html' "$work/model.lir" --profile "$work/trace.json"

check "no such folder" 74 'missing/x.html: error: cannot write: No such file' "$work/model.lir" \
	--html "$work/missing/x.html"
mkdir "$work/folder"
check "a folder" 74 'folder: error: cannot write: ' "$work/model.lir" --html "$work/folder"
echo kept >"$work/x.html"
echo 'graph main(' >"$work/broken.lir"
check "a broken model" 4 'broken.lir' "$work/broken.lir" --html "$work/x.html"
[ "$(cat "$work/x.html")" = kept ] && [ -z "$(ls -A "$work/folder")" ] && ! ls "$work"/*.tmp.* 2>/dev/null
count $? "what failed wrote a file"
check "one thing at a time" 2 '--diff and --html exclude each other' "$work/model.lir" --html "$work/x.html" \
	--diff
check "what a page has anyway" 2 '--after does not go with it' "$work/model.lir" --html "$work/x.html" \
	--after fuse
check "help" 0 '--html FILE' --help

echo "dump_html: $passed passed, $failed failed"
[ "$failed" = 0 ]
