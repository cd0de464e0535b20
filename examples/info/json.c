/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <stdio.h>

#include "json.h"

void add_string(json *to, const char *key, const char *value)
{
	json_object_object_add(to, key, value ? json_object_new_string(value) : NULL);
}

void add_hex(json *to, const char *key, uint64_t value)
{
	char text[24];
	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)value);
	add_string(to, key, text);
}

void add_amount(json *to, const char *key, uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	size_t unit = 0;
	char text[32];

	if (bytes == UINT64_MAX) {
		add_string(to, key, "unlimited");
		return;
	}
	for (; bytes && bytes % 1024 == 0 && unit < 4; bytes /= 1024)
		unit++;
	snprintf(text, sizeof(text), "%llu %s", (unsigned long long)bytes, units[unit]);
	add_string(to, key, text);
}

json *list_in(json *parent, const char *key)
{
	json *list;
	if (!json_object_object_get_ex(parent, key, &list))
		json_object_object_add(parent, key, list = json_object_new_array());
	return list;
}

/* The same document as an outline, for human eyes. */
static void outline(json *value, int indent, int lead)
{
	if (json_object_is_type(value, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(value); i++) {
			printf("%*s- ", indent, "");
			outline(json_object_array_get_idx(value, i), indent + 2, 0);
		}
		return;
	}
	json_object_object_foreach(value, key, child)
	{
		printf("%*s%s:", lead, "", key);
		lead = indent;
		if (json_object_is_type(child, json_type_array) || json_object_is_type(child, json_type_object)) {
			putchar('\n');
			outline(child, indent + 2, indent + 2);
		} else {
			printf(" %s\n", child ? json_object_get_string(child) : "none");
		}
	}
}

void show(json *doc, bool as_json)
{
	if (as_json)
		puts(json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		outline(doc, 0, 0);
	json_object_put(doc);
}
