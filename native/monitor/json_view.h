/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the small JSON of requests where it lies: no tree, no allocation, so that requests never grow
 * the monitor's heap. Parts that are large (an exec's process, resources) stay text and are parsed by
 * a forked child.
 */
#ifndef KOBAKO_MONITOR_JSON_VIEW_H
#define KOBAKO_MONITOR_JSON_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One JSON value without the space around it, inside a text that json_view_parse accepted. */
struct json_view {
	const char *at; /* NULL: absent */
	size_t len;
};

/* Deepest nesting that is accepted. */
#define JSON_VIEW_DEPTH 64

/*
 * Checks a whole document (RFC 8259, UTF-8, one value) and returns its value. -EINVAL otherwise.
 * All other functions trust what this one accepted.
 */
int json_view_parse(const char *text, size_t len, struct json_view *ret);

/* '{', '[', '"', 't', 'f', 'n', or '0' for a number; 0 when absent. */
char json_view_kind(struct json_view v);

/* The member `key` of an object; absent when missing, null, or v is no object. The first of equal keys counts. */
struct json_view json_view_get(struct json_view v, const char *key);

/* Walks an array or object: *pos starts at 0; false at the end. `ret_key` (a string) is absent for arrays. */
bool json_view_next(struct json_view v, size_t *pos, struct json_view *ret_key, struct json_view *ret);

/*
 * Decodes a string into buf, terminated. Returns its length, -EINVAL when it is no string or holds
 * U+0000, -ENAMETOOLONG when it does not fit.
 */
int json_view_string(struct json_view v, char *buf, size_t size);

/* A number without sign, fraction and exponent. -EINVAL, -ERANGE above `max`. */
int json_view_u64(struct json_view v, uint64_t max, uint64_t *ret);

/* As above with an optional minus. */
int json_view_i64(struct json_view v, int64_t min, int64_t max, int64_t *ret);

int json_view_bool(struct json_view v, bool *ret);

#endif
