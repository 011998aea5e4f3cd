/* SPDX-License-Identifier: Apache-2.0 */
#include "forward.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/dial.h"
#include "monitor/member.h"
#include "monitor/pod.h"
#include "monitor/session.h"

#define CONNECT_LIMIT_MS 10000
/* Of the runner, which does nothing else. */
#define RUNNER_LIMIT_MS (CONNECT_LIMIT_MS + 5000)
/* Runners at once, each a process: a pod may take no connection for as long as it likes. */
#define DIALS_MAX 256
#define FRAME_MAX 32768
/* Reading of one connection in one turn of the loop. */
#define TURN_MAX (8 * FRAME_MAX)

static int dials; /* whose runner is at work */

struct forward {
	struct stream stream;
	struct conn *conn;   /* NULL: gone */
	struct reply *reply; /* until the answer */
	struct watch socket; /* -1: none yet, or closed */
	struct stream_parser parser;
	struct stream_sink sink;
	bool up_waits;       /* the pod takes no more just now */
	bool up_ended;       /* the client sends no more, and the pod was told */
	bool down_ended;     /* the pod sends no more, and the client was told */
	bool forgotten;
};

/* Gives all back. May be called twice: a broken connection ends it in the middle of a send. */
static void forward_end(struct forward *f)
{
	if (f->forgotten)
		return;
	f->forgotten = true;
	loop_close(&f->socket);
	loop_free(&f->socket, f);
}

/* The pod's end is broken: the client's is cut off, so that it can't take this for an end in order. */
static void forward_break(struct forward *f)
{
	if (f->conn)
		conn_drop(f->conn);
	f->conn = NULL;
	forward_end(f);
}

/* What is waited for. Nothing at all, else the end of both directions would wake us without end. */
static void forward_interest(struct forward *f)
{
	uint32_t events = 0;

	if (f->forgotten)
		return;
	if (f->up_waits)
		events |= EPOLLOUT;
	if (!f->down_ended && !conn_blocked(f->conn))
		events |= EPOLLIN;
	if (events)
		loop_watch(&f->socket, events);
	else
		loop_pause(&f->socket);
}

static void forward_finish_if_done(struct forward *f)
{
	struct conn *c = f->conn;

	if (f->forgotten || !f->up_ended || !f->down_ended)
		return;
	f->conn = NULL;
	conn_finish(c);
	forward_end(f);
}

/* --- from the client to the pod --- */

static size_t take_up(void *arg, const char *bytes, size_t len)
{
	struct forward *f = arg;
	size_t done = 0;

	while (done < len && !f->up_ended && f->socket.fd >= 0) {
		ssize_t n = send(f->socket.fd, bytes + done, len - done, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			f->up_waits = true;
			forward_interest(f);
			return done;
		}
		if (n < 0) {
			forward_break(f);
			return len;
		}
		done += (size_t)n;
	}
	return len; /* after its end a client has nothing to say */
}

static void end_up(void *arg)
{
	struct forward *f = arg;

	if (f->up_ended || f->socket.fd < 0)
		return;
	f->up_ended = true;
	shutdown(f->socket.fd, SHUT_WR);
	forward_finish_if_done(f);
}

/* Terminals have sizes; a port has none. */
static bool refuse_resize(void *arg, const char *json, size_t len)
{
	return false;
}

static ssize_t on_input(struct stream *stream, const char *bytes, size_t len)
{
	struct forward *f = container_of(stream, struct forward, stream);

	return stream_parse(&f->parser, &f->sink, bytes, len);
}

static void on_input_end(struct stream *stream)
{
	end_up(container_of(stream, struct forward, stream));
}

static void on_gone(struct stream *stream)
{
	struct forward *f = container_of(stream, struct forward, stream);

	f->conn = NULL;
	forward_end(f);
}

/* --- from the pod to the client --- */

/* Reads once and sends it on. False: enough for now. */
static bool relay(struct forward *f)
{
	char *bytes = pump_buffer();
	ssize_t n = recv(f->socket.fd, bytes, FRAME_MAX, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0) {
		forward_break(f);
		return false;
	}
	if (n == 0)
		f->down_ended = true;
	pump_used((size_t)n);
	conn_frame(f->conn, STREAM_STDOUT, bytes, (size_t)n);
	return n > 0 && f->conn != NULL && !conn_blocked(f->conn);
}

