/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: what a client writes to the control socket: framing, the hello, requests, the switch to a
 * stream, in pieces of any size. Requests are answered here and do nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fuzz.h"
#include "monitor/conn_internal.h"
#include "monitor/member.h"
#include "monitor/pod.h"

/* Stands in for the pod of a monitor; only what a hello tells of it. */
struct pod pod = { .id = "fuzz" };

static size_t handled, streamed;
static char pump[PUMP_MAX];

char *pump_buffer(void)
{
	return pump;
}

void pump_used(size_t len)
{
}

const char *error_kind_name(enum error_kind kind)
{
	return "internal";
}

/* Takes three bytes of each piece at most: the rest is kept and comes again. */
static ssize_t stream_input(struct stream *s, const char *bytes, size_t len)
{
	size_t take = len > 3 ? 3 : len;

	for (size_t i = 0; i < take; i++)
		streamed += (unsigned char)bytes[i] != 256;
	return (ssize_t)take;
}

static void stream_nothing(struct stream *s)
{
}

static struct stream stream = { stream_input, stream_nothing, stream_nothing, stream_nothing };

void request_handle(const char *method, struct json_view params, struct reply *r)
{
	struct conn *c = r->conn;

	handled++;
	FUZZ_HOLDS(strnlen(method, 32) < 32, "method without end");
	FUZZ_HOLDS(!params.at || json_view_kind(params) == '{', "params are no object");
	if (!strcmp(method, "exec") && conn_hold(c, r)) {
		reply_ok(r, "{}", 2);
		conn_switch(c, &stream);
	} else if (!strcmp(method, "subscribe")) {
		conn_subscribe(c);
		reply_ok(r, "{}", 2);
	} else {
		reply_refuse(r, KIND_INVALID_ARGUMENT, EINVAL, "no method \"%s\"", method);
	}
}

static void deliver(int fd, const uint8_t *bytes, size_t len, struct conn *c)
{
	if (send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
	for (int i = 0; i < 4 && c->watch.fd >= 0 && !c->input_full && c->mode != CONN_HELD; i++)
		conn_read(c);
	while (c->watch.fd >= 0 && c->input_full)
		conn_resume_input(c);
}

static void ignore(struct watch *w, uint32_t events)
{
}

static void late(struct timer *t)
{
}

static void stop_loop(struct timer *t)
{
	loop_stop();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct timer stop = { .fire = stop_loop };
	static bool open;
	struct fuzz_input in = { data, size };
	struct err e = { 0 };
	struct conn *c = calloc(1, sizeof(*c));
	char drained[4096];
	int pair[2];

	if (!open)
		FUZZ_HOLDS(loop_open(&e) == 0, "no loop");
	open = true;
	FUZZ_HOLDS(c && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0, "no sockets");
	c->watch = (struct watch){ .fd = pair[0], .ready = ignore };
	c->limit.fire = late;
	conn_interest(c);
	while (in.len && c->watch.fd >= 0) {
		size_t piece = (size_t)fuzz_byte(&in) + 1;

		if (piece > in.len)
			piece = in.len;
		deliver(pair[1], in.at, piece, c);
		in.at += piece;
		in.len -= piece;
		while (recv(pair[1], drained, sizeof(drained), MSG_DONTWAIT) > 0)
			;
	}
	close(pair[1]);
	conn_drop(c);
	/* Memory goes after a round of the loop. */
	loop_timer(&stop, 0);
	loop_run(&e);
	return 0;
}
