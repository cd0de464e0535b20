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

# What is no number, too much, or not to be had together, is an error before the drive is touched.
nvme_refuses() {
	local words status
	for words in '-q 0' '-q 129' '-q 8x' '-q -18446744073709551615' '-n 17' '-b 0' '-b 513' '-b 2097664' '-r 100' '-t 0' \
		'-t 86401' '-s 0' '-s 513' '-g 0' '-g 1000001' '--compare -l' 8; do
		status=0
		# shellcheck disable=SC2086 # an option and its value
		LD_LIBRARY_PATH=$bin/../prefix/lib "$bin/nvme" $words >"$work/said" 2>"$work/errors" || status=$?
		[[ $status == 2 && ! -s $work/said && -s $work/errors ]] || { echo "nvme $words: status $status"; return 1; }
	done
}

# The lines of latencies in a file: five times each, none shorter than the one before it.
latencies_rise() {
	awk '/: latency p50 / { lines++; last = 0; for (i = 1; i < NF; i++) if ($i ~ /^(p[0-9.]+|max)$/) {
		times++; if ($(i + 1) + 0 < last) wrong++; last = $(i + 1) + 0 } }
		END { exit !(lines && times == 5 * lines && !wrong) }' "$1"
}

# Deep, with several queues, with large commands, writing, one after the other; and what this drive cannot do.
nvme_carries_loads() {
	local line status=0
	LD_LIBRARY_PATH=$bin/../prefix/lib "$top/tests/vm/run" intel -- "$bin/nvme" -t 1 -q 128 -n 3 -g 1 -l \
		-- "$bin/nvme" -t 1 -b 131072 -w -S -r 2 -l -- env LIBIOMMUFD_BACKEND=vfio "$bin/nvme" -t 1 -i -n 16 -q 8 -b 12288 -w \
		-- "$bin/nvme" -b 1048576 >"$work/said" 2>"$work/errors" || status=$?
	cat "$work/said" "$work/errors"
	for line in '3 queues of 256 entries, polling' 'depth 128 on 3 queues: [1-9][0-9]* IOPS, .* us mean' \
		'depth 128: latency p50 .*' 'load: sequential writes of 131072 bytes' \
		'depth 1: [1-9].* MiB/s, median of 2 .*' 'depth 8: [1-9].* MiB/s, median of 2 .*' \
		'16 queues of 256 entries, MSI-X' 'load: random writes of 12288 bytes' 'depth 8 on 16 queues: [1-9].* MiB/s'; do
		grep -qx "$line" "$work/said" || { echo "there is no line: $line"; return 1; }
	done
	[[ $status == 1 && $(grep -cx 'compared 4194304 bytes, 0 differences' "$work/said") == 3 ]] &&
		latencies_rise "$work/said" && grep -q 'a command of 1048576 bytes is none for this drive' "$work/errors"
}

# The four lines that compare, in a file with the three rounds that they are of: what is in the middle, and at the ends. Rates
# are rounded, and few a second on a computer that has much else to do.
sums_are_of_rounds() {
	awk 'function middle(a, b, c) { return a < b ? (b < c ? b : a < c ? c : a) : a < c ? a : b < c ? c : b }
		function least(a, b, c) { return a < b ? (a < c ? a : c) : b < c ? b : c }
		function is(said, value, slack) { if (said - value > slack || value - said > slack) wrong++ }
		{ gsub(/[,:;()]/, " ") }
		/^round / { for (i = 4; i < NF; i += 3) { rate[$i, 1, $2] = $(i + 1); rate[$i, 8, $2] = $(i + 2) } }
		/^compare / { lines++
			for (i = 1; i <= 3; i++) { o[i] = rate[$4, $3, i]; k[i] = rate["kernel", $3, i]; r[i] = o[i] / k[i] }
			slack = 0.006 - least(-r[1], -r[2], -r[3]) * (1 / least(o[1], o[2], o[3]) + 1 / least(k[1], k[2], k[3]))
			is($7, middle(r[1], r[2], r[3]), slack)
			is($14, middle(o[1], o[2], o[3]), 0); is($16, middle(k[1], k[2], k[3]), 0)
			is($20, least(r[1], r[2], r[3]), slack); is(-$22, least(-r[1], -r[2], -r[3]), slack) }
		END { exit !(lines == 4 && !wrong) }' "$1"
}

