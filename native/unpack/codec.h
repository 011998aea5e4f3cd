/* SPDX-License-Identifier: Apache-2.0 */
/* The decoders behind stream.c. Only that file includes this one. */
#ifndef KOBAKO_UNPACK_CODEC_H
#define KOBAKO_UNPACK_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct codec_io {
	const uint8_t *in; /* advanced by what was read */
	size_t in_len;
	uint8_t *out;      /* likewise by what was written */
	size_t out_len;
	bool in_ended;     /* no input will follow */
};

struct codec {
	/*
	 * Decodes until the output is full or the input is used up. *ret_whole: what was read so far ends
	 * exactly at the end of a member or frame and nothing is held back. EBADMSG: damaged.
	 */
	int (*decode)(void *state, struct codec_io *io, bool *ret_whole, struct err *e);
	void (*close)(void *state);
	void *state;
};

int gzip_open(struct codec *ret, struct err *e);
int zstd_open(struct codec *ret, struct err *e);

#endif
