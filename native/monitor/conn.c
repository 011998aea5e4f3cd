/* SPDX-License-Identifier: Apache-2.0 */
#include "conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "monitor/pod.h"

#define HELLO_LIMIT_MS 10000
#define LINGER_LIMIT_MS 5000
#define READ_MAX 16384

enum conn_mode {
	CONN_HELLO,   /* the first message is due */
	CONN_MESSAGES,
	CONN_HELD,    /* a request that may switch is under way */
	CONN_STREAM,
	CONN_ENDING,  /* sends what is queued */
	CONN_LINGER,  /* all is sent; what still comes is dropped until the peer closes */
};

struct conn {
	struct watch watch;
	struct timer limit; /* for the hello, then for lingering */
	struct conn *next;
	enum conn_mode mode;
	bool subscribed, input_ended;
	bool input_full; /* the stream did not take all */
	char *in;        /* bytes not handled yet; NULL when none */
	size_t in_len;
	char *out;       /* bytes not sent yet, from out_at on */
	size_t out_len, out_at;
	struct reply *replies;
	struct stream *stream;
};

static struct watch listener = { .fd = -1 };
static struct conn *conns;
static int conn_count;
/* Shared by all connections: what is left over after a read is copied out. */
static char scratch[READ_MAX];

static void interest(struct conn *c)
{
	uint32_t events = 0;

	if (c->watch.fd < 0)
		return;
	if (c->out_len > c->out_at)
		events |= EPOLLOUT;
	if (!c->input_ended && !c->input_full && c->mode != CONN_HELD && c->mode != CONN_ENDING)
		events |= EPOLLIN;
	loop_watch(&c->watch, events);
}

