#!/bin/bash
# lint.sh - the style that a program can check: sizes of files, functions and lines, tabs, blanks at
# line ends, a comment at the top, nothing foreign at the top level, the direction of includes.
# Prints `path:line: message` for each violation; exit code 1 if there is one.
set -u
cd "$(dirname "$0")/.." || exit 1
. tools/sources.sh

max_file=600 max_function=60 max_line=100
top_level='^(Makefile|include|ir|passes|codegen|runtime|frontends|tools|tests)$'
top_level+='|^(README\.md|LICENSE|CHANGELOG\.md|SECURITY\.md|\..*)$'
c_files='\.(c|h)$'
text_files='\.(c|h|def|sh|py|rules|lir|map|md|html|css|js)$|^Makefile$|^\.ci/'

check_top_level() {
	list_sources . | cut -d/ -f1 | uniq | grep -vE "$top_level" |
		sed 's|$|:1: does not belong at the top level (see tools/lint.sh)|'
}

# Columns are characters: the bytes that continue one in UTF-8 do not count.
check_lines() {
	list_sources "$text_files" | LC_ALL=C xargs -r awk -v max_line=$max_line -v max_file=$max_file '
	function complain(line, message) { print FILENAME ":" line ": " message }
	FNR == 1 {
		is_c = FILENAME ~ /\.(c|h)$/
		if (is_c && $0 !~ /^\/\*/) complain(1, "a file opens with a comment that states its idea")
	}
	/[ \t]$/ { complain(FNR, "blanks at the end of the line") }
	is_c && /\t/ { complain(FNR, "a tab; indent with 4 spaces") }
	is_c && length($0) > max_line {
		columns = length($0) - gsub(/[\200-\277]/, "&")
		if (columns > max_line) complain(FNR, columns " columns; at most " max_line)
	}
	is_c && FNR == max_file + 1 { complain(FNR, "more than " max_file " lines: split the file") }
	'
}

check_functions() {
	list_sources "$c_files" | ctags -L - -x --_xformat='%F %n %{end} %N' --kinds-C=f --fields=+ne |
		LC_ALL=C sort -k1,1 -k2,2n | awk -v max=$max_function '
	$3 - $2 >= max { print $1 ":" $2 ": " $4 " has " $3 - $2 + 1 " lines; at most " max }
	'
}

command -v ctags >/dev/null && ctags --version | grep -q Universal || {
	echo "lint: universal-ctags is not installed; 'make setup' installs it" >&2
	exit 1
}

report=$(
	check_top_level
	check_lines
	check_functions
	tools/deps_check.sh
)
if [ -n "$report" ]; then
	printf '%s\n' "$report"
	echo "lint: $(printf '%s\n' "$report" | wc -l) violations" >&2
	exit 1
fi
echo "lint: $(list_sources "$c_files" | wc -l) C files are clean"
