/* SPDX-License-Identifier: Apache-2.0 */
#include "conn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "monitor/conn_internal.h"
#include "monitor/oci.h"

#define HELLO_LIMIT_MS 10000
#define LINGER_LIMIT_MS 5000

/* How long nobody is let in while this process has no descriptor left for them. */
#define FULL_WAIT_MS 100

static struct watch listener = { .fd = -1 };
static struct timer listen_again;
static struct conn *conns;
static int conn_count;

void conn_interest(struct conn *c)
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

void conn_end(struct conn *c, bool tell)
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
	for (struct reply *r = c->replies; r; r = r->next) {
		r->conn = NULL;
		if (r->gone)
			r->gone(r->owner);
	}
	c->replies = NULL;
	c->stream = NULL;
	free(c->in);
	free(c->out);
	c->in = c->out = NULL;
	c->in_len = c->out_len = c->out_at = c->out_room = 0;
	loop_free(&c->watch, c);
	if (tell && s)
		s->gone(s);
}

void conn_drop(struct conn *c)
{
	conn_end(c, false);
}

/* Sends what is queued. False: the connection is gone. */
bool conn_flush(struct conn *c)
{
	while (c->out_at < c->out_len) {
		ssize_t n = send(c->watch.fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0) {
			conn_end(c, true);
			return false;
		}
		c->out_at += (size_t)n;
	}
	free(c->out);
	c->out = NULL;
	c->out_at = c->out_len = c->out_room = 0;
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
	if (left + len > c->out_room) {
		size_t room = conn_room(left + len > 2 * c->out_room ? left + len : 2 * c->out_room);

		more = realloc(c->out, room);
		if (!more)
			return false;
		c->out = more;
		c->out_room = room;
	}
	memcpy(c->out + left, bytes, len);
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
	if (c->out_len == c->out_at && !c->corked) {
		ssize_t n = sendmsg(c->watch.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			conn_end(c, true);
			return;
		}
		sent = n > 0 ? (size_t)n : 0;
	}
	if (sent < head_len && !queue(c, head + sent, head_len - sent)) {
		conn_end(c, true);
		return;
	}
	sent = sent > head_len ? sent - head_len : 0;
	if (!queue(c, body + sent, body_len - sent)) {
		conn_end(c, true);
		return;
	}
	if (!c->corked)
		conn_interest(c);
}

void conn_message(struct conn *c, const struct text *t)
{
	char head[4] = { (char)(t->len >> 24), (char)(t->len >> 16), (char)(t->len >> 8), (char)t->len };

	if (t->failed)
		conn_end(c, true); /* no memory for an answer: the peer must not wait for it */
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
		conn_message(r->conn, &t);
	}
	free(r);
}

void reply_error(struct reply *r, enum error_kind kind, const struct err *e)
{
	cleanup_text struct text t = { 0 };
	char full[sizeof(e->step) + 128];
	/* A refusal is a sentence of its own; "Invalid argument" after it says nothing more. */
	bool sentence = kind == KIND_NOT_FOUND || kind == KIND_ALREADY_EXISTS ||
			e->code == OCI_SAID || (kind != KIND_INTERNAL && (e->code == EINVAL || e->code == EBUSY || e->code == ESRCH));

	unlink_reply(r);
	if (r->conn) {
		text_fmt(&t, "{\"id\":%llu,\"error\":{\"code\":%d,\"kind\":\"%s\",\"message\":", (unsigned long long)r->id,
			 e->code, error_kind_name(kind));
		text_json(&t, sentence ? e->step : err_text(e, full, sizeof(full)));
		text_str(&t, "}}");
		conn_message(r->conn, &t);
	}
	free(r);
}

void reply_report(void *reply, const struct runner_report *report, int fd, const struct text *body)
{
	if (fd >= 0)
		close(fd);
	if (report->e.code)
		reply_error(reply, report->kind, &report->e);
	else if (body)
		reply_ok(reply, body->at, body->len);
	else
		reply_ok(reply, "{}", 2);
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
			conn_message(c, &t);
	}
}

