#!/bin/bash
# static.sh - models in objects and libraries: programs in C and C++ that link them with nothing else get
# the numbers that the artifact gives. Needs the models of `make models`.
set -u
cd "$(dirname "$0")/../.." || exit 1

root=$PWD
lathec=$root/build/bin/lathec
run=$root/build/bin/lathe-run
models=$root/build/models
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

count() { # STATUS WHAT: counts what just ran
	if [ "$1" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "failed: $2"
		head -c 2000 "$work/out" | sed 's/^/  /'
	fi
}

does() { # WHAT COMMAND...: the command succeeds
	local what=$1
	shift
	"$@" >"$work/out" 2>&1
	count $? "$what"
}

values() { # FILE.npy: the bytes behind the header
	python3 - "$1" <<-'END'
		import sys
		data = open(sys.argv[1], "rb").read()
		sys.stdout.buffer.write(data[10 + data[8] + 256 * data[9]:])
	END
}

strict="-Wall -Wextra -Werror -pedantic -Wconversion -Wshadow"
cd "$work" || exit 1

# ---- fixed dims: one library, C99 and C++ ----
cat >one.c <<'END'
#include "mlp.h"
#include <stdio.h>
static float input[MLP_INPUT_ELEMENTS], output[MLP_OUTPUT_ELEMENTS];
static union { uint8_t bytes[MLP_ARENA_BYTES + MLP_ARENA_ALIGN]; double align; } memory;
int main(void) {
    mlp_args args;
    uintptr_t start = (uintptr_t)memory.bytes;
    int result;
    args.input = input;
    args.output = output;
    start = (start + MLP_ARENA_ALIGN - 1) / MLP_ARENA_ALIGN * MLP_ARENA_ALIGN;
    if (fread(input, sizeof input, 1, stdin) != 1 || mlp_arena_bytes(&args) != MLP_ARENA_BYTES)
        return 2;
    result = mlp_run(&args, (void *)start);
    fprintf(stderr, "%s\n", mlp_error(result));
    return result || fwrite(output, sizeof output, 1, stdout) != 1;
}
END
case=$models/cases/mlp/default
does "the artifact" "$lathec" "$models/mlp.onnx" -o mlp.so
does "its results" "$run" mlp.so --threads 1 --input "$case/in_input.npy" --output-dir wanted
values "$case/in_input.npy" >input.raw
values wanted/output.npy >wanted.raw
for kind in a o; do
	rm -f mlp.h
	does "lathec -o mlp.$kind" "$lathec" "$models/mlp.onnx" -o mlp.$kind
	[ ! -s out ]
	count $? "silently"
	# shellcheck disable=SC2086 # strict holds several
	does "C99 with mlp.$kind" gcc -std=c99 $strict one.c mlp.$kind -o one
	# shellcheck disable=SC2086
	does "C++ with mlp.$kind" g++ -x c++ -std=c++11 $strict one.c -x none mlp.$kind -o onexx
	for program in one onexx; do
		./$program <input.raw >found.raw 2>out
		count $? "$program runs"
		cmp -s found.raw wanted.raw
		count $? "$program gives the artifact's numbers"
	done
done
[ "$(nm -u mlp.o | grep -cvE ' (memcpy|memset|memmove)$')" = 0 ]
count $? "the object needs memcpy, memmove and memset at most"
! readelf -d one | grep NEEDED | grep -v 'libc.so'
count $? "the program needs the C library alone"
cp mlp.a first.a
does "once more" "$lathec" "$models/mlp.onnx" -o mlp.a
cmp -s mlp.a first.a
count $? "the same input gives the same bytes"

# ---- symbolic dims, names that C cannot have, two models in one program ----
cat >net.lir <<'END'
symbol n in 1..8
graph main(%x "int": f32[n,4], %y "a/b": f32[n,4], %z "a b": f32[4]) {
  %w = const f32[4,3] [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
  %1 = add %x, %y
  %2 = add %1, %z
  %3 "total" = contract %2, %w {spec = "mk,kn->mn"}
  %4 "flags" = lt %x, %y
  yield %3, %4
}
END
cp net.lir 2nd-net.lir
sed -i 's/\[1, 2, 3,/[10, 2, 3,/' 2nd-net.lir
cat >two.c <<'END'
#include "net.h"
#include "2nd-net.h"
#include <stdio.h>
#include <stdlib.h>
int main(void) {
    float x[] = {1, 2, 3, 4, 5, 6, 7, 8}, y[] = {0, 3, 0, 0, 9, 0, 0, 0}, z[] = {0, 0, 0, 1};
    float total[6], other[6];
    uint8_t flags[8];
    int64_t dims[4];
    net_args args = {0};
    model_2nd_net_args more = {0};
    void *memory;
    int i;
    args.n = more.n = 2;
    args.int_ = more.int_ = x;
    args.a_b = more.a_b = y;
    args.a_b_2 = more.a_b_2 = z;
    args.total = total;
    more.total = other;
    args.flags = more.flags = flags;
    net_output_dims(&args, dims);
    if (dims[0] != 2 || dims[1] != 3 || dims[2] != 2 || dims[3] != 4)
        return 2;
    memory = aligned_alloc(NET_ARENA_ALIGN, net_arena_bytes(&args));
    if (net_run(&args, memory) || model_2nd_net_run(&more, memory))
        return 3;
    for (i = 0; i < 6; i++)
        printf("%g %g ", (double)total[i], (double)other[i]);
    for (i = 0; i < 8; i++)
        printf("%d", flags[i]);
    args.n = 9;
    printf(" %s\n", net_error(net_run(&args, memory)));
    free(memory);
    return 0;
}
END
does "a model" "$lathec" net.lir -o net.a
does "another" "$lathec" 2nd-net.lir --emit obj -o 2nd-net.o
# shellcheck disable=SC2086
does "both in one program" gcc -std=c11 $strict two.c net.a 2nd-net.o -o two
./two >out 2>&1
count $? "it runs"
[ "$(cat out)" = "92 101 106 106 120 120 177 303 213 213 249 249 01001000 a dim is out of its range" ]
count $? "its numbers are right"

# ---- a kernel for a team, on the one thread that there is ----
cat >steps.lir <<'END'
module "steps"
graph main(%x "x": f32[3,1,384], %h "h": f32[1,96], %c "c": f32[1,96]) {
  %r = const f32[96,384] splat(0.01)
  %y "y", %a, %b "last" = lstm %x, %r, %h, %c
  yield %y, %b
}
END
cat >three.c <<'END'
#include "steps.h"
#include <math.h>
#include <stdio.h>
static float x[384 * 3], h[96], c[96], y[96 * 3], last[96];
static _Alignas(STEPS_ARENA_ALIGN) unsigned char memory[STEPS_ARENA_BYTES];
int main(void) {
    steps_args args = {x, h, c, y, last};
    float state = 0.5f, cell = 1; /* all hidden values are alike */
    int i, t, wrong = 0;
    for (i = 0; i < 384 * 3; i++)
        x[i] = 0.1f * (float)(i / 384 - 1);
    for (i = 0; i < 96; i++)
        h[i] = state, c[i] = cell;
    if (steps_run(&args, memory))
        return 2;
    for (t = 0; t < 3; t++) {
        float sum = x[384 * t] + 0.96f * state, gate = 1 / (1 + expf(-sum));
        cell = gate * tanhf(sum) + gate * cell;
        state = gate * tanhf(cell);
        for (i = 0; i < 96; i++)
            wrong += !(fabsf(y[96 * t + i] - state) < 1e-5f);
    }
    for (i = 0; i < 96; i++)
        wrong += !(fabsf(last[i] - cell) < 1e-5f);
    printf("%d wrong\n", wrong);
    return wrong != 0;
}
END
"$lathec" steps.lir --emit kernels -o - | grep -q '; team v'
count $? "a team could run it"
does "a recurrent layer" "$lathec" steps.lir -o steps.a
# shellcheck disable=SC2086
does "its program" gcc -std=c11 $strict three.c steps.a -lm -o three
does "it runs alone" ./three

# ---- refusals ----
refuse() { # CODE TEXT ARGUMENTS...
	local code=$1 text=$2
	shift 2
	"$lathec" "$@" >out 2>&1
	[ $? = "$code" ] && grep -qF -- "$text" out
	count $? "lathec $* exits with $code and says '$text'"
}
refuse 2 'cannot go to standard output' net.lir --emit lib -o -
refuse 2 'the weights in them' net.lir --weights w.bin -o x.a
refuse 2 'would replace the output' net.lir --emit lib -o x.h
refuse 74 'cannot be written' net.lir -o none/x.a
cat >top.lir <<'END'
graph main(%x: f32[2,9]) {
  %1, %2 = topk %x {axis = 1, size = [3], largest = true, sorted = true}
  yield %1, %2
}
END
refuse 3 "needs the runtime's library" top.lir -o x.a
[ ! -e x.a ] && [ ! -e x.h ]
count $? "nothing is left behind"

cd / || exit 1
echo "static: $passed passed, $failed failed"
[ $failed = 0 ]
