#!/bin/bash
# run_model.sh - lathe-run on model files: compiled into a temporary artifact, run, checked against the evaluator, and
# nothing left. Needs the models of `make models`.
set -u
cd "$(dirname "$0")/../.." || exit 1

root=$PWD
run=$root/build/bin/lathe-run
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tmp"
export TMPDIR=$work/tmp
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

expect() { # CODE ARGUMENTS...: the exit code, and no temporary file; output is in out and err
	local code=$1
	shift
	PATH=${path:-$PATH} "$run" "$@" >"$work/out" 2>"$work/err"
	local found=$?
	[ $found = "$code" ]
	count $? "lathe-run $* exits with $code (found $found)"
	[ -z "$(ls -A "$TMPDIR")" ]
	count $? "lathe-run $* leaves nothing in TMPDIR"
}

says() { # FILE TEXT: a line of out or err holds the text
	grep -qF -- "$2" "$work/$1"
	count $? "$1 holds: $2"
}

cd "$work" || exit 1
cat >model.lir <<'END'
graph main(%x: f32[batch,4]) {
  %w = const f32[4,2] [1, 0, 0, 1, 1, 0, 0, 1]
  %1 = contract %x, %w {spec = "mk,kn->mn"}
  %2 = relu %1
  yield %2
}
END

# ---- run ----
expect 0 model.lir --dim batch=3 --print
says out 'f32[3,2]'
[ ! -s err ]
count $? "a dim that is given needs no note"
expect 0 model.lir --print
says err 'batch is 1; --dim batch=N chooses another'
says out 'f32[1,2]'
expect 0 model.lir --dim batch=2..4 --info
says out '2..4'
expect 0 model.lir --dim batch=2 --input random:5 --output-dir first
expect 0 model.lir --dim batch=2 --input random:5 --output-dir second -O0 --disable simplify
cmp -s first/*.npy second/*.npy
count $? "options of the compiler do not change these numbers"
expect 0 model.lir --dim batch=2 --repeat 3 --json
says out '"model": "model.lir"'
expect 2 model.lir --dim bach=2
says err "there is no dim 'bach'"
expect 2 model.lir --disable lower
says err "'lower' cannot be left out"
expect 74 missing.lir
says err 'missing.lir: error: No such file or directory'
echo 'graph main(%x: f32[2]) { yield %y }' >bad.lir
expect 4 bad.lir
echo >model.tflite
expect 3 model.tflite
cp model.lir ./-odd.lir
expect 0 --dim batch=1 -- -odd.lir
cp model.lir '@odd=1.lir'
expect 0 --dim=batch=1 -- '@odd=1.lir'
TMPDIR=$work/none "$run" model.lir >out 2>err
[ $? = 74 ]
count $? "no folder for temporary files"

# ---- a sequence is two inputs, or one file ----
cat >sequence.lir <<'END'
symbol total in 0..
graph main(%v "s.values": f32[total], %s "s.shapes": i64[n,1]) {
  %1 = neg %v
  %2 = reduce.add %s {axes = [0], keep = false}
  yield %1, %2
}
END
element='\x1a\x0e\x08\x02\x10\x01\x4a\x08\x00\x00\x00\x3f\x00\x00\x80\x3f'
printf "$element\x1a\x0a\x08\x01\x10\x01\x4a\x04\x00\x00\x00\x40" >s.pb
expect 0 sequence.lir --input s=s.pb --print --check sequence.lir
says out '-0.5 -1 -2'
says out 'i64[1]'
printf "$element\x1a\x0e\x08\x01\x10\x01\x4a\x04\x00\x00\x00\x40" >cut.pb
expect 4 sequence.lir --input s=cut.pb
says err 'cut.pb: error: it is no ONNX sequence, or is cut short'
expect 2 sequence.lir --input t=s.pb
expect 74 sequence.lir --input s=missing.pb
expect 0 sequence.lir --dim total=5 --dim n=3 --check sequence.lir

# ---- strings are two inputs, or one file; they are printed in quotes ----
cat >strings.lir <<'END'
symbol total in 0..
graph main(%b "x.bytes": u8[total], %l "x.lengths": i64[n]) {
  %1 = neg %b
  %2 = neg %l
  %3 "y.bytes" = neg %1
  %4 "y.lengths" = neg %2
  yield %3, %4
}
END
printf '\x08\x03\x10\x08\x32\x02a"\x32\x00\x32\x03\xc3\xa9\n' >t.pb
expect 0 strings.lir --input x=t.pb --print --check strings.lir
says out 'y string[3]'
says out '"a\"" "" "é\x0a"'
printf '\x08\x02\x10\x08\x32\x02ab' >few.pb
expect 4 strings.lir --input x=few.pb
says err 'few.pb: error: its dims are not as many strings as it holds'
printf '\x08\x01\x10\x01\x4a\x04\x00\x00\x00\x40' >number.pb
expect 2 strings.lir --input x=number.pb
says err 'number.pb: error: its elements are no strings'
expect 0 strings.lir --dim total=7 --dim n=3 --print
says out 'y string[3]'

# ---- stopped while it compiles ----
"$run" "$root/build/models/bert_base.onnx" >out 2>err &
pid=$!
for _ in $(seq 100); do
	[ -n "$(ls -A "$TMPDIR")" ] && break
	sleep 0.05
done
[ -n "$(ls -A "$TMPDIR")" ]
count $? "a folder is there while it compiles"
kill -TERM $pid
wait $pid
[ $? = 143 ] && [ -z "$(ls -A "$TMPDIR")" ]
count $? "a signal leaves nothing behind"
! grep -la -- "$TMPDIR/lathe-" /proc/[0-9]*/cmdline >out 2>err
count $? "a signal ends the compiler, too"

