/* SPDX-License-Identifier: Apache-2.0 */
/* What comes in on a connection: messages, cut at their lengths; then the bytes of a stream. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/conn_internal.h"
#include "monitor/member.h"
#include "monitor/pod.h"

#define READ_MAX 16384

/* Shared by all connections: what is left over after a read is copied out. */
static char scratch[READ_MAX];

static bool greet(struct conn *c, struct json_view message)
{
	struct json_view hello = json_view_get(message, "hello");
	cleanup_text struct text t = { 0 };
	uint64_t protocol;

	if (json_view_kind(hello) != '{' || json_view_u64(json_view_get(hello, "protocol"), UINT32_MAX, &protocol) < 0)
		return false;
	if (protocol != 1) {
		text_fmt(&t, "{\"error\":{\"code\":%d,\"kind\":\"failed-precondition\",\"message\":"
			     "\"this monitor speaks protocol 1\"}}", EPROTO);
		conn_message(c, &t);
		if (c->watch.fd >= 0)
			conn_finish(c);
		return true;
	}
	text_str(&t, "{\"hello\":{\"protocol\":1,\"version\":\"" KOBAKO_VERSION "\",\"id\":");
	text_json(&t, pod.id);
	text_fmt(&t, ",\"pid\":%d,\"start_time\":\"%s\"}}", (int)getpid(), pod.start_time);
	c->mode = CONN_MESSAGES;
	loop_timer_stop(&c->limit);
	conn_message(c, &t);
	return true;
}

/* One whole message. False: it is none, the connection is to be cut. */
static bool take_message(struct conn *c, const char *bytes, size_t len)
{
	struct json_view message, v;
	struct reply *r;
	char method[32];
	uint64_t id;

	if (json_view_parse(bytes, len, &message) < 0 || json_view_kind(message) != '{')
		return false;
	if (c->mode == CONN_HELLO)
		return greet(c, message);
	if (json_view_u64(json_view_get(message, "id"), UINT64_MAX, &id) < 0 ||
	    json_view_string(json_view_get(message, "method"), method, sizeof(method)) < 0)
		return false;
	v = json_view_get(message, "params");
	if (v.at && json_view_kind(v) != '{')
		return false;
	r = calloc(1, sizeof(*r));
	if (!r)
		return false;
	*r = (struct reply){ .conn = c, .id = id, .next = c->replies };
	c->replies = r;
	request_handle(method, v, r);
	return true;
}

/* Handles whole messages. Returns how many bytes were used, -1 to cut the connection. */
static ssize_t take_messages(struct conn *c, const char *bytes, size_t len)
{
	size_t used = 0;

	while (c->watch.fd >= 0 && (c->mode == CONN_HELLO || c->mode == CONN_MESSAGES) && len - used >= 4) {
		const unsigned char *p = (const unsigned char *)bytes + used;
		size_t size = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];

		if (size == 0 || size > TEXT_MAX)
			return -1;
		if (len - used - 4 < size)
			break;
		used += 4 + size;
		if (!take_message(c, bytes + used - size, size))
			return -1;
	}
	return (ssize_t)used;
}

static ssize_t take_some(struct conn *c, const char *bytes, size_t len)
{
	ssize_t n;

	switch (c->mode) {
	case CONN_HELLO:
	case CONN_MESSAGES:
		n = take_messages(c, bytes, len);
		if (n < 0 || c->watch.fd < 0 || c->mode != CONN_STREAM || (size_t)n == len)
			return n;
		/* It switched at once, with stream bytes right behind. */
		return n + take_some(c, bytes + n, len - (size_t)n);
	case CONN_STREAM:
		n = c->stream->input(c->stream, bytes, len);
		if (n >= 0 && c->watch.fd >= 0)
			c->input_full = (size_t)n < len;
		return n;
	case CONN_HELD:
		return 0;
	default:
		return (ssize_t)len;
	}
}

/*
 * Handles bytes that were read, after those kept from before. A frame's bytes are copied at most
 * once; nothing is kept between whole frames.
 */
static void take(struct conn *c, const char *bytes, size_t len)
{
	char *whole = NULL;
	ssize_t used;

	if (c->in_len) {
		whole = realloc(c->in, conn_room(c->in_len + len));
		if (!whole) {
			conn_end(c, true);
			return;
		}
		memcpy(whole + c->in_len, bytes, len);
		len += c->in_len;
		bytes = whole;
		c->in = NULL; /* ours while callbacks run: they may end the connection */
		c->in_len = 0;
	}
	used = take_some(c, bytes, len);
	if (c->watch.fd >= 0 && used < 0)
		conn_end(c, true);
	if (c->watch.fd >= 0 && (size_t)used < len) {
		size_t left = len - (size_t)used;

		if (!whole)
			whole = malloc(conn_room(left));
		if (whole) {
			memmove(whole, bytes + used, left);
			c->in = whole;
			c->in_len = left;
			whole = NULL;
		} else {
			conn_end(c, true);
		}
	}
	free(whole);
}

/* Takes what was kept, once it may be taken. */
void conn_take_kept(struct conn *c)
{
	char *kept = c->in;
	size_t len = c->in_len;

	if (len == 0)
		return;
	c->in = NULL;
	c->in_len = 0;
	take(c, kept, len);
	free(kept);
}

static void end_input(struct conn *c)
{
	c->input_ended = true;
	if (c->mode == CONN_LINGER)
		conn_end(c, false);
	else if (c->mode != CONN_STREAM)
		conn_end(c, true);
	else if (c->in_len == 0)
		c->stream->input_end(c->stream);
}

void conn_read(struct conn *c)
{
	/* Streams carry no requests, and much. */
	bool streams = c->mode == CONN_STREAM;
	char *bytes = streams ? pump_buffer() : scratch;
	ssize_t n = read(c->watch.fd, bytes, streams ? PUMP_MAX : sizeof(scratch));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		conn_end(c, true);
	} else if (n == 0) {
		end_input(c);
	} else if (streams) {
		pump_used((size_t)n);
		take(c, bytes, (size_t)n);
	} else {
		take(c, bytes, (size_t)n);
		memset(bytes, 0, (size_t)n); /* later children must not find this request's secrets */
	}
}
