/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a protobuf message where it lies, field by field: no allocation, nothing is trusted.
 */
#ifndef KOBAKO_MONITOR_PROTO_VIEW_H
#define KOBAKO_MONITOR_PROTO_VIEW_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of a message, or of one of its fields. at NULL: absent. */
struct proto_view {
	const uint8_t *at;
	size_t len;
};

struct proto_field {
	uint32_t number;
	uint8_t type;           /* wire type: 0 varint, 1 and 5 fixed, 2 bytes */
	uint64_t value;         /* of 0, 1 and 5 */
	struct proto_view bytes; /* of 2 */
};

/* Walks: *pos starts at 0. Returns 1 with a field, 0 at the end, -EINVAL (groups, which nobody sends, too). */
int proto_next(struct proto_view message, size_t *pos, struct proto_field *ret);

/*
 * The last occurrence of a field of bytes, and of a number; absent, and 0, where there is none.
 * -EINVAL when the message is malformed or the field is of another type.
 */
int proto_bytes(struct proto_view message, uint32_t number, struct proto_view *ret);
int proto_number(struct proto_view message, uint32_t number, uint64_t *ret);

/* A text without U+0000, terminated; "" where absent. -EINVAL, -ENAMETOOLONG. */
int proto_string(struct proto_view message, uint32_t number, char *buf, size_t size);

#endif