void conn_subscribe(struct conn *c)
{
	c->subscribed = true;
}

static void on_conn(struct watch *w, uint32_t events)
{
	struct conn *c = container_of(w, struct conn, watch);

	if (events & (EPOLLHUP | EPOLLERR)) {
		conn_end(c, true);
		return;
	}
	if (events & EPOLLOUT) {
		bool was_blocked = conn_blocked(c);

		if (!conn_flush(c))
			return;
		if (was_blocked && !conn_blocked(c) && c->stream)
			c->stream->writable(c->stream);
	}
	if (c->watch.fd >= 0 && (events & EPOLLIN) && !c->input_full && !c->input_ended && c->mode != CONN_HELD &&
	    c->mode != CONN_ENDING)
		conn_read(c);
	conn_interest(c);
}

static void on_limit(struct timer *t)
{
	conn_end(container_of(t, struct conn, limit), true);
}

static bool peer_is_root(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.uid == 0;
}

static void on_listen_again(struct timer *t)
{
	if (listener.fd >= 0)
		loop_watch(&listener, EPOLLIN);
}

static void on_listener(struct watch *w, uint32_t events)
{
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct conn *c = NULL;

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			loop_pause(w); /* whoever waits would wake us without end */
			loop_timer(&listen_again, FULL_WAIT_MS);
		}
		return;
	}
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
	conn_interest(c);
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
	/* connect(2) does not wait for room in the queue, it fails: a burst of execs must find some. */
	if (listen(fd, CONN_MAX) < 0)
		return err_set(e, errno, "listen on \"%s/%s\"", dir, name);
	listener = (struct watch){ .fd = take_fd(&fd), .ready = on_listener };
	listen_again.fire = on_listen_again;
	r = loop_watch(&listener, EPOLLIN);
	return r < 0 ? err_set(e, -r, "watch the control socket") : 0;
}

void conn_close_all(void)
{
	loop_close(&listener);
	while (conns) {
		struct conn *c = conns;

		if (conn_flush(c))
			conn_end(c, true);
	}
}

bool conn_hold(struct conn *c, const struct reply *for_reply)
{
	if (c->mode != CONN_MESSAGES || c->replies != for_reply || for_reply->next)
		return false;
	c->mode = CONN_HELD;
	conn_interest(c);
	return true;
}

void conn_release(struct conn *c)
{
	if (c->watch.fd < 0)
		return;
	c->mode = CONN_MESSAGES;
	conn_take_kept(c);
	conn_interest(c);
}

bool conn_switch(struct conn *c, struct stream *s)
{
	if (c->watch.fd < 0)
		return false;
	c->mode = CONN_STREAM;
	c->stream = s;
	c->subscribed = false;
	conn_take_kept(c);
	conn_interest(c);
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

size_t conn_unread(const struct conn *c)
{
	int held = 0;

	/* Not EPOLLOUT: a unix socket can be written to again only when three quarters of what it holds are read. */
	ioctl(c->watch.fd, SIOCOUTQ, &held);
	return c->out_len - c->out_at + (size_t)held;
}

void conn_resume_input(struct conn *c)
{
	if (c->watch.fd < 0 || !c->input_full)
		return;
	c->input_full = false;
	conn_take_kept(c);
	if (c->watch.fd >= 0 && c->input_ended && c->in_len == 0 && c->stream)
		c->stream->input_end(c->stream);
	conn_interest(c);
}

void conn_cork(struct conn *c)
{
	c->corked = true;
}

void conn_uncork(struct conn *c)
{
	c->corked = false;
	if (c->watch.fd >= 0 && conn_flush(c))
		conn_interest(c);
}

void conn_return(struct conn *c)
{
	c->stream = NULL;
	if (c->in_len || c->input_full || c->input_ended) {
		conn_end(c, false);
		return;
	}
	c->mode = CONN_MESSAGES;
	conn_interest(c);
}

void conn_finish(struct conn *c)
{
	c->stream = NULL;
	c->mode = CONN_ENDING;
	if (c->watch.fd >= 0 && conn_flush(c))
		conn_interest(c);
}
