#!/bin/bash
# deps_check.sh - includes point one way only:
#
#     tools -> frontends, codegen, passes -> ir -> runtime/base -> include
#
# The rest of runtime/ is seen by tools and tests alone, but for runtime/artifact.h: the format that
# the compiler writes and the runtime reads, with its alignments and CPU features. It includes no more
# than the base does. Only codegen/llvm sees LLVM. Tests may include anything.
# Prints `path:line: message` for each include that goes elsewhere; exit code 1 if there is one.
set -u
cd "$(dirname "$0")/.." || exit 1
. tools/sources.sh

# Awk programs instead of a loop of greps: one process for the whole tree.
list_sources '\.(c|h|def)$' | grep -v '^tests/' | xargs -r awk '
function part(path) { # the module that a path belongs to
	if (path ~ /^include\/lathe\// || path ~ /^lathe\//) return "include"
	if (path ~ /^runtime\/base\//) return "base"
	if (path == "runtime/artifact.h") return "artifact"
	if (path ~ /^(ir|passes|codegen|frontends|runtime|tools|tests)\//) { sub(/\/.*/, "", path); return path }
	return ""
}
BEGIN {
	sees["include"] = "include"
	sees["base"] = "base include"
	sees["artifact"] = "base include"
	sees["runtime"] = "runtime artifact base include"
	sees["ir"] = "ir artifact base include"
	sees["passes"] = "passes ir artifact base include"
	sees["codegen"] = "codegen artifact ir base include"
	sees["frontends"] = "frontends ir base include"
	sees["tools"] = "tools frontends codegen passes ir runtime artifact base include"
}
function complain(message) { print FILENAME ":" FNR ": " message; bad = 1 }
/^[ \t]*#[ \t]*include[ \t]*["<]/ {
	target = $0
	sub(/^[^"<]*["<]/, "", target)
	sub(/[">].*/, "", target)
	from = part(FILENAME)
	if (target ~ /^llvm-c\// && FILENAME !~ /^codegen\/llvm\//)
		complain("only codegen/llvm includes " target)
	if (target ~ /^\.\.?\//) complain("includes by a relative path: " target)
	to = part(target)
	if (to == "") {
		if ($0 ~ /include[ \t]*"/) complain("\"" target "\" is not a path from the root of the tree")
		next
	}
	if (index(" " sees[from] " ", " " to " ") == 0)
		complain((from == "" ? "this file" : from) " must not include " target)
}
END { exit bad }
' || exit 1
