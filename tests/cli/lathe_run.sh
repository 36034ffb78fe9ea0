#!/bin/bash
# lathe_run.sh - lathe-run from the outside: inputs, outputs, reports, exit codes. The artifact is the
# hand-made one of tests/artifact: sum = 2 x + y, its running sums, the largest of each row.
# RUN=PROGRAM tests another build of lathe-run.
set -u
cd "$(dirname "$0")/../.." || exit 1

run=${RUN:-$PWD/build/bin/lathe-run}
libs=${LIBS:-build/lib/liblathe_rt.a}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

count() { # STATUS WHAT: counts what just ran
	if [ "$1" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "failed: $2"
		sed 's/^/  stdout: /' "$work/out"
		sed 's/^/  stderr: /' "$work/err"
	fi
}

expect() { # CODE ARGUMENTS...: the exit code; output is in out and err
	local code=$1
	shift
	"$run" "$@" >"$work/out" 2>"$work/err"
	local found=$?
	[ $found = "$code" ]
	count $? "lathe-run $* exits with $code (found $found)"
}

says() { # FILE TEXT: a line of out or err holds the text
	grep -qF -- "$2" "$work/$1"
	count $? "$1 holds: $2"
}

same() { # FILE FILE
	cmp -s "$1" "$2"
	count $? "$1 and $2 are the same"
}

# npy TYPE SHAPE HEX FILE: a .npy file, version 1.0
npy() {
	local header
	header="{'descr': '$1', 'fortran_order': False, 'shape': $2, }"
	{
		printf '\x93NUMPY\x01\x00'
		printf '%b' "\\x$(printf %02x ${#header})\\x00"
		printf '%s' "$header"
		printf '%b' "$(printf '%s' "$3" | sed 's/../\\x&/g')"
	} >"$4"
}

# shellcheck disable=SC2086 # LIBS may hold several
cc -std=c17 -D_GNU_SOURCE -I. -Iinclude tests/artifact/make.c tests/artifact.c $libs \
	-o "$work/make" 2>"$work/err" && "$work/make" "$work" "$work/model.so" 2>>"$work/err" &&
	"$work/make" "$work" "$work/static.so" -DSTATIC 2>>"$work/err"
: >"$work/out"
count $? "the artifacts are made"
cd "$work" || exit 1

# x = [[1, 2, 3], [4, 5, 6]], y = 0.5 everywhere
half=0000003f
npy '<f4' '(2, 3)' 0000803f00000040000040400000804000 x.cut
npy '<f4' '(2, 3)' 0000803f0000004000004040000080400000a0400000c040 x.npy
npy '<f4' '(2, 3)' $half$half$half$half$half$half y.npy
npy '<f4' '(2, 4)' $half$half$half$half$half$half$half$half wide.npy
npy '<f8' '(1, 1)' 0000000000000000 f64.npy
npy '<i4' '(1, 1)' 00000000 i32.npy
# y as TensorProto: dims [2, 3], type float, raw_data
printf '\x08\x02\x08\x03\x10\x01\x4a\x18' >y.pb
for _ in 1 2 3 4 5 6; do printf '\x00\x00\x00\x3f' >>y.pb; done

# ---- values ----
expect 0 model.so --input x=x.npy --input y=y.npy --print
says out 'sum f32[2,3]'
says out '2.5 4.5 6.5'
says out '8.5 10.5 12.5'
says out 'pre/fix f32[2,4]'
says out '0 8.5 19 31.5'
says out 'where i64[2,1]'
expect 0 model.so --input x.npy --input y=y.pb --output-dir outputs --threads 2
for name in sum pre_fix best where; do
	[ -f "outputs/$name.npy" ]
	count $? "outputs/$name.npy is written"
done
expect 0 model.so --input x=x.npy --input y=y.npy --output-dir again --threads=1
same outputs/sum.npy again/sum.npy
same outputs/pre_fix.npy again/pre_fix.npy
expect 0 model.so --input outputs/sum.npy --input y=y.npy --print # what it writes it reads
says out '5.5 9.5 13.5'
expect 0 model.so --dim batch=2 --dim width=5 --input x=random:7 --output-dir r1
expect 0 model.so --dim batch=2 --dim width=5 --input x=random:7 --output-dir r2
same r1/sum.npy r2/sum.npy
expect 0 model.so --dim batch=2 --dim width=5 --input x=random:8 --output-dir r3
! cmp -s r1/sum.npy r3/sum.npy
count $? "another seed gives other numbers"
expect 0 model.so --dim batch=1 --dim width=2 --input x=zeros --input y=zeros --print
says out '0 0 0'
expect 0 model.so --dim batch=3
says err 'lathe-run: note: width is 1; --dim width=N chooses another'
says out '1 run: min'

# ---- reports ----
expect 0 model.so --info
says out 'hand "made"'
says out 'f32[batch,width + 1]'
says out '1..8'
says out 'depends on the dims'
expect 0 model.so --info --json --dim batch=2 --dim width=3
says out '"arena_bytes": 32, "symbols": [{"name": "batch", "lo": 1, "hi": 8}'
expect 0 static.so --info
says out '32 B'
expect 0 static.so --repeat 20 --warmup 1 --profile
says out '20 runs: min'
says out 'Add_0+Mul_1'
says out 'all kernels'
expect 0 static.so --seconds 0.05 --profile trace.json
grep -q '"traceEvents"' trace.json
count $? "trace.json is a trace"
expect 0 static.so --repeat 3 --json --profile
says out '{"model": "static.so", "load_ms": '
for key in first_run_ms '"runs": 3,' min_ms median_ms p99_ms threads '"arena_bytes": 32' \
	'"weights_bytes": 8' peak_rss_bytes '"kernels": [{"name"'; do
	says out "$key"
done
[ "$(wc -l <out)" = 1 ]
count $? "--json is one line"
expect 0 --help
says out 'Usage: lathe-run MODEL [options]'
expect 0 --version
says out 'lathe-run (lathe) '

# ---- wrong use and broken files ----
expect 2
says err 'lathe-run: error: no MODEL is given'
expect 2 model.so static.so
expect 2 model.so --thread 2
says err "did you mean '--threads'?"
expect 2 model.so --repeat 2 --seconds 1
expect 2 model.so --json --print
expect 2 model.so --input z=x.npy
says err "the model's inputs are 'x', 'y'"
expect 2 model.so --dim batsh=3
says err "did you mean 'batch'?"
expect 2 model.so --dim batch=many
expect 2 model.so --dim batch=9
says err "input 'x' axis 0 (batch): expected 1..8, found 9"
expect 2 model.so --input x=x.npy --input y=wide.npy
says err "model.so: error: input 'y' axis 1 (width): expected 3 as in input 'x' axis 1, found 4"
expect 2 model.so --input x=f64.npy
says err "f64.npy: error: input 'x' expects f32 of rank 2, found f64 of rank 2"
expect 2 model.so --input x=i32.npy
expect 2 model.so --dim batch=1 --dim width=13
says err 'model.so: error: width must not be 13'
expect 3 model.so --dim batch=1 --dim width=14
expect 4 model.so --input x=x.cut
says err 'x.cut: error: its shape needs more than the 17 bytes that it holds'
expect 4 model.so --input x=model.so
expect 4 x.npy
says err 'x.npy: error: it is no lathe artifact'
head -c 9000 model.so >cut.so
expect 4 cut.so
says err 'cut.so: error: it is cut short'
expect 74 missing.so
expect 74 model.so --input x=missing.npy
expect 74 static.so --output-dir /proc/none
expect 74 static.so --profile /nonexistent/t.json

echo "lathe_run.sh: $passed passed, $failed failed"
[ $failed = 0 ]
