/* SPDX-License-Identifier: Apache-2.0 */
/* Requests are JSON or refused, and are read where they lie. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/json_view.h"
#include "monitor/text.h"

static int failed;

#define CHECK(cond, ...)                                            \
	do {                                                        \
		if (!(cond)) {                                      \
			printf("json_view_test:%d: ", __LINE__);    \
			printf(__VA_ARGS__);                        \
			printf("\n");                               \
			failed = 1;                                 \
		}                                                   \
	} while (0)

/* Parses a copy of exactly its size on the heap, so that a read past the end is seen. */
static int parse(const char *text, size_t len)
{
	char *copy = malloc(len ? len : 1);
	struct json_view v;
	int r;

	memcpy(copy, text, len);
	r = json_view_parse(copy, len, &v);
	free(copy);
	return r;
}

static void accepts_json_and_nothing_else(void)
{
	static const char *const good[] = { "{}", " [1, 2.5e-3, -0, true, false, null, \"\"] ", "\"\\u00e9\\ud83d\\ude00\\n\"",
					    "{\"a\":{\"b\":[{}]}}", "0", "\"\xc3\xa9\xf0\x9f\x98\x80\"" };
	static const char *const bad[] = { "", " ", "{", "}", "[", "[1,]", "{,}", "{\"a\"}", "{\"a\":}", "{a:1}", "01", "-", "1.",
					   "1e", ".5", "+1", "tru", "nul", "\"", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"",
					   "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\n\"", "{} {}", "[1 2]", "\"\xff\"",
					   "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "'a'", "{\"a\":1,}" };
	char deep[400];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(parse(good[i], strlen(good[i])) == 0, "refused: %s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(parse(bad[i], strlen(bad[i])) == -EINVAL, "accepted: %s", bad[i]);
	CHECK(parse("{}\0", 3) < 0, "a NUL behind the value");
	memset(deep, '[', sizeof(deep));
	CHECK(parse(deep, sizeof(deep)) < 0, "400 levels, open");
	memset(deep + 200, ']', 200);
	CHECK(parse(deep, sizeof(deep)) < 0, "200 levels");
	CHECK(parse(deep + 140, 120) == 0, "60 levels");
}

/* Every prefix and every one-byte change of a request is judged without a read out of bounds. */
static void survives_damage(void)
{
	static const char request[] = "{\"id\":7,\"method\":\"kill\",\"params\":{\"container\":\"a\\u0031\",\"signal\":9,\"l\":[1,{}]}}";
	size_t len = sizeof(request) - 1;

	for (size_t n = 0; n < len; n++)
		CHECK(parse(request, n) < 0, "accepted a prefix of %zu bytes", n);
	for (size_t i = 0; i < len; i++)
		for (int c = 0; c < 256; c++) {
			char *copy = malloc(len);
			struct json_view v, params, key, value;
			char buf[16];
			size_t pos = 0;
			uint64_t n;

			memcpy(copy, request, len);
			copy[i] = (char)c;
			if (json_view_parse(copy, len, &v) == 0) {
				params = json_view_get(v, "params");
				json_view_u64(json_view_get(params, "signal"), 64, &n);
				json_view_string(json_view_get(params, "container"), buf, sizeof(buf));
				while (json_view_next(params, &pos, &key, &value))
					json_view_string(key, buf, sizeof(buf));
			}
			free(copy);
		}
}

static struct json_view view(const char *text)
{
	struct json_view v = { 0 };

	CHECK(json_view_parse(text, strlen(text), &v) == 0, "refused: %s", text);
	return v;
}

static void reads_members(void)
{
	struct json_view v = view("{\"a\":1,\"b\":null,\"\\u0063\":\"x\\ty\\u00e9\\ud83d\\ude00\",\"d\":[true,\"z\"],\"a\":2}");
	struct json_view key, item;
	char buf[32];
	uint64_t n = 0;
	bool flag = false;
	size_t pos = 0;

	CHECK(json_view_u64(json_view_get(v, "a"), 10, &n) == 0 && n == 1, "first of equal keys");
	CHECK(!json_view_get(v, "b").at, "null is absent");
	CHECK(!json_view_get(v, "nope").at && !json_view_get(json_view_get(v, "a"), "x").at, "absent");
	CHECK(json_view_string(json_view_get(v, "c"), buf, sizeof(buf)) == 9 && !strcmp(buf, "x\ty\xc3\xa9\xf0\x9f\x98\x80"),
	      "escapes: %s", buf);
	CHECK(json_view_string(json_view_get(v, "c"), buf, 9) == -ENAMETOOLONG, "no room for the end");
	CHECK(json_view_string(json_view_get(v, "a"), buf, sizeof(buf)) == -EINVAL, "a number is no string");
	CHECK(json_view_string(view("\"a\\u0000b\""), buf, sizeof(buf)) == -EINVAL, "U+0000 would cut a path");
	CHECK(json_view_next(json_view_get(v, "d"), &pos, &key, &item) && json_view_bool(item, &flag) == 0 && flag, "first");
	CHECK(json_view_next(json_view_get(v, "d"), &pos, &key, &item) && json_view_kind(item) == '"', "second");
	CHECK(!json_view_next(json_view_get(v, "d"), &pos, &key, &item), "end");
}

static void reads_numbers_whole_or_not(void)
{
	uint64_t n = 0;
	int64_t i = 0;

	CHECK(json_view_u64(view("18446744073709551615"), UINT64_MAX, &n) == 0 && n == UINT64_MAX, "2^64-1");
	CHECK(json_view_u64(view("18446744073709551616"), UINT64_MAX, &n) == -ERANGE, "2^64");
	CHECK(json_view_u64(view("65"), 64, &n) == -ERANGE, "over the maximum");
	CHECK(json_view_u64(view("-1"), 64, &n) == -EINVAL, "negative");
	CHECK(json_view_u64(view("1e3"), 10000, &n) == -EINVAL, "exponent");
	CHECK(json_view_u64(view("1.0"), 10000, &n) == -EINVAL, "fraction");
	CHECK(json_view_i64(view("-1000"), -1000, 1000, &i) == 0 && i == -1000, "-1000");
	CHECK(json_view_i64(view("-1001"), -1000, 1000, &i) == -ERANGE, "-1001");
}

static void writes_any_string_as_json(void)
{
	static const char expected[] = "\"a\\\"\\\\\\u000a\\u0001\\u007f\xef\xbf\xbd\xc3\xa9\"";
	struct text t = { 0 };
	struct json_view v;

	text_json(&t, "a\"\\\n\x01\x7f\xff\xc3\xa9");
	CHECK(!t.failed && t.len == sizeof(expected) - 1 && !memcmp(t.at, expected, t.len), "%.*s", (int)t.len, t.at);
	CHECK(json_view_parse(t.at, t.len, &v) == 0, "and it is JSON");
	text_free(&t);
	for (int i = 0; i < 3 && !t.failed; i++) {
		static char half[TEXT_MAX / 2 + 1];

		text_put(&t, half, sizeof(half));
	}
	CHECK(t.failed, "a text ends at its cap");
	text_free(&t);
}

int main(void)
{
	accepts_json_and_nothing_else();
	survives_damage();
	reads_members();
	reads_numbers_whole_or_not();
	writes_any_string_as_json();
	return failed;
}
