# sources.sh - for the checks: which files are ours. Sourced from the root of the tree.

# list_sources REGEX: tracked and new files whose path matches, without what git ignores; in a tree
# that is not a git checkout, all files outside build/.
list_sources() {
	if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
		git ls-files -co --exclude-standard
	else
		find . -type f -not -path './build/*' | sed 's|^\./||'
	fi | LC_ALL=C sort | grep -E "$1" | while IFS= read -r path; do
		if [ -f "$path" ]; then # not deleted here and still in the index
			printf '%s\n' "$path"
		fi
	done
}
