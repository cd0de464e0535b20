/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A document that is put together once, and shown as JSON or as an outline for human eyes. */
#ifndef JSON_H
#define JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct json_object json;

void add_string(json *to, const char *key, const char *value);

/* Addresses go out as text: many readers of JSON are exact only up to 2^53. */
void add_hex(json *to, const char *key, uint64_t value);

/* Bytes, in the largest unit that fits evenly; UINT64_MAX for no limit. */
void add_amount(json *to, const char *key, uint64_t bytes);

/* The list under a key. One that is not there yet is made. */
json *list_in(json *parent, const char *key);

/* Writes the document to the standard output, and frees it. */
void show(json *doc, bool as_json);

/* diagnose.c: what stands in a device's way. Returns whether it can be used; an unknown device ends the program. */
bool diagnose(const char *address, bool as_json);

#endif
