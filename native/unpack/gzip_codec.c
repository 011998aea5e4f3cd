/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip (RFC 1952): members one after the other, each with its checksum and length verified.
 * ISA-L decodes about twice as fast as zlib; which one is built in, the Makefile says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unpack/codec.h"

#ifdef KOBAKO_ISAL
#include <isa-l/igzip_lib.h>

struct gzip {
	struct inflate_state z;
	struct isal_gzip_header header;
	bool in_header;
};

static void member_begin(struct gzip *g)
{
	isal_inflate_reset(&g->z);
	g->z.crc_flag = ISAL_GZIP_NO_HDR_VER; /* trailer checked; the header is read below */
	isal_gzip_header_init(&g->header);
	g->in_header = true;
}

static int gzip_decode(void *state, struct codec_io *io, bool *ret_whole, struct err *e)
{
	struct gzip *g = state;
	struct inflate_state *z = &g->z;
	int r = ISAL_DECOMP_OK;

	z->next_in = (uint8_t *)io->in;
	z->avail_in = (uint32_t)io->in_len;
	z->next_out = io->out;
	z->avail_out = (uint32_t)io->out_len;
	for (;;) {
		uint32_t in = z->avail_in, out = z->avail_out;

		if (*ret_whole) {
			if (!z->avail_in)
				break;
			*ret_whole = false;
			member_begin(g);
		}
		if (g->in_header) {
			r = isal_read_gzip_header(z, &g->header);
			if (r == ISAL_END_INPUT)
				break;
			if (r != ISAL_DECOMP_OK)
				return err_set(e, EBADMSG, "gzip header is damaged");
			g->in_header = false;
		}
		r = isal_inflate(z);
		if (r != ISAL_DECOMP_OK && r != ISAL_END_INPUT)
			return err_set(e, EBADMSG, r == ISAL_INCORRECT_CHECKSUM ? "gzip checksum does not match" :
										 "gzip data is damaged");
		*ret_whole = z->block_state == ISAL_BLOCK_FINISH;
		if (!z->avail_out || (!*ret_whole && in == z->avail_in && out == z->avail_out))
			break;
	}
	io->in = z->next_in;
	io->in_len = z->avail_in;
	io->out = z->next_out;
	io->out_len = z->avail_out;
	return 0;
}

static void gzip_close(void *state)
{
	free(state);
}

int gzip_open(struct codec *ret, struct err *e)
{
	struct gzip *g = calloc(1, sizeof(*g));

	if (!g)
		return err_set(e, ENOMEM, "gzip decoder");
	isal_inflate_init(&g->z);
	member_begin(g);
	ret->decode = gzip_decode;
	ret->close = gzip_close;
	ret->state = g;
	return 0;
}

#else
#include <zlib.h>

#define GZIP_ONLY (15 + 16) /* window bits: 32 KiB, a gzip header expected */

static int gzip_decode(void *state, struct codec_io *io, bool *ret_whole, struct err *e)
{
	z_stream *z = state;

	z->next_in = (uint8_t *)io->in;
	z->avail_in = (uInt)io->in_len;
	z->next_out = io->out;
	z->avail_out = (uInt)io->out_len;
	while (z->avail_out) {
		int r;

		if (*ret_whole) {
			if (!z->avail_in)
				break;
			*ret_whole = false;
			inflateReset(z);
		}
		r = inflate(z, Z_NO_FLUSH);
		if (r == Z_STREAM_END)
			*ret_whole = true;
		else if (r == Z_BUF_ERROR)
			break; /* it wants input */
		else if (r == Z_MEM_ERROR)
			return err_set(e, ENOMEM, "gzip window");
		else if (r != Z_OK)
			return err_set(e, EBADMSG, "gzip data is damaged (%s)", z->msg ? z->msg : "unexpected end");
	}
	io->in = z->next_in;
	io->in_len = z->avail_in;
	io->out = z->next_out;
	io->out_len = z->avail_out;
	return 0;
}

static void gzip_close(void *state)
{
	inflateEnd(state);
	free(state);
}

int gzip_open(struct codec *ret, struct err *e)
{
	z_stream *z = calloc(1, sizeof(*z));

	if (!z || inflateInit2(z, GZIP_ONLY) != Z_OK) {
		free(z);
		return err_set(e, ENOMEM, "gzip decoder");
	}
	ret->decode = gzip_decode;
	ret->close = gzip_close;
	ret->state = z;
	return 0;
}
#endif
