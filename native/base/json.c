/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>

#include "cleanup.h"

#ifndef __SANITIZE_ADDRESS__ /* under sanitizers the allocations of JSON are watched like all others */
/*
 * Memory for JSON, given back with the process: those that parse it live for milliseconds, and a specification is a
 * thousand small allocations (parsing 11 KB: 0.9 ms with musl's malloc, 0.5 so).
 */
static void *json_alloc(size_t size)
{
	enum { PIECE = 256 << 10, ALIGN = 16 };
	static char *at;
	static size_t left;
	void *taken;

	if (size > SIZE_MAX - ALIGN)
		return NULL;
	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (size > left) {
		size_t piece = size > PIECE ? size : PIECE;
		char *p = mmap(NULL, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return NULL;
		at = p;
		left = piece;
	}
	taken = at;
	at += size;
	left -= size;
	return taken;
}

static void json_keep(void *p)
{
}

static void __attribute__((constructor)) use_json_alloc(void)
{
	json_set_alloc_funcs(json_alloc, json_keep);
}
#endif

/* What a number above 2^63-1 is turned into before jansson sees it. No OCI string starts so. */
#define BIG "\001u64:"
#define BIG_JSON "\"\\u0001u64:"

/* Length of the number that starts at p; *ret_whole: digits only, no sign, fraction or exponent. */
static size_t number_len(const char *p, const char *end, bool *ret_whole)
{
	const char *q = p;

	*ret_whole = true;
	for (; q < end && *q && strchr("0123456789+-.eE", *q); q++)
		if (!isdigit((unsigned char)*q))
			*ret_whole = false;
	return (size_t)(q - p);
}

static bool above_i64(const char *p, size_t n)
{
	static const char max[] = "9223372036854775807";

	/* A leading zero is no number in JSON: it is left for jansson to refuse. */
	if (n < sizeof(max) - 1 || *p == '0')
		return false;
	return n > sizeof(max) - 1 || memcmp(p, max, n) > 0;
}

/* A copy of text in which whole numbers beyond int64 are marked strings; NULL: no memory. */
static char *mark_big(const char *text, size_t len, size_t *ret_len)
{
	const char *p = text, *end = text + len;
	bool quoted = false;
	char *out, *q;

	/* Such a number takes at least 19 bytes: there are at most len/19 + 1 of them to grow. */
	out = malloc(len + (len / 19 + 1) * sizeof(BIG_JSON) + 1);
	if (!out)
		return NULL;
	q = out;
	while (p < end) {
		bool whole, big;
		size_t n;

		if (quoted || !(isdigit((unsigned char)*p) || *p == '-')) {
			if (quoted && *p == '\\' && p + 1 < end)
				*q++ = *p++;
			else if (*p == '"')
				quoted = !quoted;
			*q++ = *p++;
			continue;
		}
		n = number_len(p, end, &whole);
		big = whole && above_i64(p, n);
		if (big) {
			memcpy(q, BIG_JSON, sizeof(BIG_JSON) - 1);
			q += sizeof(BIG_JSON) - 1;
		}
		memcpy(q, p, n);
		q += n;
		if (big)
			*q++ = '"';
		p += n;
	}
	*q = '\0';
	*ret_len = (size_t)(q - out);
	return out;
}

int json_parse(const char *text, size_t len, json_t **ret, struct err *e)
{
	cleanup_free char *marked = NULL;
	const char *zero = memchr(text, '\0', len);
	json_error_t why;
	json_t *doc;

	/* No document has one, but jansson passes over it where it puts a character back (behind a number). */
	if (zero)
		return err_set(e, EINVAL, "parse JSON: a zero byte at offset %zu", (size_t)(zero - text));
	doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!doc && json_error_code(&why) == json_error_numeric_overflow) {
		size_t marked_len;

		marked = mark_big(text, len, &marked_len);
		if (!marked)
			return err_set(e, ENOMEM, "parse JSON");
		doc = json_loadb(marked, marked_len, JSON_REJECT_DUPLICATES, &why);
	}
	if (!doc)
		return err_set(e, EINVAL, "parse JSON: line %d column %d: %s", why.line, why.column, why.text);
	*ret = doc;
	return 0;
}

char *json_text(const json_t *value, size_t flags)
{
	size_t len = json_dumpb(value, NULL, 0, flags);
	char *text = len ? malloc(len + 1) : NULL;

	if (text && json_dumpb(value, text, len, flags) != len) {
		free(text);
		return NULL;
	}
	if (text)
		text[len] = '\0';
	return text;
}

struct jnode json_top(const json_t *value, const char *name)
{
	return (struct jnode){ .value = value, .key = name };
}

struct jnode json_get(const struct jnode *n, const char *key)
{
	const json_t *v = n->value ? json_object_get(n->value, key) : NULL;

	return (struct jnode){ .value = v && !json_is_null(v) ? v : NULL, .up = n, .key = key };
}

struct jnode json_item(const struct jnode *n, size_t i)
{
	const json_t *v = n->value ? json_array_get(n->value, i) : NULL;

	return (struct jnode){ .value = v && !json_is_null(v) ? v : NULL, .up = n, .index = i };
}

size_t json_count(const struct jnode *n)
{
	return n->value ? json_array_size(n->value) : 0;
}

static size_t path_add(char *buf, size_t size, size_t at, const char *text)
{
	size_t len = strlen(text);

	if (at >= size)
		return at;
	if (len >= size - at)
		len = size - at - 1;
	memcpy(buf + at, text, len);
	buf[at + len] = '\0';
	return at + len;
}

