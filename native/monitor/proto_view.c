/* SPDX-License-Identifier: Apache-2.0 */
#include "proto_view.h"

#include <errno.h>
#include <string.h>

static int varint(struct proto_view m, size_t *pos, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 70; shift += 7) {
		uint8_t byte;

		if (*pos >= m.len)
			return -EINVAL;
		byte = m.at[(*pos)++];
		if (shift == 63 && byte > 1)
			return -EINVAL; /* more than 64 bits */
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*ret = value;
			return 0;
		}
	}
	return -EINVAL;
}

static int fixed(struct proto_view m, size_t *pos, size_t width, uint64_t *ret)
{
	*ret = 0;
	if (m.len - *pos < width)
		return -EINVAL;
	for (size_t i = 0; i < width; i++)
		*ret |= (uint64_t)m.at[*pos + i] << (8 * i);
	*pos += width;
	return 0;
}

int proto_next(struct proto_view m, size_t *pos, struct proto_field *ret)
{
	uint64_t tag, length;

	if (*pos >= m.len)
		return 0;
	*ret = (struct proto_field){ 0 };
	if (varint(m, pos, &tag) < 0 || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
		return -EINVAL;
	ret->number = (uint32_t)(tag >> 3);
	ret->type = tag & 7;
	switch (ret->type) {
	case 0:
		return varint(m, pos, &ret->value) < 0 ? -EINVAL : 1;
	case 1:
		return fixed(m, pos, 8, &ret->value) < 0 ? -EINVAL : 1;
	case 5:
		return fixed(m, pos, 4, &ret->value) < 0 ? -EINVAL : 1;
	case 2:
		if (varint(m, pos, &length) < 0 || length > m.len - *pos)
			return -EINVAL;
		ret->bytes = (struct proto_view){ m.at + *pos, (size_t)length };
		*pos += (size_t)length;
		return 1;
	default:
		return -EINVAL;
	}
}

/* The last occurrence counts, as protobuf has it. */
static int find(struct proto_view m, uint32_t number, uint8_t type, struct proto_field *ret)
{
	struct proto_field f;
	size_t pos = 0;
	int r;

	*ret = (struct proto_field){ 0 };
	while ((r = proto_next(m, &pos, &f)) > 0) {
		if (f.number != number)
			continue;
		if (f.type != type)
			return -EINVAL;
		*ret = f;
	}
	return r;
}

int proto_bytes(struct proto_view m, uint32_t number, struct proto_view *ret)
{
	struct proto_field f;
	int r = find(m, number, 2, &f);

	*ret = f.bytes;
	return r;
}

int proto_number(struct proto_view m, uint32_t number, uint64_t *ret)
{
	struct proto_field f;
	int r = find(m, number, 0, &f);

	*ret = f.value;
	return r;
}

int proto_string(struct proto_view m, uint32_t number, char *buf, size_t size)
{
	struct proto_view v;

	buf[0] = '\0';
	if (proto_bytes(m, number, &v) < 0 || (v.len && memchr(v.at, 0, v.len)))
		return -EINVAL;
	if (v.len >= size)
		return -ENAMETOOLONG;
	if (v.len)
		memcpy(buf, v.at, v.len);
	buf[v.len] = '\0';
	return 0;
}
