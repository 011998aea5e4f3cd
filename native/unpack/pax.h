/* SPDX-License-Identifier: Apache-2.0 */
/* The records of a PAX extended header (POSIX.1-2017 pax, "pax Extended Header"). */
#ifndef KOBAKO_UNPACK_PAX_H
#define KOBAKO_UNPACK_PAX_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"
#include "unpack/tar.h"

struct pax_record {
	const char *key;   /* terminated, no NUL inside */
	const char *value; /* terminated; only xattr values may hold a NUL */
	size_t value_len;
};

struct pax {
	char *text; /* what the records point into */
	struct pax_record *records;
	size_t count;
	struct tar_xattr *xattrs;
};

/*
 * Replaces *p by the records of text, which it takes over (also when it fails). text[len] must be 0.
 * Errors: EBADMSG, ENOMEM.
 */
int pax_parse(struct pax *p, char *text, size_t len, struct err *e);
void pax_clear(struct pax *p);

/* The last record of that key with a value; an empty value means "as in the header": NULL. */
const struct pax_record *pax_find(const struct pax *p, const char *key);
const struct pax_record *pax_find_prefix(const struct pax *p, const char *prefix);

/* Whole decimal numbers and "seconds[.fraction]" times. Return 0 or -1. */
int pax_integer(const struct pax_record *record, int64_t *ret);
int pax_time(const struct pax_record *record, struct timespec *ret);

/* The SCHILY.xattr.* records; the list lives as long as *p. */
int pax_xattrs(struct pax *p, const struct tar_xattr **ret, size_t *ret_count, struct err *e);

#endif
