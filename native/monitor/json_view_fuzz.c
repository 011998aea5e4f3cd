/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: the reader of requests, held against jansson. What one accepts the other accepts, but for what
 * they set themselves: jansson the range of numbers and keys without U+0000, we the depth.
 */
#include <errno.h>
#include <jansson.h>

#include "base/fuzz.h"
#include "monitor/json_view.h"

static void visit(struct json_view v)
{
	struct json_view key, item;
	char text[64];
	size_t pos = 0;
	uint64_t u;
	int64_t i;
	bool b;

	FUZZ_HOLDS(v.at && v.len && json_view_kind(v), "a value that is nothing");
	json_view_string(v, text, sizeof(text));
	json_view_u64(v, UINT64_MAX, &u);
	json_view_i64(v, INT64_MIN, INT64_MAX, &i);
	json_view_bool(v, &b);
	while (json_view_next(v, &pos, &key, &item)) {
		if (key.at && json_view_string(key, text, sizeof(text)) >= 0)
			FUZZ_HOLDS(!json_view_get(v, text).at || json_view_kind(json_view_get(v, text)), "member %s", text);
		visit(item);
	}
}

/* As jansson read it. */
static void compare(struct json_view v, const json_t *other)
{
	struct json_view key, item;
	char *text;
	size_t pos = 0, count = 0;

	switch (json_typeof(other)) {
	case JSON_STRING:
		text = malloc(json_string_length(other) + 1);
		if (text && !memchr(json_string_value(other), 0, json_string_length(other)))
			FUZZ_HOLDS(json_view_string(v, text, json_string_length(other) + 1) == (int)json_string_length(other) &&
				   !memcmp(text, json_string_value(other), json_string_length(other)),
				   "string \"%s\"", json_string_value(other));
		free(text);
		break;
	case JSON_ARRAY:
		while (json_view_next(v, &pos, &key, &item))
			compare(item, json_array_get(other, count++));
		FUZZ_HOLDS(count == json_array_size(other), "%zu items for %zu", count, json_array_size(other));
		break;
	case JSON_OBJECT:
		FUZZ_HOLDS(json_view_kind(v) == '{', "an object is %c", json_view_kind(v));
		break;
	case JSON_INTEGER: {
		int64_t i;
		int r = json_view_i64(v, INT64_MIN, INT64_MAX, &i);

		FUZZ_HOLDS(r == 0 && i == json_integer_value(other), "number %lld", (long long)json_integer_value(other));
		break;
	}
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_error_t why;
	struct json_view v;
	int r = json_view_parse((const char *)data, size, &v);
	json_t *other = json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);

	if (r == 0)
		visit(v);
	if (r == 0 && other)
		compare(v, other);
	if (r == 0 && !other) {
		enum json_error_code code = json_error_code(&why);

		FUZZ_HOLDS(code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
			   code == json_error_null_character, "jansson refuses what we accept: %s", why.text);
	}
	if (r < 0 && other) {
		size_t depth = 0;

		for (size_t i = 0; i < size; i++)
			depth += data[i] == '[' || data[i] == '{';
		/* It takes a zero byte behind the document for the document's end. */
		FUZZ_HOLDS(depth >= JSON_VIEW_DEPTH || memchr(data, 0, size), "we refuse what jansson accepts");
	}
	json_decref(other);
	return 0;
}