static size_t path_of(const struct jnode *n, char *buf, size_t size)
{
	size_t at = n->up ? path_of(n->up, buf, size) : 0;
	char index[32];

	if (!n->key) {
		snprintf(index, sizeof(index), "[%zu]", n->index);
		return path_add(buf, size, at, index);
	}
	if (at && *n->key)
		at = path_add(buf, size, at, ".");
	return path_add(buf, size, at, n->key);
}

char *json_path(const struct jnode *n, char *buf, size_t size)
{
	buf[0] = '\0';
	path_of(n, buf, size);
	return buf;
}

int json_refuse(const struct jnode *n, struct err *e, const char *fmt, ...)
{
	char path[200], text[280];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_path(n, path, sizeof(path));
	return err_set(e, EINVAL, "%s%s%s", path, *path ? ": " : "", text); /* the document itself has no path */
}

int json_want_object(const struct jnode *n, struct err *e)
{
	return !n->value || json_is_object(n->value) ? 0 : json_refuse(n, e, "not an object");
}

int json_want_array(const struct jnode *n, struct err *e)
{
	return !n->value || json_is_array(n->value) ? 0 : json_refuse(n, e, "not a list");
}

int json_as_str(const struct jnode *n, const char **ret, struct err *e)
{
	if (!n->value)
		return json_refuse(n, e, "is missing");
	if (!json_is_string(n->value))
		return json_refuse(n, e, "not a string");
	*ret = json_string_value(n->value);
	return 0;
}

int json_as_i64(const struct jnode *n, int64_t *ret, struct err *e)
{
	if (!n->value)
		return json_refuse(n, e, "is missing");
	if (!json_is_integer(n->value))
		return json_refuse(n, e, "not a whole number in range");
	*ret = json_integer_value(n->value);
	return 0;
}

int json_as_u64(const struct jnode *n, uint64_t *ret, struct err *e)
{
	if (!n->value)
		return json_refuse(n, e, "is missing");
	if (json_is_string(n->value) && !strncmp(json_string_value(n->value), BIG, sizeof(BIG) - 1)) {
		uint64_t v;

		errno = 0;
		v = strtoull(json_string_value(n->value) + sizeof(BIG) - 1, NULL, 10);
		if (errno)
			return json_refuse(n, e, "above 2^64-1");
		*ret = v;
		return 0;
	}
	if (!json_is_integer(n->value) || json_integer_value(n->value) < 0)
		return json_refuse(n, e, "not a whole number of 0 or more");
	*ret = (uint64_t)json_integer_value(n->value);
	return 0;
}

int json_str(const struct jnode *n, const char *key, const char **ret, struct err *e)
{
	struct jnode m = json_get(n, key);

	return m.value ? json_as_str(&m, ret, e) : 0;
}

int json_bool(const struct jnode *n, const char *key, bool *ret, struct err *e)
{
	struct jnode m = json_get(n, key);

	if (!m.value)
		return 0;
	if (!json_is_boolean(m.value))
		return json_refuse(&m, e, "not true or false");
	*ret = json_is_true(m.value);
	return 0;
}

int json_i64(const struct jnode *n, const char *key, int64_t *ret, struct err *e)
{
	struct jnode m = json_get(n, key);

	return m.value ? json_as_i64(&m, ret, e) : 0;
}

int json_u64(const struct jnode *n, const char *key, uint64_t *ret, struct err *e)
{
	struct jnode m = json_get(n, key);

	return m.value ? json_as_u64(&m, ret, e) : 0;
}

int json_u32(const struct jnode *n, const char *key, uint32_t *ret, struct err *e)
{
	struct jnode m = json_get(n, key);
	uint64_t v;
	int r;

	if (!m.value)
		return 0;
	r = json_as_u64(&m, &v, e);
	if (r < 0)
		return r;
	if (v > UINT32_MAX)
		return json_refuse(&m, e, "above 2^32-1");
	*ret = (uint32_t)v;
	return 0;
}

int json_double(const struct jnode *n, const char *key, double *ret, struct err *e)
{
	struct jnode m = json_get(n, key);

	if (!m.value)
		return 0;
	if (!json_is_number(m.value))
		return json_refuse(&m, e, "not a number");
	*ret = json_number_value(m.value);
	return 0;
}

int json_need_str(const struct jnode *n, const char *key, const char **ret, struct err *e)
{
	struct jnode m = json_get(n, key);

	return json_as_str(&m, ret, e);
}

int json_need_i64(const struct jnode *n, const char *key, int64_t *ret, struct err *e)
{
	struct jnode m = json_get(n, key);

	return json_as_i64(&m, ret, e);
}

int json_strs(const struct jnode *n, const char *key, const char ***ret, size_t *ret_count, struct err *e)
{
	struct jnode list = json_get(n, key);
	size_t count = json_count(&list);
	cleanup_free const char **out = NULL;
	int r = json_want_array(&list, e);

	if (r < 0)
		return r;
	out = calloc(count + 1, sizeof(*out));
	if (!out)
		return err_set(e, ENOMEM, "read JSON");
	for (size_t i = 0; i < count; i++) {
		struct jnode item = json_item(&list, i);

		r = json_as_str(&item, &out[i], e);
		if (r < 0)
			return r;
	}
	*ret = take_ptr(&out);
	if (ret_count)
		*ret_count = count;
	return 0;
}
