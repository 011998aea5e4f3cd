/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A compressed layer as a stream of tar bytes: read, hashed, decompressed and hashed again in one pass.
 * Enters: a descriptor. Leaves: pieces of the tar, two digests, two sizes.
 * Never: more than one piece in memory, a window above 128 MiB, a byte past the limits.
 */
#ifndef KOBAKO_UNPACK_STREAM_H
#define KOBAKO_UNPACK_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* "sha256:" + 64 hexadecimal digits + end */
#define DIGEST_TEXT (7 + 64 + 1)

enum compression {
	COMPRESSION_NONE,
	COMPRESSION_GZIP, /* RFC 1952, any number of members */
	COMPRESSION_ZSTD, /* RFC 8878, any number of frames */
};

struct stream_limits {
	uint64_t input_bytes;  /* the descriptor's size: one byte more is an error */
	uint64_t output_bytes; /* of the tar */
	/* The tar may always have `free_bytes`; above them at most `ratio` times the input read so far. */
	uint64_t free_bytes;
	uint64_t ratio;
};

struct stream;

/*
 * Starts reading fd, which stays the caller's. All memory that the decoder needs is taken here.
 * Errors: ENOMEM.
 */
int stream_open(int fd, enum compression kind, const struct stream_limits *limits, struct stream **ret,
		struct err *e);

/*
 * The next piece of the tar; it stays valid until the next call. *ret_len 0: the end, and the
 * compressed stream was whole.
 * Errors: EBADMSG damaged, cut short or too long; EFBIG a limit; or what read(2) says.
 */
int stream_next(struct stream *s, const uint8_t **ret_data, size_t *ret_len, struct err *e);

/* After the end: the digest of the bytes read and of the tar (the layer's diff id). */
void stream_digests(struct stream *s, char ret_digest[DIGEST_TEXT], char ret_diff_id[DIGEST_TEXT]);

uint64_t stream_input_bytes(const struct stream *s);
uint64_t stream_output_bytes(const struct stream *s);

void stream_close(struct stream *s); /* NULL is fine */

#endif
