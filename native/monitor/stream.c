/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "monitor/json_view.h"
#include "monitor/session.h"

/* The head is whole. False: no such stream, or too long. */
static bool begin_frame(struct stream_parser *p, const struct stream_sink *sink)
{
	p->left = (uint32_t)p->head[1] << 24 | (uint32_t)p->head[2] << 16 | (uint32_t)p->head[3] << 8 | p->head[4];
	p->control_len = 0;
	if (p->head[0] == STREAM_STDIN) {
		if (p->left == 0)
			sink->stdin_end(sink->arg);
		return p->left <= STREAM_STDIN_MAX;
	}
	return p->head[0] == STREAM_RESIZE && p->left > 0 && p->left <= STREAM_CONTROL_MAX;
}

ssize_t stream_parse(struct stream_parser *p, const struct stream_sink *sink, const char *bytes, size_t len)
{
	size_t used = 0;

	while (used < len) {
		size_t n = len - used;

		if (p->head_len < sizeof(p->head)) {
			p->head[p->head_len++] = (uint8_t)bytes[used++];
			if (p->head_len == sizeof(p->head) && !begin_frame(p, sink))
				return -1;
		} else if (p->head[0] == STREAM_STDIN) {
			size_t want = n < p->left ? n : p->left;
			size_t taken = sink->stdin_bytes(sink->arg, bytes + used, want);

			used += taken;
			p->left -= (uint32_t)taken;
			if (taken < want)
				return (ssize_t)used;
		} else {
			if (n > p->left)
				n = p->left;
			memcpy(p->control + p->control_len, bytes + used, n);
			p->control_len += n;
			p->left -= (uint32_t)n;
			used += n;
			if (p->left == 0 && !sink->resize(sink->arg, p->control, p->control_len))
				return -1;
		}
		if (p->head_len == sizeof(p->head) && p->left == 0)
			p->head_len = 0;
	}
	return (ssize_t)used;
}

bool stream_resize_size(const char *json, size_t len, uint16_t *ret_width, uint16_t *ret_height)
{
	struct json_view v;
	uint64_t width, height;

	if (json_view_parse(json, len, &v) < 0 || json_view_u64(json_view_get(v, "width"), UINT16_MAX, &width) < 0 ||
	    json_view_u64(json_view_get(v, "height"), UINT16_MAX, &height) < 0)
		return false;
	*ret_width = (uint16_t)width;
	*ret_height = (uint16_t)height;
	return true;
}
