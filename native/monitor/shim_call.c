/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to the shim that must not end with the daemon that asks for them: some shims give up what they do when the
 * connection of its caller ends, and a container half created, started or paused stays so. A runner makes the call, on a
 * connection of its own; a later daemon waits for it with `settle`.
 * The bytes of the call are the daemon's; here they are a frame, sent, and the frame that answers it.
 */
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "monitor/hex.h"
#include "monitor/member.h"
#include "monitor/pod.h"
#include "monitor/shim.h"
#include "monitor/shim_message.h"

#define LIMIT_MS_MAX 600000
/* Of a call and of its answer. */
#define CALL_MAX 65536

/* In a runner: a path that is too long for the address is reached from its folder. */
static int connect_to(char *at, struct err *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *name = at, *slash = strrchr(at, '/');
	socklen_t len;

	if (at[0] == '/' && slash != at && strlen(at) >= sizeof(address.sun_path)) {
		*slash = '\0';
		if (chdir(at) < 0)
			return err_set(e, errno, "chdir \"%s\"", at);
		name = slash + 1;
	}
	if (fd < 0 || strlen(name) >= sizeof(address.sun_path))
		return err_set(e, fd < 0 ? errno : ENAMETOOLONG, "connect to the shim");
	strcpy(address.sun_path, name);
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + 1);
	if (at[0] == '@') { /* an abstract one has no 0 at its end */
		address.sun_path[0] = '\0';
		len--;
	}
	if (connect(fd, (struct sockaddr *)&address, len) < 0)
		return err_set(e, errno, "connect to the shim");
	return take_fd(&fd);
}

static int read_all(int fd, uint8_t *to, size_t len, struct err *e)
{
	while (len > 0) {
		ssize_t n = recv(fd, to, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, n < 0 ? errno : ECONNRESET, "the shim's answer");
		to += n;
		len -= (size_t)n;
	}
	return 0;
}

static int call_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	struct json_view params = *(struct json_view *)arg, moves = json_view_get(params, "moves");
	static uint8_t frame[TTRPC_HEADER + CALL_MAX];
	struct ttrpc_header asked, answer;
	char address[PATH_MAX];
	cleanup_fd int shim = -1;
	bool with_moves = false;
	ssize_t len;

	report->kind = KIND_INVALID_ARGUMENT;
	if (json_view_string(json_view_get(params, "address"), address, sizeof(address)) < 1 ||
	    (address[0] != '/' && address[0] != '@'))
		return err_set(&report->e, EINVAL, "call: \"address\" is neither a path nor @NAME");
	len = hex_take(json_view_get(params, "frame"), frame, sizeof(frame));
	if (len < TTRPC_HEADER)
		return err_set(&report->e, EINVAL, "call: \"frame\" is not hex of %d to %zu bytes", TTRPC_HEADER, sizeof(frame));
	ttrpc_header_parse(frame, &asked);
	if (moves.at && json_view_bool(moves, &with_moves) < 0)
		return err_set(&report->e, EINVAL, "call: \"moves\"");
	report->kind = KIND_UNAVAILABLE;
	if (with_moves)
		pod_hold_moves();
	shim = connect_to(address, &report->e);
	if (shim < 0 || io_write_all(shim, frame, (size_t)len, &report->e) < 0)
		return -1;
	/* One call on a connection of its own has one answer. */
	if (read_all(shim, frame, TTRPC_HEADER, &report->e) < 0)
		return -1;
	ttrpc_header_parse(frame, &answer);
	if (answer.type != TTRPC_RESPONSE || answer.stream != asked.stream || answer.len > CALL_MAX) {
		report->kind = KIND_INTERNAL;
		return err_set(&report->e, EPROTO, "the shim's answer is none: type %u, %u bytes", answer.type, answer.len);
	}
	if (read_all(shim, frame, answer.len, &report->e) < 0)
		return -1;
	text_str(body, "{\"answer\":\"");
	hex_put(body, frame, answer.len);
	text_str(body, "\"}");
	return 0;
}

/* Who asked, for which container: that may be deleted meanwhile. */
struct call_order {
	struct reply *reply;
	char container[MEMBER_ID_MAX + 1];
};

void shim_settled(struct member *m)
{
	while (m->settle_replies) {
		struct reply *r = m->settle_replies;

		m->settle_replies = r->also;
		reply_ok(r, "{}", 2);
	}
}

static void called(void *owner, const struct runner_report *report, int fd, const struct text *body)
{
	cleanup_free struct call_order *o = owner;
	struct member *m = member_find(o->container);

	reply_report(o->reply, report, fd, body);
	if (m && --m->calls == 0)
		shim_settled(m);
}

void shim_call(struct json_view params, struct reply *r)
{
	cleanup_free struct call_order *o = calloc(1, sizeof(*o));
	uint64_t limit_ms = 0;
	struct member *m;
	struct err e;

	if (!o) {
		reply_refuse(r, KIND_RESOURCE_EXHAUSTED, ENOMEM, "call");
		return;
	}
	o->reply = r;
	if (json_view_string(json_view_get(params, "container"), o->container, sizeof(o->container)) < 0 ||
	    json_view_u64(json_view_get(params, "limit_ms"), LIMIT_MS_MAX, &limit_ms) < 0 || limit_ms == 0) {
		reply_refuse(r, KIND_INVALID_ARGUMENT, EINVAL, "call: \"container\" or \"limit_ms\"");
		return;
	}
	if (runner_start(call_work, &params, NULL, 0, limit_ms, called, o, &e) < 0) {
		reply_error(r, error_kind_of(e.code), &e);
		return;
	}
	/* A sandbox's own container is no member: nobody waits for it. */
	m = member_find(o->container);
	if (m)
		m->calls++;
	o = NULL;
}

void shim_settle(struct json_view params, struct reply *r)
{
	struct member *m = member_of(params, r);

	if (!m)
		return;
	r->also = m->settle_replies;
	m->settle_replies = r;
	if (m->calls == 0)
		shim_settled(m);
}
