# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# shellcheck shell=bash
# A part of tests/run: the library on 64-bit Arm.

# cross_file ROOT: what meson is to know of the compiler, and of the folder that has the libraries.
cross_file() {
	cat <<-EOF
	[binaries]
	c = 'aarch64-linux-gnu-gcc'
	ar = 'aarch64-linux-gnu-ar'
	strip = 'aarch64-linux-gnu-strip'
	pkgconfig = 'pkg-config'
	pkg-config = 'pkg-config'
	[properties]
	sys_root = '$1'
	pkg_config_libdir = '$1/usr/lib/aarch64-linux-gnu/pkgconfig'
	[host_machine]
	system = 'linux'
	cpu_family = 'aarch64'
	cpu = 'aarch64'
	endian = 'little'
	EOF
}

# in_guest MACHINE PROGRAM...: runs programs in one machine, one after the other; each point of theirs counts.
in_guest() {
	local program programs=() passes fails skips
	for program in "${@:2}"; do
		programs+=(-- "$program")
	done
	"$top/tests/vm/run" "$1" --tap "${programs[@]}" >"$work/log" 2>&1 </dev/null || grep -v '^ok' "$work/log" || true
	skips=$(grep -ci '^ok .*# skip' "$work/log") || true
	passes=$(($(grep -c '^ok ' "$work/log") - skips)) || true
	fails=$(grep -c '^not ok ' "$work/log") || true
	sed -n "s/^not ok /failed: $1: /p" "$work/log" >>"$work/failed"
	echo "$1: $passes passed, $fails failed, $skips skipped"
	# It is a failure too when there was no machine.
	count "$passes" $((fails || passes ? fails : 1)) "$skips"
}

# The second machine has what the first lacks, and is the same in all else.
stage_arm64() {
	local root units
	root=$("$top/tests/vm/run" arm64 --root) || return
	cross_file "$root" >"$work/${root##*/}.cross"
	CC=gcc build arm64 --cross-file "$work/${root##*/}.cross" -Ddocs=disabled || return
	readarray -t units < <(find "$work/arm64/tests/unit" -maxdepth 1 -type f -perm -1 | sort)
	in_guest arm64 "${units[@]}"
	CK_EXCLUDE_TAGS=inject in_guest arm64 "$work/arm64/tests/vm/suite/vm-suite"
	CK_INCLUDE_TAGS='smmuv3 nested hwpt' in_guest arm64-acpi "$work/arm64/tests/vm/suite/vm-suite"
}
