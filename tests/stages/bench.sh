# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# shellcheck shell=bash
# A part of tests/run: the benchmarks. That they run to their end and print each row is what passes or fails; no time does.

# cannot_run GROUP: why this computer cannot measure that; nothing when it can.
cannot_run() {
	[[ $1 != count ]] || command -v valgrind >/dev/null || echo "valgrind is not installed"
}

# The commands of one group, which print its rows.
run_group() {
	local bin=$work/bench-build/tests/bench dumps=$work/bench/callgrind
	case $1 in
	translate | churn | footprint) "$bin/bench-$1" ;;
	count)
		rm -rf "$dumps" && mkdir "$dumps" &&
			valgrind -q --tool=callgrind --collect-atstart=no --callgrind-out-file="$dumps/out" "$bin/bench-count" &&
			"$top/tests/bench/rows-of" callgrind "$dumps"/*
		;;
	machine)
		in_machine threads "$bin/bench-map" -- "$bin/bench-threads" -- "$bin/bench-ram" -- "$bin/bench-batch" ||
			in_machine turns "$bin/bench-map" -- "$bin/bench-threads" -- "$bin/bench-ram" -- "$bin/bench-batch"
		;;
	icount) in_machine counted "$bin/bench-map" --short --rows icount/ --instructions ;;
	type1) LIBIOMMUFD_BACKEND=vfio in_machine turns "$bin/bench-map" --short --rows type1/ ;;
	nvme) "$top/examples/run" | "$top/tests/bench/rows-of" nvme ;;
	compare) "$top/examples/run" nvme --compare -t 1 | "$top/tests/bench/rows-of" nvme ;;
	library) "$top/tests/bench/rows-of" library "$work/bench-build/lib/libiommufd.so" ;;
	esac
}

# in_machine CLOCK PROGRAM...: see tests/bench/emulator. What a machine printed that stood still is not taken.
in_machine() {
	local said
	said=$(BENCH_EMULATOR=$1 QEMU=$top/tests/bench/emulator "$top/tests/vm/run" intel --timeout 300 -- "${@:2}") || {
		echo "benchmarks in a machine with BENCH_EMULATOR=$1 did not get to their end" | tee -a "$work/bench/notes" >&2
		return 1
	}
	echo "$said"
}

# A group's rows go to a file, in which each must then be.
measure_group() {
	run_group "$1" >"$2" && "$top/tests/bench/report" check "$1" "$2"
}

# Rows that cannot be had are in the file with the reason.
bench_once() {
	local group why file text
	for group in library footprint churn count translate icount machine type1 nvme compare; do
		file=$work/bench/run-$1/$group
		why=$(cannot_run "$group")
		if [[ $why ]]; then
			"$top/tests/bench/report" skip "$group" "$why" >"$file"
		else
			check "run $1 of the benchmarks $group prints all rows" measure_group "$group" "$file" || true
		fi
		while read -r text; do
			echo "skipped: run $1 of $text"
			count 0 0 1
		done < <("$top/tests/bench/report" skipped "$file")
	done
	cat "$work/bench/run-$1"/* >"$work/bench/rows-$1.json"
}

# $TEST_BENCH_RUNS: how often, for medians.
stage_bench() {
	local run runs=${TEST_BENCH_RUNS:-1}
	CC=gcc CXX=g++ build bench-build -Ddocs=disabled -Dbuildtype=release || return
	rm -rf "$work/bench"
	mkdir "$work/bench"
	for ((run = 1; run <= runs; run++)); do
		mkdir "$work/bench/run-$run"
		bench_once "$run"
	done
	check "the benchmarks make a table, JSON and a picture" \
		"$top/tests/bench/report" all "$work/bench" "$work"/bench/rows-*.json || return
	cat "$work/log"
	echo "$work/bench: results.json, results.svg"
}