# ---- the compiler: beside lathe-run, else in PATH ----
mkdir alone
cp "$run" alone/lathe-run
run=$work/alone/lathe-run
path=$root/build/bin:$PATH
expect 0 model.lir --dim batch=1
path=$work/alone
expect 6 model.lir
path=
says err 'model.lir: error: a model is compiled first, and lathec, beside lathe-run or in PATH, cannot be run: No such file'
printf '#!/bin/sh\necho "$@" >%s/words; exit 3\n' "$work" >alone/lathec
chmod +x alone/lathec
expect 3 model.lir -O1 --disable=fuse,cse --schedule a=b --json --dim batch=2 --dim x=1..2
grep -q -- "^-O1 --json --schedule=a=b --disable=fuse,cse --dim=batch=2 --dim=x=1..2 -o $TMPDIR/lathe-.*/model.so -- model.lir\$" words
count $? "the compiler gets its options"
printf '#!/bin/sh\nfor out; do case $out in */model.so) echo >$out.tmp.$$ ;; esac; done; kill -SEGV $$\n' >alone/lathec
expect 1 model.lir
says err 'model.lir: error: lathec was ended by signal 11 (Segmentation fault)'
run=$root/build/bin/lathe-run

# ---- check ----
sed 's/\[1, 0, 0, 1, 1, 0, 0, 1\]/[1, 0, 0, 1, 1, 0, 0, 2]/' model.lir >other.lir
sed 's/(%x: f32\[batch,4\])/(%x: f32[batch,4], %y: f32[2])/' model.lir >wider.lir
"$root/build/bin/lathec" model.lir -o model.so
expect 0 --check model.lir
says out ': right: greatest error'
expect 0 model.so --dim batch=3 --check model.lir
says out 'f32[3,2]: right: greatest error'
expect 5 model.so --dim batch=3 --check other.lir
says out 'f32[3,2]: WRONG: greatest error'
says err 'model.so: error: 1 of 1 outputs differ from what the evaluator makes of other.lir'
says err "'lathe-dump other.lir --bisect' looks for the pass"
expect 5 model.so --dim batch=3 --check other.lir --json
says out '"right": false'
expect 0 model.so --check model.lir --repeat 2 --json
says out '"right": true, "greatest_error": '
expect 2 model.so --check wider.lir
says err 'it was not made of wider.lir'
expect 2 model.so --check model.lir --info
expect 74 model.so --check missing.lir
expect 0 --check "$root/build/models/mlp.onnx"
"$root/build/bin/lathec" "$root/build/models/magika.onnx" --dim unk__214=2 -o magika.so
expect 0 magika.so --input zeros --check "$root/build/models/magika.onnx"
says out 'f32[2,214]: right'

cd / || exit 1
echo "run_model: $passed passed, $failed failed"
[ $failed = 0 ]