static void end(struct conn *c, bool tell)
{
	struct stream *s = c->stream;

	if (c->watch.fd < 0)
		return;
	loop_timer_stop(&c->limit);
	loop_close(&c->watch);
	for (struct conn **at = &conns; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	conn_count--;
	for (struct reply *r = c->replies; r; r = r->next)
		r->conn = NULL;
	c->replies = NULL;
	c->stream = NULL;
	free(c->in);
	free(c->out);
	c->in = c->out = NULL;
	c->in_len = c->out_len = c->out_at = 0;
	loop_free(&c->watch, c);
	if (tell && s)
		s->gone(s);
}

void conn_drop(struct conn *c)
{
	end(c, false);
}

/* Sends what is queued. False: the connection is gone. */
static bool flush(struct conn *c)
{
	while (c->out_at < c->out_len) {
		ssize_t n = send(c->watch.fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0) {
			end(c, true);
			return false;
		}
		c->out_at += (size_t)n;
	}
	free(c->out);
	c->out = NULL;
	c->out_at = c->out_len = 0;
	/*
	 * A close now would reset the connection if input lies unread, and a peer that is told of that
	 * while it writes may never read what we sent last.
	 */
	if (c->mode == CONN_ENDING) {
		c->mode = CONN_LINGER;
		c->input_full = false;
		shutdown(c->watch.fd, SHUT_WR);
		loop_timer(&c->limit, LINGER_LIMIT_MS);
	}
	return true;
}

static bool queue(struct conn *c, const char *bytes, size_t len)
{
	size_t left = c->out_len - c->out_at;
	char *more;

	if (len == 0)
		return true;
	if (left + len > CONN_QUEUE_MAX)
		return false;
	if (c->out_at) {
		memmove(c->out, c->out + c->out_at, left);
		c->out_at = 0;
		c->out_len = left;
	}
	more = realloc(c->out, left + len);
	if (!more)
		return false;
	memcpy(more + left, bytes, len);
	c->out = more;
	c->out_len = left + len;
	return true;
}

/* Head and body go out together, or are queued. A peer that takes nothing is cut off at the cap. */
static void send_pieces(struct conn *c, const char *head, size_t head_len, const char *body, size_t body_len)
{
	struct iovec iov[2] = { { (void *)(uintptr_t)head, head_len }, { (void *)(uintptr_t)body, body_len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	size_t sent = 0;

	if (c->watch.fd < 0)
		return;
	if (c->out_len == c->out_at) {
		ssize_t n = sendmsg(c->watch.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			end(c, true);
			return;
		}
		sent = n > 0 ? (size_t)n : 0;
	}
	if (sent < head_len && !queue(c, head + sent, head_len - sent)) {
		end(c, true);
		return;
	}
	sent = sent > head_len ? sent - head_len : 0;
	if (!queue(c, body + sent, body_len - sent)) {
		end(c, true);
		return;
	}
	interest(c);
}

static void send_message(struct conn *c, const struct text *t)
{
	char head[4] = { (char)(t->len >> 24), (char)(t->len >> 16), (char)(t->len >> 8), (char)t->len };

	if (t->failed)
		end(c, true); /* no memory for an answer: the peer must not wait for it */
	else
		send_pieces(c, head, 4, t->at, t->len);
}

static void unlink_reply(struct reply *r)
{
	if (!r->conn)
		return;
	for (struct reply **at = &r->conn->replies; *at; at = &(*at)->next)
		if (*at == r) {
			*at = r->next;
			return;
		}
}

void reply_ok(struct reply *r, const char *result, size_t len)
{
	cleanup_text struct text t = { 0 };

	unlink_reply(r);
	if (r->conn) {
		text_fmt(&t, "{\"id\":%llu,\"result\":", (unsigned long long)r->id);
		text_put(&t, result, len);
		text_put(&t, "}", 1);
		send_message(r->conn, &t);
	}
	free(r);
}

void reply_error(struct reply *r, enum error_kind kind, const struct err *e)
{
	cleanup_text struct text t = { 0 };
	char full[sizeof(e->step) + 128];
	/* A refusal is a sentence of its own; "Invalid argument" after it says nothing more. */
	bool sentence = kind == KIND_NOT_FOUND || kind == KIND_ALREADY_EXISTS ||
			(kind != KIND_INTERNAL && (e->code == EINVAL || e->code == EBUSY || e->code == ESRCH));

	unlink_reply(r);
	if (r->conn) {
		text_fmt(&t, "{\"id\":%llu,\"error\":{\"code\":%d,\"kind\":\"%s\",\"message\":", (unsigned long long)r->id,
			 e->code, error_kind_name(kind));
		text_json(&t, sentence ? e->step : err_text(e, full, sizeof(full)));
		text_str(&t, "}}");
		send_message(r->conn, &t);
	}
	free(r);
}

void reply_refuse(struct reply *r, enum error_kind kind, int code, const char *fmt, ...)
{
	struct err e = { .code = code };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e.step, sizeof(e.step), fmt, ap);
	va_end(ap);
	reply_error(r, kind, &e);
}

void conn_event(const char *event, const struct text *params)
{
	cleanup_text struct text t = { 0 };

	text_fmt(&t, "{\"event\":\"%s\",\"params\":", event);
	text_put(&t, params->at, params->len);
	text_put(&t, "}", 1);
	for (struct conn *c = conns, *next; c; c = next) {
		next = c->next; /* a slow one is cut off here */
		if (c->subscribed && c->mode < CONN_STREAM)
			send_message(c, &t);
	}
}

void conn_subscribe(struct conn *c)
{
	c->subscribed = true;
}

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
		send_message(c, &t);
		if (c->watch.fd >= 0)
			conn_finish(c);
		return true;
	}
	text_str(&t, "{\"hello\":{\"protocol\":1,\"version\":\"" KOBAKO_VERSION "\",\"id\":");
	text_json(&t, pod.id);
	text_fmt(&t, ",\"pid\":%d,\"start_time\":\"%s\"}}", (int)getpid(), pod.start_time);
	c->mode = CONN_MESSAGES;
	loop_timer_stop(&c->limit);
	send_message(c, &t);
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
		whole = realloc(c->in, c->in_len + len);
		if (!whole) {
			end(c, true);
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
		end(c, true);
	if (c->watch.fd >= 0 && (size_t)used < len) {
		size_t left = len - (size_t)used;

		if (!whole)
			whole = malloc(left);
		if (whole) {
			memmove(whole, bytes + used, left);
			c->in = whole;
			c->in_len = left;
			whole = NULL;
		} else {
			end(c, true);
		}
	}
	free(whole);
}

/* Takes what was kept, once it may be taken. */
static void take_kept(struct conn *c)
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
		end(c, false);
	else if (c->mode != CONN_STREAM)
		end(c, true);
	else if (c->in_len == 0)
		c->stream->input_end(c->stream);
}

