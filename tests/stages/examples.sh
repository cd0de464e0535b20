# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# shellcheck shell=bash
# A part of tests/run: the examples, each as its users have it.

# One machine, one program after the other, with a backend that is named.
examples_through() {
	local bin=$2 program programs=()
	for program in info 'info 0000:00:03.0' edu 'share -m 64' 'share -m 16384' hello-c hello-cpp 'nvme -i' 'nvme -H -t 1'; do
		# shellcheck disable=SC2206 # a program and its arguments
		programs+=(-- "$bin"/$program)
	done
	LIBIOMMUFD_BACKEND=$1 LD_LIBRARY_PATH=$bin/../prefix/lib "$top/tests/vm/run" intel "${programs[@]}" | tee "$work/said"
	# Seven of them name the backend that they used, and it must be this one.
	[[ $(grep -cx "backend $1" "$work/said") == 7 ]]
}

info_is_json() {
	LIBIOMMUFD_BACKEND=$1 "$top/examples/run" info --json | jq -e --arg backend "$1" '.chosen == $backend'
}

# What is bound to vfio-pci can be used, and what has no driver cannot: then info fails too.
diagnosis_is_json() {
	"$top/examples/run" info --json 0000:00:03.0 | jq -e .usable &&
		! "$top/examples/run" info --json 0000:00:1f.2 >"$work/diagnosis" &&
		jq -e '.usable | not' "$work/diagnosis"
}

# Each program says how it is used: when asked to, and, as an error, when it does not understand.
examples_tell_their_usage() {
	local program option said errors status
	export LD_LIBRARY_PATH=$bin/../prefix/lib
	for program in info bind edu share nvme hello-c hello-cpp; do
		said=$("$bin/$program" --help 2>"$work/errors")
		[[ $said == "usage: $program"* && ! -s $work/errors ]] || { echo "$program --help: $said"; return 1; }
		for option in --nonsense -z; do
			status=0
			said=$("$bin/$program" $option 2>"$work/errors") || status=$?
			errors=$(<"$work/errors")
			[[ $status == 2 && ! $said && $errors == "usage: $program"* ]] ||
				{ echo "$program $option: status $status, $said, $errors"; return 1; }
		done
	done
}

# In one machine: the drive is given back to the kernel's driver, and taken for VFIO anew.
bind_moves_the_drive() {
	local drive=0000:00:04.0
	LD_LIBRARY_PATH=$bin/../prefix/lib "$top/tests/vm/run" intel -- "$bin/bind" --restore $drive -- test -e /dev/nvme0n1 \
		-- "$bin/bind" -- "$bin/bind" $drive -- "$bin/nvme" -i -- "$bin/bind" --driver nvme $drive -- "$bin/bind" $drive \
		-- "$bin/bind" >"$work/said" && sed "s/^$drive .* group/group/" "$work/said" &&
		[[ $(grep -c "^$drive .* group .* nvme$" "$work/said") == 1 && $(grep -c "^$drive .* vfio-pci " "$work/said") == 1 &&
			$(grep -c "^$drive is bound; it had nvme$" "$work/said") == 2 ]]
}

info_tells_the_limit() {
	LD_LIBRARY_PATH=$bin/../prefix/lib "$top/tests/vm/run" intel -- prlimit --memlock=65536:65536 "$bin/info" \
		-- prlimit --memlock=unlimited:unlimited "$bin/info" -- prlimit --memlock=1000:1000 "$bin/info" |
		sed -n 's/^memlock_limit: //p' | diff - <(printf '%s\n' '64 KiB' unlimited '1000 bytes')
}

# The library is enough: no example makes an ioctl or any system call by its number, or knows the kernel's own headers.
examples_make_no_ioctl() {
	local sources=(--include='*.c' --include='*.cpp' --include='*.h') status=0
	# These are the files to look at.
	grep -rqF "${sources[@]}" '#include <libiommufd.h>' "$top/examples" || return
	grep -rnE "${sources[@]}" '\b(ioctl|syscall)\b|#[[:space:]]*include[[:space:]]*[<"](linux|asm|asm-generic|uapi)/' \
		"$top/examples" || status=$?
	((status == 1))
}

# What a compiler warns of is an error here, though not for a user.
examples_build_by() {
	local flags="-O2 -g -Wall -Wextra -Werror"
	rm -rf "$work/examples-$1"
	PKG_CONFIG_PATH=$bin/../prefix/lib/pkgconfig make -C "$top/examples" "O=$work/examples-$1" "CC=$1" "CXX=$2" \
		"CFLAGS=$flags" "CXXFLAGS=$flags"
}

stage_examples() {
	local bin backend
	check "the examples build against the installed library" "$top/examples/run" --build || return
	bin=$(tail -n 1 "$work/log")
	check "no example makes an ioctl by itself" examples_make_no_ioctl
	check "gcc has no warning about the examples" examples_build_by gcc g++
	check "clang has no warning about the examples" examples_build_by clang clang++
	check "each example tells its usage" examples_tell_their_usage
	check "info tells the limit of locked memory in decimal" info_tells_the_limit
	check "bind gives the drive back and takes it again" bind_moves_the_drive
	check "examples/run drives the NVMe drive through both backends" "$top/examples/run"
	cat "$work/log"
	for backend in iommufd vfio; do
		check "each example runs through $backend" examples_through "$backend" "$bin"
		check "info --json prints JSON through $backend" info_is_json "$backend"
	done
	check "info --json prints the diagnosis of a device as JSON" diagnosis_is_json
}
