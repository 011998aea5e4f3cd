/* SPDX-License-Identifier: Apache-2.0 */
/* Errors name the place; numbers are whole and exact, or refused. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static int failed;

#define CHECK(cond, ...)                                                  \
	do {                                                              \
		if (!(cond)) {                                            \
			printf("json_test:%d: ", __LINE__);               \
			printf(__VA_ARGS__);                              \
			printf("\n");                                     \
			failed = 1;                                       \
		}                                                         \
	} while (0)

static json_t *parse(const char *text)
{
	struct err e = { 0 };
	json_t *doc = NULL;

	CHECK(json_parse(text, strlen(text), &doc, &e) == 0, "%s: %s", text, e.step);
	return doc;
}

static void refused_bytes(const char *text, size_t len)
{
	struct err e = { 0 };
	json_t *doc = NULL;

	CHECK(json_parse(text, len, &doc, &e) == -EINVAL, "\"%s\" (%zu bytes) was taken", text, len);
	json_decref(doc);
}

static void refused(const char *text)
{
	refused_bytes(text, strlen(text));
}

int main(void)
{
	json_t *doc = parse("{\"list\":[{\"n\":18446744073709551615,\"i\":-9223372036854775808,\"s\":\"18446744073709551615\","
			    "\"esc\":\"\\\"9999999999999999999\",\"f\":1.99999999999999999999,\"null\":null}]}");
	struct jnode top = json_top(doc, ""), list = json_get(&top, "list"), item = json_item(&list, 0), gone;
	struct err e = { 0 };
	const char *s = NULL, **strings;
	uint64_t u = 0;
	int64_t i = 7;
	uint32_t small;
	bool b;

	CHECK(json_u64(&item, "n", &u, &e) == 0 && u == UINT64_MAX, "2^64-1 is %llu", (unsigned long long)u);
	CHECK(json_i64(&item, "i", &i, &e) == 0 && i == INT64_MIN, "-2^63 is %lld", (long long)i);
	CHECK(json_str(&item, "s", &s, &e) == 0 && !strcmp(s, "18446744073709551615"), "a string of digits became a number");
	CHECK(json_str(&item, "esc", &s, &e) == 0 && !strcmp(s, "\"9999999999999999999"), "escaped quote: %s", s);
	CHECK(json_i64(&item, "n", &i, &e) == -EINVAL, "2^64-1 as int64");
	CHECK(json_u64(&item, "i", &u, &e) == -EINVAL, "a negative as uint64");
	CHECK(json_u32(&item, "n", &small, &e) == -EINVAL, "2^64-1 as uint32");
	CHECK(json_bool(&item, "s", &b, &e) == -EINVAL && !strcmp(e.step, "list[0].s: not true or false"), "%s", e.step);
	i = 7;
	CHECK(json_i64(&item, "absent", &i, &e) == 0 && i == 7, "absent changes the default");
	CHECK(json_i64(&item, "null", &i, &e) == 0 && i == 7, "null is not absent");
	CHECK(json_need_str(&item, "absent", &s, &e) == -EINVAL && !strcmp(e.step, "list[0].absent: is missing"), "%s", e.step);
	CHECK(json_strs(&top, "list", &strings, NULL, &e) == -EINVAL && !strcmp(e.step, "list[0]: not a string"), "%s", e.step);
	gone = json_get(&item, "absent");
	gone = json_get(&gone, "below");
	CHECK(!gone.value && json_count(&gone) == 0, "a member of nothing");
	json_decref(doc);

	refused("{\"a\":1,\"a\":2}");
	refused("{\"a\":00009223372036854775808}");
	refused("{\"a\":18446744073709551615,\"a\":2}");
	refused("{\"a\":99999999999999999999999999999999999999999");
	refused("{\"a\":\"\\u0000\"}");
	refused("");
	/* A zero byte is part of the document, wherever it stands. */
	refused_bytes("{\"a\":1\0}", 8);
	refused_bytes("{\"a\":true\0\0}", 12);
	refused_bytes("{}\0", 3);
	refused_bytes("{}\0{\"a\":1}", 10);
	refused_bytes("{\"a\":18446744073709551615}\0", 27);
	doc = parse("{\"a\":99999999999999999999}");
	top = json_top(doc, "");
	CHECK(json_u64(&top, "a", &u, &e) == -EINVAL, "above 2^64-1");
	json_decref(doc);
	return failed;
}