# As told in the README; and of a drive that the kernel's driver has, with much at once. It must have it again.
nvme_compares() {
	local line depth backend drive=0000:00:04.0 kernels="the kernel's driver with interrupts" rate='[1-9][0-9]*'
	"$top/examples/run" nvme --compare -t 1 >"$work/said" || return
	cat "$work/said"
	for line in "round 1, IOPS: iommufd $rate $rate, vfio $rate $rate, kernel $rate $rate" \
		"round 2, IOPS: vfio $rate $rate, kernel $rate $rate, iommufd $rate $rate" \
		"round 3, IOPS: kernel $rate $rate, iommufd $rate $rate, vfio $rate $rate" \
		'iommufd, vfio: one thread, 1 queue, polling' 'kernel: one thread, 2 hardware queues .* interrupts, merging off,'; do
		grep -qx "$line" "$work/said" || { echo "there is no line: $line"; return 1; }
	done
	for depth in 1 8; do
		for backend in iommufd vfio; do
			grep -qx "compare depth $depth, $backend with polling: [0-9.]* times $kernels ($rate to $rate IOPS; 3 rounds, .*)" \
				"$work/said" || return
		done
	done
	sums_are_of_rounds "$work/said" || { echo "what is told of the rounds is not what they were"; return 1; }
	LD_LIBRARY_PATH=$bin/../prefix/lib "$top/tests/vm/run" intel -- "$bin/bind" --restore $drive \
		-- "$bin/nvme" --compare -t 1 -r 1 -q 128 -n 2 -i -H -s 2 -b 32768 -w -S -- "$bin/bind" >"$work/said" || return
	sed "s/^$drive .* group/group/" "$work/said"
	line="compare depth 256 (128 on each of 2 queues), .* with interrupts: .* times $kernels ($rate to $rate IOPS)"
	[[ $(grep -cx "$line" "$work/said") == 2 ]] && grep -q "^$drive .* nvme$" "$work/said" &&
		grep -x 'iommufd, vfio: one thread, 2 queues, MSI-X, data in huge pages' "$work/said" &&
		grep -x ' .* by libaio several, data in small pages' "$work/said"
}

# In the guest: prints the checksum of the first $extent bytes of the drive, as the kernel's driver reads them.
checksum_of_drive() {
	"$bin/bind" --driver nvme "$drive" >/dev/null
	until [ -b /dev/nvme0n1 ]; do sleep 0.1; done
	head -c "$extent" /dev/nvme0n1 | sha256sum
	"$bin/bind" "$drive" >/dev/null
}

# In the guest: switches the device's access to memory off (02) or on (06), behind everybody's back.
set_command_register() {
	printf '%b' "\\x$1" | dd "of=/sys/bus/pci/devices/$drive/config" bs=1 seek=4 conv=notrunc status=none
}

# In the guest: what a program that has ended must have left. undisturbed WANTED STATUS ARGS...
undisturbed() {
	[[ $2 == "$1" ]] || { echo "nvme ${*:3}: status $2"; return 1; }
	[[ $(readlink "/sys/bus/pci/devices/$drive/driver") == */vfio-pci ]] || { echo "nvme ${*:3}: left the drive"; return 1; }
	[[ $(checksum_of_drive) == "$sum" ]] || { echo "nvme ${*:3}: something was not put back"; return 1; }
}

# In the guest: starts a program, and does something to it once it says such a line. Its end is in $status.
start_and_disturb() {
	local line=$1 disturbance=$2
	shift 2
	status=0
	"$bin/nvme" "$@" >/tmp/said 2>&1 &
	until grep -q "$line" /tmp/said; do kill -0 $! && sleep 0.1 || return; done
	$disturbance $! || kill $!
	wait $! || status=$?
	cat /tmp/said
}

# In the guest: and the drive must be as before.
disturb_at() {
	local line=$1 wanted=$2 disturbance=$3 status
	shift 3
	start_and_disturb "$line" "$disturbance" "$@" && undisturbed "$wanted" "$status" "$@"
}

# In the guest: the same to a program that writes, once it is about it.
disturb() {
	local wanted=$1 disturbance=$2
	shift 2
	disturb_at 'load: .* writes of' "$wanted" "after_a_second $disturbance" -w -t 600 "$@"
}

after_a_second() {
	sleep 1
	"$@"
}

hang_up() { kill -HUP "$1"; }
quit() { kill -QUIT "$1"; }
interrupt() { kill -INT "$1"; }
terminate() { kill -TERM "$1"; }

# The first one comes before anything is overwritten, others while it is proved that data survives, and put back.
hang_up_all_the_time() {
	while kill -HUP "$1" 2>/dev/null; do sleep 0.02; done
}

# In the guest: whoever reads has enough when the drive is being overwritten; what is printed then finds nobody.
have_enough() {
	local status=0
	"$bin/nvme" "$@" 2>&1 | sed '/^load:/q' || status=${PIPESTATUS[0]}
	undisturbed 141 "$status" "$@"
}

# In the guest: nothing that is printed arrives, and there is no signal.
print_into_nothing() {
	local status=0
	"$bin/nvme" "$@" >/dev/full || status=$?
	undisturbed 1 "$status" "$@"
}

# Commands are lost, and the program gives them five seconds.
cut_off() {
	set_command_register 02
	sleep 2
	set_command_register 06
}

# The signal comes while the drive is the kernel's; the program takes it back. It asked for commands that are not merged,
# and what it wrote by then is not zeros.
interrupt_in_the_kernels_turn() {
	until [ -b /dev/nvme0n1 ]; do sleep 0.1; done
	sleep 1
	grep -x 2 /sys/block/nvme0n1/queue/nomerges && (($(head -c 4M /dev/nvme0n1 | tr -d '\0' | wc -c) > 4000000)) &&
		kill -INT "$1"
}

