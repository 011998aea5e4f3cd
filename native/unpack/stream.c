/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sha256.h"
#include "unpack/codec.h"

/* Small enough that both stay in the second-level cache beside the decoder's window. */
#define IN_BYTES (128 << 10)
#define OUT_BYTES (256 << 10)

struct stream {
	int fd;
	enum compression kind;
	struct stream_limits limits;
	struct codec codec; /* unused when not compressed */
	struct sha256 in_hash, out_hash;
	uint64_t in_bytes, out_bytes;
	bool ended; /* read(2) said so */
	bool whole; /* the decoder stands at the end of a member or frame */
	const uint8_t *in; /* not yet decoded */
	size_t in_len;
	uint8_t in_buf[IN_BYTES];
	uint8_t out_buf[OUT_BYTES];
};

int stream_open(int fd, enum compression kind, const struct stream_limits *limits, struct stream **ret,
		struct err *e)
{
	struct stream *s = malloc(sizeof(*s));
	int r = 0;

	if (!s)
		return err_set(e, ENOMEM, "stream buffers");
	memset(s, 0, offsetof(struct stream, in_buf));
	s->fd = fd;
	s->kind = kind;
	s->limits = *limits;
	sha256_init(&s->in_hash);
	sha256_init(&s->out_hash);
	if (kind == COMPRESSION_GZIP)
		r = gzip_open(&s->codec, e);
	else if (kind == COMPRESSION_ZSTD)
		r = zstd_open(&s->codec, e);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

static int fill(struct stream *s, struct err *e)
{
	ssize_t n;

	do
		n = read(s->fd, s->in_buf, sizeof(s->in_buf));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(e, errno, "read the layer");
	if (n == 0) {
		s->ended = true;
		if (s->in_bytes < s->limits.input_bytes)
			return err_set(e, EBADMSG, "layer ends after %llu bytes, its descriptor says %llu",
				       (unsigned long long)s->in_bytes,
				       (unsigned long long)s->limits.input_bytes);
		return 0;
	}
	s->in_bytes += (uint64_t)n;
	if (s->in_bytes > s->limits.input_bytes)
		return err_set(e, EBADMSG, "layer is longer than the %llu bytes of its descriptor",
			       (unsigned long long)s->limits.input_bytes);
	sha256_add(&s->in_hash, s->in_buf, (size_t)n);
	s->in = s->in_buf;
	s->in_len = (size_t)n;
	return 0;
}

static int check_limits(const struct stream *s, struct err *e)
{
	if (s->out_bytes > s->limits.output_bytes)
		return err_set(e, EFBIG, "layer unpacks to more than %llu bytes",
			       (unsigned long long)s->limits.output_bytes);
	if (s->out_bytes > s->limits.free_bytes && s->out_bytes / s->limits.ratio > s->in_bytes)
		return err_set(e, EFBIG, "layer unpacks to more than %llu times its compressed size",
			       (unsigned long long)s->limits.ratio);
	return 0;
}

/* One piece out of the decoder; 0 bytes: it wants input. */
static int decode(struct stream *s, size_t *ret_len, struct err *e)
{
	struct codec_io io = { s->in, s->in_len, s->out_buf, sizeof(s->out_buf), s->ended };
	int r = s->codec.decode(s->codec.state, &io, &s->whole, e);

	if (r < 0)
		return r;
	s->in = io.in;
	s->in_len = io.in_len;
	*ret_len = sizeof(s->out_buf) - io.out_len;
	return 0;
}

int stream_next(struct stream *s, const uint8_t **ret_data, size_t *ret_len, struct err *e)
{
	const uint8_t *data = s->out_buf;
	size_t len = 0;
	int r;

	while (len == 0) {
		if (s->in_len == 0 && !s->ended) {
			r = fill(s, e);
			if (r < 0)
				return r;
		}
		if (s->kind == COMPRESSION_NONE) {
			data = s->in;
			len = s->in_len;
			s->in_len = 0;
			if (s->ended)
				break;
			continue;
		}
		r = decode(s, &len, e);
		if (r < 0)
			return r;
		if (len == 0 && s->ended && s->in_len == 0) {
			if (!s->whole)
				return err_set(e, EBADMSG, "compressed data ends early");
			break;
		}
	}
	if (len) {
		s->out_bytes += len;
		r = check_limits(s, e);
		if (r < 0)
			return r;
		sha256_add(&s->out_hash, data, len);
	}
	*ret_data = data;
	*ret_len = len;
	return 0;
}

void stream_digests(struct stream *s, char ret_digest[DIGEST_TEXT], char ret_diff_id[DIGEST_TEXT])
{
	strcpy(ret_digest, "sha256:");
	sha256_hex(&s->in_hash, ret_digest + strlen(ret_digest));
	strcpy(ret_diff_id, "sha256:");
	sha256_hex(&s->out_hash, ret_diff_id + strlen(ret_diff_id));
}

uint64_t stream_input_bytes(const struct stream *s)
{
	return s->in_bytes;
}

uint64_t stream_output_bytes(const struct stream *s)
{
	return s->out_bytes;
}

void stream_close(struct stream *s)
{
	if (!s)
		return;
	if (s->codec.close)
		s->codec.close(s->codec.state);
	free(s);
}
