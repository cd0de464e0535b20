# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# shellcheck shell=bash
# A part of tests/run: the stages that look at the source and run none of it.

# The files that git knows or would take; all of them where there is no git folder.
files() {
	local file
	{ git -C "$top" ls-files -co --exclude-standard 2>/dev/null ||
		(cd "$top" && find . -name .git -prune -o -type f -printf '%P\n'); } | sort |
		while IFS= read -r file; do
			[[ ! -f $top/$file ]] || echo "$file"
		done
}

c_files() {
	files | grep -E '\.(c|h|cpp)$' | sed "s,^,$top/,"
}

# Programs; those of tests/stages are read along with tests/run.
shell_files() {
	local file
	for file in $(files); do
		! head -n 1 "$top/$file" | grep -qE '^#!.*\b(ba)?sh$' || echo "$top/$file"
	done
}

shellcheck_all() {
	# shellcheck disable=SC2046
	shellcheck $(shell_files | grep -vx "$top/tests/run") && shellcheck -x -a -P "$top/tests" "$top/tests/run"
}

# clang-format leaves comments as they are.
wide_lines() {
	local file wide=0
	for file in $(c_files); do
		expand -t 8 "$file" | awk -v file="$file" 'length > 120 { print file ":" NR; wide = 1 } END { exit wide }' ||
			wide=1
	done
	return $wide
}

stage_format() {
	# shellcheck disable=SC2046 # no file here has a space in its name
	check "the C files have the format of .clang-format" clang-format --dry-run -Werror $(c_files)
	check "no line of C is wider than 120 columns" wide_lines
}

stage_shell() {
	check "shellcheck" shellcheck_all
}

stage_spelling() {
	# shellcheck disable=SC2046
	check "codespell" env -C "$top" codespell --skip LICENSES $(files)
}
