# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# shellcheck shell=bash
# A part of tests/run: the stages of sanitizers and of the fuzz program.

# Between them these machines have every path, and so run all of lib/ that a machine can: enough for sanitizers.
few=(intel lts compat noiommu device)
# And of these, under the slowest of them, each path once; one of each backend in full, others as far as they differ.
asan_paths='intel/iommufd-node lts/type1v2 compat/iommufd-group compat/compat device/iommufd-node device/type1v2'
asan_short='compat/compat'
# Threads, under ThreadSanitizer, see no more of a path than its backend.
tsan_machines=(intel compat noiommu)
tsan_paths='intel/iommufd-node intel/type1v2 compat/compat noiommu/noiommu-node noiommu/noiommu-vfio'

# The counters of a guest are in its results folder; they are added to those of the host.
merge_coverage() {
	local folder=$work/asan guest
	for guest in "$work"/guests/*/gcov; do
		rm -rf "$work/merged"
		gcov-tool merge -o "$work/merged" "$folder" "$guest$folder" || return
		cp -r "$work/merged/." "$folder"
	done
}

stage_asan() {
	CC=gcc CXX=g++ build asan -Ddocs=disabled -Db_sanitize=address,undefined -Db_lundef=false -Db_coverage=true ||
		return
	rm -rf "$work/guests"
	mkdir "$work/guests"
	find "$work/asan" -name '*.gcda' -delete
	# By itself UndefinedBehaviorSanitizer only speaks, and the test would pass.
	export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
	run_tests asan unit
	[[ -n $all ]] || { unset UBSAN_OPTIONS; return; }
	# Failures are injected under the sanitizers on the host: sweep and the fuzz program go through the same calls.
	CK_EXCLUDE_TAGS=inject TEST_RESETS=10 TEST_PATHS=$asan_paths TEST_SHORT=$asan_short TEST_VM_TIMEOUT=$((TEST_VM_TIMEOUT * 2)) \
		GCOV_PREFIX=/run/gcov TEST_VM_RESULTS=$work/guests run_tests asan vm --timeout-multiplier 3 "${few[@]}"
	unset UBSAN_OPTIONS
	check "coverage of host and guests is merged" merge_coverage || return
	check "coverage of lib/" gcovr --root "$top" --filter "$top/lib/" "$work/asan" || return
	cat "$work/log"
}

stage_tsan() {
	CC=gcc CXX=g++ build tsan -Ddocs=disabled -Db_sanitize=thread -Db_lundef=false || return
	# ThreadSanitizer has fixed places for its own memory: addresses must not be too random.
	! setarch -R true 2>/dev/null || around=(setarch -R)
	run_tests tsan unit
	around=()
	[[ -n $all ]] || return 0
	# The guest's kernel is less random. One race is enough, and must not be a line in a log only.
	TSAN_OPTIONS=halt_on_error=1:exitcode=66 CK_INCLUDE_TAGS="threads threads-more batch-threads" TEST_PATHS=$tsan_paths \
		run_tests tsan vm --timeout-multiplier 3 "${tsan_machines[@]}"
}

# What is built of tests/unit for libFuzzer, and what each shows.
declare -A fuzz_targets=(
	[fuzz-sys]="whatever a kernel answers, the library succeeds or fails with words"
	[fuzz-translate]="translation finds what a plain list of the mappings finds"
	[fuzz-iova]="a choice of IOVAs is that of a naive search"
)

# fuzz_one TARGET NUMBER SECONDS: with a corpus of its own, from the seeds if there are any.
fuzz_one() {
	local corpus=$work/corpus-$1-$2 log=$work/$1-$2.log
	rm -rf "$corpus"
	mkdir "$corpus"
	[[ $1 != fuzz-sys ]] || "$top/tests/unit/fuzz-seeds" "$corpus"
	"$work/fuzz/tests/unit/$1" -max_total_time="$3" -timeout=10 -max_len=1000 -print_final_stats=1 \
		-artifact_prefix="$work/found/" "$corpus" >"$log" 2>&1 || {
		tail -n 80 "$log"
		echo "Again: $work/fuzz/tests/unit/$1 FILE, with the file that is named above"
		return 1
	}
	grep -E 'DONE|stat::' "$log"
}

# What is behind an attached device is not seen by who never gets there, and nothing else would tell.
fuzz_walk() {
	rm -rf "$work/corpus"
	"$top/tests/unit/fuzz-seeds" "$work/corpus"
	if ! FUZZ_TRACE=1 "$work/fuzz/tests/unit/fuzz-sys" "$work/corpus/1-walk_layer" >"$work/fuzz.log" 2>&1 ||
		! grep -q '^iommufd_migration_read: 0' "$work/fuzz.log"; then
		echo "the walk through the calls of a device does not get to a device: see $work/fuzz.log"
		return 1
	fi
}

# fuzz_run TARGET: the targets share the seconds; two of each at a time. Random each time. What is found stays in the
# folder `found`.
fuzz_run() {
	local seconds=$(((${TEST_FUZZ_SECONDS:-60} + ${#fuzz_targets[@]} - 1) / ${#fuzz_targets[@]})) status=0 other
	mkdir -p "$work/found"
	[[ $1 != fuzz-sys ]] || fuzz_walk || return
	fuzz_one "$1" 1 "$seconds" >"$work/$1-1" &
	other=$!
	fuzz_one "$1" 2 "$seconds" || status=1
	wait "$other" || status=1
	cat "$work/$1-1"
	return $status
}

stage_fuzz() {
	local target
	CC=clang CXX=clang++ configure fuzz -Ddocs=disabled -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false || return
	check "build for fuzz" meson compile -C "$work/fuzz" "${!fuzz_targets[@]}" || return
	for target in "${!fuzz_targets[@]}"; do
		check "${fuzz_targets[$target]}" fuzz_run "$target" && cat "$work/log"
	done
}
