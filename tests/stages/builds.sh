# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# shellcheck shell=bash
# A part of tests/run: builds of the tree, meson's tests of one, and the stages that need no more than that.

# configure NAME OPTION...: a folder in the cache for a build of the tree.
configure() {
	local folder=$work/$1 options
	options="$CC $headers ${*:2} $("$top/tests/vm/run" --list | cksum)"
	if [[ ! -e $folder/build.ninja || $(cat "$folder/options" 2>/dev/null) != "$options" ]]; then
		rm -rf "$folder"
		check "configure for $1" meson setup "$folder" "$top" --werror "-Dkernel_headers=$headers" "${@:2}" || return 1
		echo "$options" >"$folder/options"
	fi
}

# build NAME OPTION...: configures and builds the tree. What the compiler says is an error.
build() {
	configure "$@" && check "build for $1" meson compile -C "$work/$1"
}

# run_tests NAME SUITE OPTION...: meson's tests of one build and suite, each point counted. $around is put before meson.
# More than half of its time a machine only waits, for devices that are reset above all: two for each CPU run at once.
around=()
run_tests() {
	local folder=$work/$1 status=0 sums at_once
	at_once=$(nproc)
	[[ $2 != vm ]] || at_once=$((2 * at_once))
	rm -f "$folder/meson-logs/testlog.json"
	"${around[@]}" meson test -C "$folder" --no-rebuild --suite "$2" --num-processes "$at_once" --print-errorlogs \
		--no-stdsplit "${@:3}" </dev/null || status=$?
	cat "$folder/meson-logs/testlog.json" >>"$work/$2.json" 2>/dev/null || true
	sums=$("$top/tests/count" "$folder/meson-logs/testlog.json" 2>"$work/log") || sums='0 0 0'
	tee -a "$work/failed" <"$work/log"
	# shellcheck disable=SC2086 # three numbers
	count $sums
	if [[ $sums == '0 '* || ($status != 0 && $sums == *' 0 '*) ]]; then
		fail "meson did not run all tests of $1, suite $2 (exit status $status)"
	fi
}

stage_unit() {
	CC=gcc CXX=g++ build gcc -Ddocs=enabled && run_tests gcc unit
}

stage_clang() {
	CC=clang CXX=clang++ build clang -Ddocs=disabled && run_tests clang unit
}

stage_docs() {
	CC=gcc CXX=g++ build gcc -Ddocs=enabled && check "the documentation builds without a warning" meson compile -C "$work/gcc" docs
}
