/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of a tar header: octal text, or GNU's base 256. Each returns 0 or -1. */
#ifndef KOBAKO_UNPACK_TAR_NUMBER_H
#define KOBAKO_UNPACK_TAR_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* Octal digits between spaces and NULs; nothing at all is 0. */
static inline int tar_octal(const uint8_t *block, size_t at, size_t width, int64_t *ret)
{
	const uint8_t *p = block + at, *end = p + width;
	uint64_t value = 0;

	while (p < end && (*p == ' ' || *p == '\0'))
		p++;
	while (end > p && (end[-1] == ' ' || end[-1] == '\0'))
		end--;
	for (; p < end && *p != '\0'; p++) {
		if (*p < '0' || *p > '7' || value >> 60)
			return -1;
		value = value << 3 | (uint64_t)(*p - '0');
	}
	*ret = (int64_t)value;
	return 0;
}

/* The top bit of the first byte set: a big-endian two's complement number in the other bits. */
static inline int tar_numeric(const uint8_t *block, size_t at, size_t width, int64_t *ret)
{
	const uint8_t *p = block + at;
	uint8_t flip;
	uint64_t value = 0;

	if (!(p[0] & 0x80))
		return tar_octal(block, at, width, ret);
	flip = p[0] & 0x40 ? 0xff : 0;
	for (size_t i = 0; i < width; i++) {
		uint8_t byte = p[i] ^ flip;

		if (i == 0)
			byte &= 0x7f;
		if (value >> 56)
			return -1;
		value = value << 8 | byte;
	}
	if (value >> 63)
		return -1;
	*ret = flip ? (int64_t)~value : (int64_t)value;
	return 0;
}

#endif
