# results.bash - a folder for the script at hand, and counts of what passed. Sourced.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

result() { # 0|1 WORDS...
	if [ "$1" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
	shift
	echo "$*"
}
