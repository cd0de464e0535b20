# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# shellcheck shell=bash
# A part of tests/run: the suite in machines, and the tables that are made of what it printed.

# Machines of vm and contract when it shall be quick; else all there are.
machines=(intel legacy mock)
# The newest kernel, of which no one machine has all, and those of which the table tells beside it.
uapi_machines=(mock intel scalable noiommu legacy lts mock-lts old)
# Files of the suite that are about what iommufd alone has.
uapi_files=(uapi allow copy dirty file hwpt process mock-bed mock-dirty mock-dirty-fail mock-fault mock-fork mock-hwpt mock-order
	mock-queue mock-viommu)
# All of the device layer, and what of it a container has that iommufd serves.
device_machines=(device compat)
# Files of the suite that are about devices. What they have under the same names is what the table shows.
device_files=(device region window bars irq vectors pci driver mdev refusal hotplug monitor sriov sriov-io qemu feature migration
	migration-life reset peer peer-away dmabuf peer-device kvm coherent)

# In full, each machine leaves out what its file says.
stage_vm() {
	CC=gcc CXX=g++ build gcc -Ddocs=enabled || return
	rm -f "$work/vm.json"
	if [[ -n $all ]]; then
		run_tests gcc vm "${machines[@]}"
	else
		CK_EXCLUDE_TAGS=inject run_tests gcc vm "${machines[@]}"
	fi
}

# The rows are the tests of these files of the suite.
stage_contract() {
	local files=(contract batch replace noiommu)
	if [[ ! " $ran " =~ \ vm\  ]]; then
		CC=gcc CXX=g++ build gcc -Ddocs=enabled || return
		rm -f "$work/vm.json"
		CK_INCLUDE_TAGS="${files[*]}" run_tests gcc vm "${machines[@]}"
	fi
	check "every row of the contract passes on every path of every machine" \
		"$top/tests/grid" "$work/vm.json" "${files[@]}"
	cat "$work/log"
}

# Where all of vm ran, more tests count than those of these files.
stage_uapi() {
	if [[ -z $all || ! " $ran " =~ \ vm\  ]]; then
		CC=gcc CXX=g++ build gcc -Ddocs=enabled || return
		rm -f "$work/vm.json"
		CK_INCLUDE_TAGS="${uapi_files[*]}" run_tests gcc vm "${uapi_machines[@]}"
	fi
	check "each ioctl of iommufd has a call, a test on a kernel that has it, and an answer on one that has not" \
		"$top/tests/uapi-table" "$work/vm.json" "$top/lib/uapi/iommufd.h" 6.12 6.1 && cat "$work/log"
}

# Where all of vm ran, `device` has run what it has of its own, and other machines the rest.
stage_device() {
	if [[ -z $all || ! " $ran " =~ \ vm\  ]]; then
		CC=gcc CXX=g++ build gcc -Ddocs=enabled || return
		rm -f "$work/vm.json"
		CK_INCLUDE_TAGS="${device_files[*]}" run_tests gcc vm "${device_machines[@]}"
	fi
	check "each item of the device layer works on iommufd and on VFIO, or tells what is missing" \
		"$top/tests/device-table" "$work/vm.json" "${device_files[@]}" && cat "$work/log"
}

# The machines that the wanted stages boot.
wanted_machines() {
	local stage
	for stage in "${wanted[@]}"; do
		case $stage in
		vm | contract) printf '%s\n' "${machines[@]}" ;;
		uapi) printf '%s\n' "${uapi_machines[@]}" ;;
		device) printf '%s\n' "${device_machines[@]}" ;;
		asan) [[ -z $all ]] || printf '%s\n' "${few[@]}" ;;
		tsan) [[ -z $all ]] || printf '%s\n' "${tsan_machines[@]}" ;;
		examples | bench) echo intel ;;
		arm64) "$top/tests/vm/run" --list-apart | cut -d' ' -f1 ;;
		esac
	done
}

# Here, so that no test's time goes by while something is fetched or built.
stage_machines() {
	local machine
	for machine in $(wanted_machines | sort -u); do
		"$top/tests/vm/run" "$machine" --prepare
	done
	headers=$("$top/tests/vm/kernel" --headers)
}
