/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: archives built in memory, byte by byte. */
#ifndef KOBAKO_UNPACK_TAR_BUILD_H
#define KOBAKO_UNPACK_TAR_BUILD_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "unpack/tar.h"

struct archive {
	uint8_t bytes[256 << 10];
	size_t len, at; /* at: how far it was read; pieces of `piece` bytes */
	size_t piece;
};

static inline void archive_header(struct archive *a, char type, const char *name, const char *link, uint64_t size,
				  unsigned int mode)
{
	char *h = (char *)a->bytes + a->len;
	unsigned int sum = 0;

	memset(h, 0, 512);
	memcpy(h, name, strnlen(name, 100));
	snprintf(h + 100, 8, "%07o", mode);
	snprintf(h + 108, 8, "%07o", 0u);
	snprintf(h + 116, 8, "%07o", 0u);
	snprintf(h + 124, 12, "%011llo", (unsigned long long)size);
	snprintf(h + 136, 12, "%011o", 1600000000u);
	h[156] = type;
	memcpy(h + 157, link, strnlen(link, 100));
	memcpy(h + 257, "ustar\00000", 8);
	memset(h + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += (uint8_t)h[i];
	snprintf(h + 148, 8, "%06o", sum);
	a->len += 512;
}

static inline void archive_add(struct archive *a, char type, const char *name, const char *link_or_content,
			       unsigned int mode)
{
	const int has_content = type != '1' && type != '2' && type != '5';
	size_t size = has_content ? strlen(link_or_content) : 0;

	archive_header(a, type, name, has_content ? "" : link_or_content, size, mode);
	memset(a->bytes + a->len, 0, (size + 511) & ~511ul);
	memcpy(a->bytes + a->len, link_or_content, size);
	a->len += (size + 511) & ~511ul;
}

static inline void archive_end(struct archive *a)
{
	memset(a->bytes + a->len, 0, 1024);
	a->len += 1024;
}

static inline int archive_pull(void *ctx, const uint8_t **ret_data, size_t *ret_len, struct err *e)
{
	struct archive *a = ctx;
	size_t n = a->len - a->at;

	(void)e;
	if (n > a->piece)
		n = a->piece;
	*ret_data = a->bytes + a->at;
	*ret_len = n;
	a->at += n;
	return 0;
}

#endif
