/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/pax.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define XATTR_PREFIX "SCHILY.xattr."

void pax_clear(struct pax *p)
{
	free(p->text);
	free(p->records);
	free(p->xattrs);
	*p = (struct pax){ 0 };
}

static bool holds_nul(const char *s, size_t len)
{
	return memchr(s, '\0', len) != NULL;
}

/* These name files: a NUL would cut them in one reader and not in another. */
static bool must_be_text(const char *key)
{
	return strcmp(key, "path") == 0 || strcmp(key, "linkpath") == 0 || strcmp(key, "uname") == 0 ||
	       strcmp(key, "gname") == 0;
}

/*
 * One record, "<length> <key>=<value>\n", where length counts all of it. Cuts it in place.
 * Returns its length or 0 when it is none.
 */
static size_t parse_record(char *text, size_t len, struct pax_record *ret)
{
	size_t at = 0, size = 0;
	char *key, *equals;

	while (at < len && text[at] >= '0' && text[at] <= '9' && size <= len)
		size = size * 10 + (size_t)(text[at++] - '0');
	if (at == 0 || size > len || size < 5 || at + 1 >= size || text[at] != ' ' || text[size - 1] != '\n')
		return 0;
	key = text + at + 1;
	equals = memchr(key, '=', (size_t)(text + size - 1 - key));
	if (!equals || equals == key || holds_nul(key, (size_t)(equals - key)))
		return 0;
	*equals = '\0';
	text[size - 1] = '\0';
	*ret = (struct pax_record){ key, equals + 1, (size_t)(text + size - 1 - (equals + 1)) };
	if (must_be_text(key) && holds_nul(ret->value, ret->value_len))
		return 0;
	return size;
}

int pax_parse(struct pax *p, char *text, size_t len, struct err *e)
{
	size_t room = 0;

	pax_clear(p);
	p->text = text;
	for (size_t at = 0; at < len;) {
		size_t n;

		if (p->count == room) {
			struct pax_record *more;

			room = room ? room * 2 : 8;
			more = realloc(p->records, room * sizeof(*more));
			if (!more)
				return err_set(e, ENOMEM, "PAX records");
			p->records = more;
		}
		n = parse_record(text + at, len - at, &p->records[p->count]);
		if (!n)
			return err_set(e, EBADMSG, "PAX record %zu is damaged", p->count + 1);
		p->count++;
		at += n;
	}
	return 0;
}

const struct pax_record *pax_find(const struct pax *p, const char *key)
{
	for (size_t i = p->count; i-- > 0;)
		if (strcmp(p->records[i].key, key) == 0)
			return p->records[i].value_len ? &p->records[i] : NULL;
	return NULL;
}

const struct pax_record *pax_find_prefix(const struct pax *p, const char *prefix)
{
	for (size_t i = 0; i < p->count; i++)
		if (strncmp(p->records[i].key, prefix, strlen(prefix)) == 0)
			return &p->records[i];
	return NULL;
}

/* Digits of *s into *ret; at least one, and no more than fit. */
static int digits(const char **s, int64_t *ret)
{
	int64_t value = 0;
	const char *p = *s;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *p - '0', &value))
			return -1;
	if (p == *s)
		return -1;
	*s = p;
	*ret = value;
	return 0;
}

int pax_integer(const struct pax_record *record, int64_t *ret)
{
	const char *s = record->value;
	bool minus = *s == '-';
	int64_t value;

	if (minus || *s == '+')
		s++;
	if (digits(&s, &value) < 0 || s != record->value + record->value_len)
		return -1;
	*ret = minus ? -value : value;
	return 0;
}

int pax_time(const struct pax_record *record, struct timespec *ret)
{
	const char *s = record->value;
	bool minus = *s == '-';
	int64_t seconds;
	long nanos = 0;

	if (minus)
		s++;
	if (digits(&s, &seconds) < 0)
		return -1;
	if (*s == '.') {
		long unit = 100000000;

		for (s++; *s >= '0' && *s <= '9'; s++, unit /= 10) /* further digits are cut */
			nanos += unit * (*s - '0');
	}
	if (s != record->value + record->value_len)
		return -1;
	*ret = (struct timespec){ .tv_sec = minus ? -seconds : seconds, .tv_nsec = nanos };
	if (minus && nanos)
		*ret = (struct timespec){ .tv_sec = -seconds - 1, .tv_nsec = 1000000000 - nanos };
	return 0;
}

int pax_xattrs(struct pax *p, const struct tar_xattr **ret, size_t *ret_count, struct err *e)
{
	const size_t prefix = strlen(XATTR_PREFIX);
	size_t n = 0;

	*ret = NULL;
	*ret_count = 0;
	if (!pax_find_prefix(p, XATTR_PREFIX))
		return 0;
	free(p->xattrs);
	p->xattrs = calloc(p->count, sizeof(*p->xattrs));
	if (!p->xattrs)
		return err_set(e, ENOMEM, "extended attributes");
	for (size_t i = 0; i < p->count; i++) {
		const struct pax_record *record = &p->records[i];

		if (strncmp(record->key, XATTR_PREFIX, prefix) == 0 && record->key[prefix])
			p->xattrs[n++] = (struct tar_xattr){ record->key + prefix, (const uint8_t *)record->value,
							     record->value_len };
	}
	*ret = p->xattrs;
	*ret_count = n;
	return 0;
}
