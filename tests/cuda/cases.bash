# cases.bash - runs a model's recorded cases as an artifact and compares what comes out. Sourced.
#
# run_cases MODEL ARTIFACT WORK RUN RESULT: RUN is a function that runs a command and counts its
# failure, RESULT counts 0 or 1 with words behind it. WORK has the program `compare`. run_options are more options of
# lathe-run; inputs has the last case's afterwards.
run_options=() inputs=()
run_cases() {
	local folder kind name file worst
	for folder in build/models/cases/"$1"/*/; do
		inputs=()
		while read -r kind name file; do
			[ "$kind" = input ] && inputs+=(--input "$name=$folder$file")
		done <"$folder/case.txt"
		"$4" build/bin/lathe-run "$2" "${inputs[@]}" --output-dir "$3" ${run_options[@]+"${run_options[@]}"}
		while read -r kind name file; do
			[ "$kind" = output ] || continue
			worst=$("$3/compare" "$folder$file" "$3/${file#out_}" 2>&1)
			"$5" $? "$1 $(basename "$folder") $name: $worst"
		done <"$folder/case.txt"
	done
}

build_compare() { # WORK
	${CC:-cc} -std=c17 -D_GNU_SOURCE -O1 -I. -Iinclude -o "$1/compare" tests/models/compare.c tools/npy.c \
		build/lib/liblathe_rt.a -lm -ldl -pthread
}