static void read_some(struct conn *c)
{
	ssize_t n = read(c->watch.fd, scratch, sizeof(scratch));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		end(c, true);
	} else if (n == 0) {
		end_input(c);
	} else {
		take(c, scratch, (size_t)n);
		memset(scratch, 0, (size_t)n); /* later children must not find this request's secrets */
	}
}

static void on_conn(struct watch *w, uint32_t events)
{
	struct conn *c = container_of(w, struct conn, watch);

	if (events & (EPOLLHUP | EPOLLERR)) {
		end(c, true);
		return;
	}
	if (events & EPOLLOUT) {
		bool was_blocked = conn_blocked(c);

		if (!flush(c))
			return;
		if (was_blocked && !conn_blocked(c) && c->stream)
			c->stream->writable(c->stream);
	}
	if (c->watch.fd >= 0 && (events & EPOLLIN) && !c->input_full && !c->input_ended && c->mode != CONN_HELD &&
	    c->mode != CONN_ENDING)
		read_some(c);
	interest(c);
}

static void on_limit(struct timer *t)
{
	end(container_of(t, struct conn, limit), true);
}

static bool peer_is_root(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.uid == 0;
}

static void on_listener(struct watch *w, uint32_t events)
{
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct conn *c = NULL;

	if (fd < 0)
		return;
	if (conn_count < CONN_MAX && peer_is_root(fd))
		c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return;
	}
	c->watch = (struct watch){ .fd = fd, .ready = on_conn };
	c->limit.fire = on_limit;
	c->next = conns;
	conns = c;
	conn_count++;
	loop_timer(&c->limit, HELLO_LIMIT_MS);
	interest(c);
}

int conn_listen(const char *dir, const char *name, struct err *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int r;

	if (fd < 0)
		return err_set(e, errno, "control socket");
	if (strlen(name) >= sizeof(address.sun_path))
		return err_set(e, ENAMETOOLONG, "control socket \"%s\"", name);
	/* By its name in the folder: a path may be longer than an address can hold. */
	if (chdir(dir) < 0)
		return err_set(e, errno, "chdir \"%s\"", dir);
	strcpy(address.sun_path, name);
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&address, sizeof(address));
	if (r < 0)
		err_set(e, errno, "bind \"%s/%s\"", dir, name);
	umask(mask);
	if (chdir("/") < 0 && r == 0)
		r = err_set(e, errno, "chdir \"/\"");
	if (r < 0)
		return -e->code;
	if (listen(fd, 64) < 0)
		return err_set(e, errno, "listen on \"%s/%s\"", dir, name);
	listener = (struct watch){ .fd = take_fd(&fd), .ready = on_listener };
	r = loop_watch(&listener, EPOLLIN);
	return r < 0 ? err_set(e, -r, "watch the control socket") : 0;
}

void conn_close_all(void)
{
	loop_close(&listener);
	while (conns) {
		struct conn *c = conns;

		if (flush(c))
			end(c, true);
	}
}

bool conn_hold(struct conn *c, const struct reply *for_reply)
{
	if (c->mode != CONN_MESSAGES || c->replies != for_reply || for_reply->next)
		return false;
	c->mode = CONN_HELD;
	interest(c);
	return true;
}

void conn_release(struct conn *c)
{
	if (c->watch.fd < 0)
		return;
	c->mode = CONN_MESSAGES;
	take_kept(c);
	interest(c);
}

bool conn_switch(struct conn *c, struct stream *s)
{
	if (c->watch.fd < 0)
		return false;
	c->mode = CONN_STREAM;
	c->stream = s;
	c->subscribed = false;
	take_kept(c);
	interest(c);
	return true;
}

void conn_frame(struct conn *c, uint8_t stream, const void *bytes, size_t len)
{
	char head[5] = { (char)stream, (char)(len >> 24), (char)(len >> 16), (char)(len >> 8), (char)len };

	send_pieces(c, head, 5, bytes, len);
}

bool conn_blocked(const struct conn *c)
{
	return c->out_len > c->out_at;
}

void conn_resume_input(struct conn *c)
{
	if (c->watch.fd < 0 || !c->input_full)
		return;
	c->input_full = false;
	take_kept(c);
	if (c->watch.fd >= 0 && c->input_ended && c->in_len == 0 && c->stream)
		c->stream->input_end(c->stream);
	interest(c);
}

void conn_finish(struct conn *c)
{
	c->stream = NULL;
	c->mode = CONN_ENDING;
	if (c->watch.fd >= 0 && flush(c))
		interest(c);
}