static void on_socket(struct watch *w, uint32_t events)
{
	struct forward *f = container_of(w, struct forward, socket);

	if (f->up_waits && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
		f->up_waits = false;
		conn_resume_input(f->conn);
	}
	if (!f->forgotten && !f->down_ended && !conn_blocked(f->conn) && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		for (size_t turn = 0; turn < TURN_MAX && relay(f); turn += FRAME_MAX)
			;
	forward_finish_if_done(f);
	forward_interest(f);
}

static void on_writable(struct stream *stream)
{
	forward_interest(container_of(stream, struct forward, stream));
}

/* --- how it begins --- */

static int dial_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	const uint16_t *port = arg;

	/* Without the pod's own namespace there is nothing to forward to; the host's is never meant instead. */
	if (pod.network == NS_POD && pod.net_fd < 0)
		return err_set(&report->e, ENOENT, "the pod has no network namespace");
	if (pod.net_fd >= 0 && setns(pod.net_fd, CLONE_NEWNET) < 0)
		return err_set(&report->e, errno, "enter the pod's network namespace");
	if (dial_loopback(*port, CONNECT_LIMIT_MS, fd, &report->e) == 0)
		return 0;
	/* Whatever the pod's network says to it is the pod's affair; what this host lacks is not. */
	report->kind = error_kind_of(report->e.code);
	if (report->kind == KIND_INTERNAL)
		report->kind = KIND_FAILED_PRECONDITION;
	return -1;
}

static void refuse(struct reply *r, enum error_kind kind, const struct err *e)
{
	struct conn *c = r->conn;

	reply_error(r, kind, e);
	if (c)
		conn_release(c);
}

static void dialled(void *owner, const struct runner_report *report, int fd, const struct text *body)
{
	struct forward *f = owner;
	struct reply *r = f->reply;

	dials--;
	f->reply = NULL;
	f->socket.fd = fd;
	if (report->e.code || fd < 0) {
		struct err e = report->e;

		if (!e.code)
			err_set(&e, EPROTO, "the runner sent no socket");
		refuse(r, report->kind, &e);
		forward_end(f);
		return;
	}
	f->conn = r->conn; /* NULL: the client went away meanwhile */
	reply_ok(r, "{}", 2);
	if (!f->conn || !conn_switch(f->conn, &f->stream)) {
		f->conn = NULL;
		forward_end(f);
		return;
	}
	forward_interest(f);
}

void forward_begin(struct json_view params, struct reply *r)
{
	struct forward *f;
	uint64_t number;
	uint16_t port;
	struct err e;

	if (json_view_u64(json_view_get(params, "port"), UINT16_MAX, &number) < 0 || number == 0) {
		reply_refuse(r, KIND_INVALID_ARGUMENT, EINVAL, "port_forward: \"port\" is not between 1 and 65535");
		return;
	}
	if (dials == DIALS_MAX) {
		reply_refuse(r, KIND_RESOURCE_EXHAUSTED, EBUSY,
			     "port_forward: %d connections wait for the pod to take them; give some up, or try again later",
			     DIALS_MAX);
		return;
	}
	if (!conn_hold(r->conn, r)) {
		reply_refuse(r, KIND_FAILED_PRECONDITION, EBUSY, "other requests are under way on this connection");
		return;
	}
	port = (uint16_t)number;
	f = calloc(1, sizeof(*f));
	if (!f) {
		err_set(&e, ENOMEM, "port_forward");
		refuse(r, KIND_RESOURCE_EXHAUSTED, &e);
		return;
	}
	f->stream = (struct stream){ on_input, on_input_end, on_writable, on_gone };
	f->sink = (struct stream_sink){ take_up, end_up, refuse_resize, f };
	f->socket = (struct watch){ .fd = -1, .ready = on_socket };
	f->reply = r;
	if (runner_start(dial_work, &port, &pod.net_fd, 1, RUNNER_LIMIT_MS, dialled, f, &e) < 0) {
		refuse(r, error_kind_of(e.code), &e);
		forward_end(f);
		return;
	}
	dials++;
	r->gone = runner_stop;
	r->owner = f;
}
