#!/bin/bash
# libraries.sh - what embedders rely on: the runtime is small and free of LLVM, both libraries export
# lathe_* only, runtime.h is clean C99 and C++, and an installed lathe is found by pkg-config.
set -u
cd "$(dirname "$0")/../.." || exit 1
unset MAKEFLAGS MAKELEVEL

max_runtime=100000 # bytes of the stripped liblathe_rt.so
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

expect() { # WHAT COMMAND...: the command succeeds
	local what=$1
	shift
	if "$@" >"$work/out" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "failed: $what"
		sed 's/^/    /' "$work/out"
	fi
}

small_enough() {
	local size
	size=$(stat -c %s build/lib/liblathe_rt.so) || return 1
	echo "liblathe_rt.so has $size bytes, at most $max_runtime"
	[ "$size" -le $max_runtime ]
}

needs_only() { # LIBRARY REGEX: every needed library matches
	readelf -d "$1" | grep NEEDED || return 1
	! readelf -d "$1" | grep NEEDED | grep -vE "$2"
}

exports_only_lathe() { # LIBRARY: at least one symbol, and all named lathe_*
	nm -D --defined-only "$1" | grep -v ' A ' | awk '{ print $3 }' >"$work/symbols"
	grep -v '^lathe_' "$work/symbols" && return 1
	[ -s "$work/symbols" ]
}

defines_what_header_declares() {
	local name status=0
	sed -n 's/^[a-z].*[ *]\(lathe_[a-z_]*\)(.*/\1/p' include/lathe/runtime.h | sort -u >"$work/declared"
	[ -s "$work/declared" ] || return 1
	for name in $(cat "$work/declared"); do
		nm -D --defined-only build/lib/liblathe_rt.so | grep -q " $name\(@\|$\)" ||
			{ echo "$name is declared and not exported" && status=1; }
	done
	return $status
}

program() {
	cat <<-'END'
		#include <lathe/runtime.h>
		#include <stdio.h>
		#include <string.h>
		int main(void) {
		    lathe_model *model = NULL;
		    lathe_status status = lathe_model_open("/nonexistent/model.so", NULL, &model);
		    printf("%s: %s\n", lathe_version(), lathe_last_error());
		    return status == LATHE_IO && strcmp(lathe_version(), LATHE_VERSION) == 0 ? 0 : 1;
		}
	END
}

flags() { # ARGUMENTS: pkg-config for what was installed under $work/root
	PKG_CONFIG_PATH="$work/root/usr/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$work/root" \
		PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 pkg-config "$@"
}

build_and_run() { # OUTPUT FLAGS...
	local output=$1
	shift
	gcc -std=c99 -pedantic -Wall -Wextra -Werror "$work/main.c" "$@" -o "$output" &&
		LD_LIBRARY_PATH="$work/root/usr/lib" "$output"
}

same_version() {
	[ "$(flags --modversion lathe_rt)" = \
		"$(sed -n 's/^#define LATHE_VERSION "\(.*\)"/\1/p' include/lathe/runtime.h)" ]
}

program >"$work/main.c"
expect "the runtime is small" small_enough
expect "the runtime needs the C library only" \
	needs_only build/lib/liblathe_rt.so '\[(lib(c|m|dl|pthread)|ld-linux-[a-z0-9-]*)\.so'
expect "the runtime exports lathe_* only" exports_only_lathe build/lib/liblathe_rt.so
expect "the runtime exports what runtime.h declares" defines_what_header_declares
expect "runtime.h is C99" gcc -std=c99 -pedantic -Wall -Wextra -Werror -fsyntax-only -Iinclude \
	"$work/main.c"
expect "runtime.h is C++" clang -x c++ -std=c++11 -Wall -Wextra -Werror -fsyntax-only -Iinclude \
	"$work/main.c"
expect "make install" make -s install DESTDIR="$work/root" PREFIX=/usr
expect "pkg-config knows the version" same_version
# shellcheck disable=SC2046 # the flags are words
expect "a program with the shared runtime" build_and_run "$work/shared" $(flags --cflags --libs lathe_rt)
expect "a program with the static runtime" build_and_run "$work/static" \
	$(flags --cflags lathe_rt) "$work/root/usr/lib/liblathe_rt.a" -ldl -lm -pthread

manual_is_clean() { # TOOL: roff has nothing to complain about, and every option is there
	local page=$work/root/usr/share/man/man1/$1.1 option
	grep -q "^\.TH " "$page" || return 1
	if command -v groff >/dev/null; then
		groff -man -ww -Tutf8 -z "$page" 2>"$work/roff" && [ ! -s "$work/roff" ] || return 1
	fi
	for option in $("build/bin/$1" --help-all | sed -n 's/^  \(-[-a-zA-Z0-9]*\).*/\1/p'); do
		grep -qF -- "\\fB${option//-/\\-}\\fR" "$page" || { echo "no $option" && return 1; }
	done
}

completes() { # TOOL EXPECTED WORD...: what follows the words of a command line, as bash asks for it
	local tool=$1 expected=$2
	shift 2
	bash -c '. "$1" && shift && COMP_WORDS=("$@") && COMP_CWORD=$(($# - 1)) &&
		"$(complete -p "$1" | sed "s/.*-F \([^ ]*\) .*/\1/")" && echo "${COMPREPLY[*]}"' \
		- "$work/root/usr/share/bash-completion/completions/$tool" "$tool" "$@" >"$work/words"
	cat "$work/words"
	[ "$(cat "$work/words")" = "$expected" ]
}

PATH=$work/root/usr/bin:$PATH
for tool in lathec lathe-run lathe-dump; do
	expect "the manual of $tool" manual_is_clean $tool
	expect "completion for $tool" bash -n "$work/root/usr/share/bash-completion/completions/$tool"
done
expect "options complete" completes lathec "--time-passes" --ti
expect "choices complete" completes lathec "lib llvm-ir" --emit l
expect "passes complete" completes lathe-dump "layout lower" --after l
expect "targets complete" completes lathec "x86-64-avx512 x86-64-avx2" --target x86-64-
expect "files are left to bash" completes lathec "" -o ''

echo "libraries: $passed passed, $failed failed"
[ $failed = 0 ]
