/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"

#define REQUEST_MAX (1u << 20)

static int read_exactly(int fd, void *to, size_t len, struct err *e)
{
	for (size_t got = 0; got < len;) {
		ssize_t n = read(fd, (char *)to + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, n ? errno : EINVAL, "read the request");
		got += (size_t)n;
	}
	return 0;
}

static int compression_of(const struct jnode *top, enum compression *ret, struct err *e)
{
	static const char *const names[] = {
		[COMPRESSION_NONE] = "none",
		[COMPRESSION_GZIP] = "gzip",
		[COMPRESSION_ZSTD] = "zstd",
	};
	const struct jnode n = json_get(top, "compression");
	const char *name;
	int r = json_as_str(&n, &name, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(name, names[i]) == 0) {
			*ret = (enum compression)i;
			return 0;
		}
	return json_refuse(&n, e, "\"%.40s\" is not gzip, zstd or none", name);
}

static int need_u64(const struct jnode *top, const char *key, uint64_t *ret, struct err *e)
{
	const struct jnode n = json_get(top, key);

	return json_as_u64(&n, ret, e);
}

static int read_unpack(const struct jnode *top, struct request *q, struct err *e)
{
	const struct jnode limits = json_get(top, "limits");
	int r = compression_of(top, &q->compression, e);

	if (r == 0)
		r = json_need_str(top, "digest", &q->digest, e);
	if (r == 0)
		r = json_need_str(top, "diff_id", &q->diff_id, e);
	if (r == 0)
		r = json_bool(top, "base", &q->base, e);
	if (r == 0)
		r = need_u64(top, "size", &q->stream.input_bytes, e);
	if (r == 0)
		r = need_u64(&limits, "output_bytes", &q->stream.output_bytes, e);
	if (r == 0)
		r = need_u64(&limits, "free_bytes", &q->stream.free_bytes, e);
	if (r == 0)
		r = need_u64(&limits, "ratio", &q->stream.ratio, e);
	if (r == 0)
		r = need_u64(&limits, "entries", &q->layer.entries, e);
	if (r == 0)
		r = need_u64(&limits, "reserve_bytes", &q->layer.reserve_bytes, e);
	if (r == 0 && !q->stream.ratio)
		r = json_refuse(&limits, e, "ratio is 0");
	return r;
}

static int read_fields(const struct jnode *top, struct request *q, struct err *e)
{
	const struct jnode op_node = json_get(top, "op");
	const char *op;
	int r = json_need_str(top, "dir", &q->dir, e);

	if (r == 0)
		r = json_as_str(&op_node, &op, e);
	if (r < 0)
		return r;
	if (q->dir[0] != '/')
		return err_set(e, EINVAL, "dir \"%.300s\" is not absolute", q->dir);
	if (strcmp(op, "unpack") == 0) {
		q->op = OP_UNPACK;
		return read_unpack(top, q, e);
	}
	if (strcmp(op, "settle") == 0) {
		q->op = OP_SETTLE;
		return json_strs(top, "parents", &q->parents, &q->parent_count, e);
	}
	return json_refuse(&op_node, e, "\"%.40s\" is not unpack or settle", op);
}

int request_read(int fd, struct request *ret, struct err *e)
{
	struct request q = { 0 };
	uint8_t prefix[4];
	struct jnode top;
	uint32_t len;
	char *text;
	int r = read_exactly(fd, prefix, sizeof(prefix), e);

	if (r < 0)
		return r;
	len = (uint32_t)prefix[0] << 24 | (uint32_t)prefix[1] << 16 | (uint32_t)prefix[2] << 8 | prefix[3];
	if (len > REQUEST_MAX)
		return err_set(e, EINVAL, "request of %u bytes is above the limit of %u", len, REQUEST_MAX);
	text = malloc(len);
	if (!text)
		return err_set(e, ENOMEM, "request");
	r = read_exactly(fd, text, len, e);
	if (r == 0)
		r = json_parse(text, len, &q.document, e);
	free(text);
	if (r < 0)
		return r;
	top = json_top(q.document, "request");
	r = read_fields(&top, &q, e);
	if (r < 0) {
		request_clear(&q);
		return r;
	}
	*ret = q;
	return 0;
}

void request_clear(struct request *r)
{
	free(r->parents);
	json_decref(r->document);
	*r = (struct request){ 0 };
}

char *answer_escape(const char *text, char *buf, size_t size)
{
	size_t used = 0;

	for (const unsigned char *p = (const unsigned char *)text; *p && used + 6 < size; p++) {
		if (*p < 0x20 || *p > 0x7e)
			used += (size_t)sprintf(buf + used, "\\\\x%02x", *p);
		else if (*p == '"' || *p == '\\')
			used += (size_t)sprintf(buf + used, "\\%c", *p);
		else
			buf[used++] = (char)*p;
	}
	buf[used] = '\0';
	return buf;
}

/* Whose fault it is: the layer's, the room's, or ours. */
static const char *kind_of(const struct err *e)
{
	switch (e->code) {
	case EBADMSG:
	case EINVAL:
	case ENAMETOOLONG:
	case ELOOP:
	case EMLINK:
	case EILSEQ:
		return "invalid-argument";
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
	case ENOMEM:
		return "resource-exhausted";
	default:
		return "internal";
	}
}

void answer_error(const struct err *e)
{
	char text[1024], escaped[4200];

	/* EBADMSG and EFBIG are our own words for "damaged" and "a limit": the step says it all. */
	if (e->code == EBADMSG || e->code == EFBIG || e->code == EINVAL)
		snprintf(text, sizeof(text), "%s", e->step);
	else
		err_text(e, text, sizeof(text));
	dprintf(STDOUT_FILENO, "{\"ok\":false,\"kind\":\"%s\",\"code\":%d,\"message\":\"%s\"}\n", kind_of(e), e->code,
		answer_escape(text, escaped, sizeof(escaped)));
}
