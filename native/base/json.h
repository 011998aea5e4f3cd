/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed access to JSON over jansson. A node knows where it stands, so that an error names the
 * place: `linux.resources.memory.limit: not a whole number`.
 *
 * Nodes are plain values on the stack; a node points at the node it came from, which must outlive it.
 * A getter of an absent (or null) member leaves *ret as it is and returns 0: set the default before.
 * The `need_` forms answer EINVAL when the member is absent.
 */
#ifndef KOBAKO_BASE_JSON_H
#define KOBAKO_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct jnode {
	const json_t *value; /* NULL: absent or null */
	const struct jnode *up;
	const char *key;     /* its name in an object, NULL in an array */
	size_t index;
};

/*
 * Parses one JSON document of len bytes. Whole numbers up to 2^64-1 are exact (jansson alone ends at
 * 2^63-1). Duplicate keys are refused: one document, one meaning. json_decref() the result.
 */
int json_parse(const char *text, size_t len, json_t **ret, struct err *e);

/* The value as text, terminated, free() it; NULL: no memory. Not json_dumps(): what that returns is not malloc's. */
char *json_text(const json_t *value, size_t flags);

/* The top of a document; `name` stands first in paths of errors ("" for none). */
struct jnode json_top(const json_t *value, const char *name);

/* A member of an object; value NULL when absent, null or when n is no object. */
struct jnode json_get(const struct jnode *n, const char *key);

/* The i-th item of an array. */
struct jnode json_item(const struct jnode *n, size_t i);

/* Number of items when n is an array, else 0. */
size_t json_count(const struct jnode *n);

/* "linux.mounts[3].source" into buf (cut when too small); returns buf. */
char *json_path(const struct jnode *n, char *buf, size_t size);

/* EINVAL with the path of n in front: `path: text`. */
int json_refuse(const struct jnode *n, struct err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Type checks of a whole node; absent passes. */
int json_want_object(const struct jnode *n, struct err *e);
int json_want_array(const struct jnode *n, struct err *e);

/* The value of n itself; absent is EINVAL. Strings live as long as the document. */
int json_as_str(const struct jnode *n, const char **ret, struct err *e);
int json_as_i64(const struct jnode *n, int64_t *ret, struct err *e);
int json_as_u64(const struct jnode *n, uint64_t *ret, struct err *e);

/* The value of member `key` of n; absent leaves *ret. */
int json_str(const struct jnode *n, const char *key, const char **ret, struct err *e);
int json_bool(const struct jnode *n, const char *key, bool *ret, struct err *e);
int json_i64(const struct jnode *n, const char *key, int64_t *ret, struct err *e);
int json_u64(const struct jnode *n, const char *key, uint64_t *ret, struct err *e);
int json_u32(const struct jnode *n, const char *key, uint32_t *ret, struct err *e);
int json_double(const struct jnode *n, const char *key, double *ret, struct err *e);

int json_need_str(const struct jnode *n, const char *key, const char **ret, struct err *e);
int json_need_i64(const struct jnode *n, const char *key, int64_t *ret, struct err *e);

/*
 * An array of strings as an allocated list ended by NULL (the strings belong to the document).
 * Absent: an empty list. *ret_count may be NULL. free() the list.
 */
int json_strs(const struct jnode *n, const char *key, const char ***ret, size_t *ret_count, struct err *e);

#endif
