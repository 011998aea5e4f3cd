/* SPDX-License-Identifier: Apache-2.0 */
/* zstd (RFC 8878). Frames that want a window above 128 MiB are refused before memory is taken. */
#include <errno.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "unpack/codec.h"

#define WINDOW_LOG_MAX 27

static int zstd_decode(void *state, struct codec_io *io, bool *ret_whole, struct err *e)
{
	ZSTD_inBuffer in = { io->in, io->in_len, 0 };
	ZSTD_outBuffer out = { io->out, io->out_len, 0 };

	while (out.pos < out.size && (in.pos < in.size || io->in_ended)) {
		size_t in_before = in.pos, out_before = out.pos, n;

		if (*ret_whole && in.pos == in.size)
			break; /* at the end of a frame with nothing behind it */
		n = ZSTD_decompressStream(state, &out, &in);
		if (ZSTD_isError(n)) {
			if (ZSTD_getErrorCode(n) == ZSTD_error_frameParameter_windowTooLarge)
				return err_set(e, EBADMSG, "zstd frame wants a window above %d MiB",
					       1 << (WINDOW_LOG_MAX - 20));
			if (ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
				return err_set(e, ENOMEM, "zstd window");
			return err_set(e, EBADMSG, "zstd data is damaged (%s)", ZSTD_getErrorName(n));
		}
		*ret_whole = n == 0;
		if (in.pos == in_before && out.pos == out_before)
			break; /* it wants input and there is none */
	}
	if (in.pos) /* none is no place to count from */
		io->in += in.pos;
	io->in_len -= in.pos;
	io->out += out.pos;
	io->out_len -= out.pos;
	return 0;
}

static void zstd_close(void *state)
{
	ZSTD_freeDStream(state);
}

int zstd_open(struct codec *ret, struct err *e)
{
	ZSTD_DStream *d = ZSTD_createDStream();

	if (!d)
		return err_set(e, ENOMEM, "zstd decoder");
	ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	ret->decode = zstd_decode;
	ret->close = zstd_close;
	ret->state = d;
	return 0;
}