# In the guest: claims the disk as a mount does, before the program can open it. Until then a folder is in its way.
claim_first() {
	local status=0 program holder
	mkdir /dev/nvme0n1
	"$bin/nvme" "$@" >/tmp/said 2>&1 &
	program=$!
	until [[ -e /sys/block/nvme0n1/dev ]]; do sleep 0.1; done
	# shellcheck disable=SC2046 # two numbers
	mknod /dev/claimed b $(tr : ' ' </sys/block/nvme0n1/dev)
	perl -MFcntl -e 'sysopen(F, "/dev/claimed", O_RDONLY | O_EXCL) or die; rmdir("/dev/nvme0n1") or die;
		rename("/dev/claimed", "/dev/nvme0n1") or die; sleep 600' &
	holder=$!
	until grep -q 'is in use since' /tmp/said || ! kill -0 $program; do sleep 0.1; done
	kill $holder
	wait $program || status=$?
	cat /tmp/said
	rm /dev/nvme0n1
	grep -q '/dev/nvme0n1 is in use since' /tmp/said && undisturbed 1 "$status" "$@"
}

# In the guest: a block goes bad while the program overwrites it and others. That it could not be put back is told, and
# all others are.
lose_a_block() {
	local status bad=1030
	start_and_disturb '^load: .* writes of' "after_a_second $spoil $bad" -w -t 600 "$@" && "$spoil" || return
	grep -q ' 512 of the first 4194304 bytes of the namespace could not be put back' /tmp/said || return
	"$bin/bind" --driver nvme "$drive" >/dev/null
	until [ -b /dev/nvme0n1 ]; do sleep 0.1; done
	dd if=/tmp/was of=/dev/nvme0n1 bs=512 skip=$bad seek=$bad count=1 conv=notrunc status=none
	"$bin/bind" "$drive" >/dev/null
	undisturbed 1 "$status" "$@"
}

# In the guest: a device that is no drive is left alone.
refuse_another() {
	local status=0
	"$bin/nvme" -d 0000:01:01.0 2>/tmp/said || status=$?
	cat /tmp/said
	[[ $status == 1 ]] && grep -q 'is no NVMe controller' /tmp/said
}

disturb_all() {
	local bin=$1 spoil=$2 drive=0000:00:04.0 extent=16M sum
	"$bin/bind" --driver nvme "$drive" >/dev/null
	until [ -b /dev/nvme0n1 ]; do sleep 0.1; done
	head -c 16M /dev/urandom >/tmp/was && cat /tmp/was >/dev/nvme0n1 && sync
	"$bin/bind" "$drive" >/dev/null
	sum=$(checksum_of_drive)
	disturb 130 interrupt -b 131072 -q 32 && disturb 143 terminate -i -n 2 && disturb 1 cut_off -q 64 -b 4096 &&
		disturb 1 cut_off -i -S && disturb 130 interrupt --compare && disturb 130 interrupt_in_the_kernels_turn --compare -t 2 &&
		disturb 129 hang_up -q 8 && disturb 131 quit && disturb_at '^namespace' 129 hang_up_all_the_time -s 16 &&
		grep -x 'compared 16777216 bytes, 0 differences' /tmp/said && have_enough -w -t 1 && print_into_nothing -t 1 &&
		lose_a_block && lose_a_block -i -b 16384 -q 8 && claim_first --compare -w -t 1 -r 1 &&
		claim_first --compare -t 1 -r 1 && refuse_another
}

nvme_puts_back() {
	{
		declare -f checksum_of_drive set_command_register undisturbed start_and_disturb disturb_at disturb after_a_second \
			hang_up quit interrupt terminate hang_up_all_the_time have_enough print_into_nothing claim_first lose_a_block \
			refuse_another cut_off interrupt_in_the_kernels_turn disturb_all
		# Jobs of their own ignore no signal, and what one is ended by is told by its status alone.
		echo 'set -m -o pipefail; ulimit -c 0; disturb_all "$@" 2>&1'
	} >"$work/guest"
	LD_LIBRARY_PATH=$bin/../prefix/lib "$top/tests/vm/run" intel -- bash "$work/guest" "$bin" "$top/tests/vm/spoil"
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
	check "nvme refuses options out of range" nvme_refuses
	check "nvme carries deep, large and several loads" nvme_carries_loads
	check "nvme puts back what it overwrote when it is stopped or fails" nvme_puts_back
	check "nvme compares itself with the kernel's driver" nvme_compares
	for backend in iommufd vfio; do
		check "each example runs through $backend" examples_through "$backend" "$bin"
		check "info --json prints JSON through $backend" info_is_json "$backend"
	done
	check "info --json prints the diagnosis of a device as JSON" diagnosis_is_json
}
