/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Execs whose process is a shim's: the monitor has their FIFOs and their client, the daemon starts and kills them.
 * One whose client went away stays until the shim tells its end: `state` names it, so that the next daemon kills it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "monitor/pod.h"
#include "monitor/session_internal.h"
#include "monitor/shim.h"
#include "monitor/shim_message.h"

/*
 * What an exec wrote may still be on its way through the shim when its exit comes. The end of the FIFOs is the end
 * of it; where children hold them, silence for so long, or so long in all.
 */
#define QUIET_MS 3000
#define OUTPUT_LIMIT_MS 10000

static void refuse(struct reply *r, enum error_kind kind, const struct err *e)
{
	struct conn *c = r->conn;

	reply_error(r, kind, e);
	if (c)
		conn_release(c);
}

static struct session *find(const struct member *m, const char *exec)
{
	for (struct session *s = m->sessions; s; s = s->next)
		if (s->external && strcmp(s->external, exec) == 0)
			return s;
	return NULL;
}

/* A name in a path. */
static bool is_id(const char *id)
{
	return id[0] && strspn(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") == strlen(id);
}

static int open_io(struct session *s, const char *exec, bool with_stdin, struct err *e)
{
	int fds[3];

	s->external = strdup(exec);
	if (!s->external)
		return err_set(e, ENOMEM, "exec");
	if (fifos_open(s->member->bundle, exec, s->tty, with_stdin, fds, e) < 0)
		return -e->code;
	s->in.fd = fds[0];
	s->out[0].watch.fd = fds[1];
	s->out[1].watch.fd = fds[2];
	return 0;
}

void session_exec_io(struct json_view params, struct reply *r)
{
	struct member *m = member_of(params, r);
	struct json_view tty = json_view_get(params, "tty"), in = json_view_get(params, "stdin");
	struct json_view moves = json_view_get(params, "moves");
	cleanup_text struct text t = { 0 };
	bool with_tty = false, with_stdin = false, with_moves = false;
	char exec[SHIM_ID_MAX + 1];
	struct session *s;
	struct err e;

	if (!m)
		return;
	if (json_view_string(json_view_get(params, "exec"), exec, sizeof(exec)) < 0 || !is_id(exec) || find(m, exec) ||
	    (tty.at && json_view_bool(tty, &with_tty) < 0) || (in.at && json_view_bool(in, &with_stdin) < 0) ||
	    (moves.at && json_view_bool(moves, &with_moves) < 0)) {
		reply_refuse(r, KIND_INVALID_ARGUMENT, EINVAL, "exec: \"exec\", \"tty\", \"stdin\" or \"moves\"");
		return;
	}
	if (!m->external || m->state != MEMBER_RUNNING || m->ended || m->deleting) {
		reply_refuse(r, KIND_FAILED_PRECONDITION, EBUSY, "container %s is %s", m->id,
			     m->deleting ? "being deleted" : m->ended ? "exited" : member_state_name(m));
		return;
	}
	if (!conn_hold(r->conn, r)) {
		reply_refuse(r, KIND_FAILED_PRECONDITION, EBUSY, "other requests are under way on this connection");
		return;
	}
	s = session_new(m, r, true);
	if (!s) {
		err_set(&e, ENOMEM, "exec");
		refuse(r, KIND_RESOURCE_EXHAUSTED, &e);
		return;
	}
	s->reply = NULL;
	s->tty = with_tty;
	if (open_io(s, exec, with_stdin, &e) < 0) {
		s->conn = NULL;
		refuse(r, error_kind_of(e.code), &e);
		session_end(s);
		return;
	}
	s->running = true;
	if (with_moves)
		pod_await_moves();
	text_str(&t, "{\"pid\":0,");
	fifos_describe(&t, m->bundle, exec, with_tty, with_stdin);
	text_str(&t, "}");
	reply_ok(r, t.at, t.len);
	if (!conn_switch(s->conn, &s->stream)) {
		s->conn = NULL;
		return; /* an orphan, until it is killed */
	}
	for (int i = 0; s->conn && i < 2; i++)
		if (s->out[i].watch.fd >= 0)
			loop_watch(&s->out[i].watch, EPOLLIN);
}

/*
 * A shim opens the FIFO when it comes to it, perhaps after all input has been written and its end been told. With no
 * end open in between, what was written is gone, and the shim waits for a writer for ever (fifo(7)). So a writing end
 * stays, which poll(2) finds broken until there is a reader. One that has gone again is not waited for longer than this.
 */
#define TAKEN_LIMIT_MS 4096

static void on_in_taken(struct timer *t)
{
	struct session *s = container_of(t, struct session, in_taken);
	struct pollfd p = { .fd = s->in.fd };

	if (s->in.fd < 0)
		return;
	if (poll(&p, 1, 0) == 1 && (p.revents & POLLERR) && s->in_wait_ms <= TAKEN_LIMIT_MS) {
		loop_timer(&s->in_taken, s->in_wait_ms);
		s->in_wait_ms *= 2;
	} else {
		loop_close(&s->in);
	}
}

void session_external_end_input(struct session *s)
{
	char path[32];
	int writer;

	if (s->tty || s->in.fd < 0 || s->in_wait_ms)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->in.fd);
	writer = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	loop_close(&s->in);
	if (writer < 0)
		return;
	s->in.fd = writer;
	s->in_wait_ms = 1;
	s->in_taken.fire = on_in_taken;
	on_in_taken(&s->in_taken);
}

void session_external_output(struct session *s, bool ended)
{
	uint64_t now = loop_now_ms();

	if (!s->ended || s->finishing)
		return;
	if ((s->out[0].watch.fd < 0 && s->out[1].watch.fd < 0) || now >= s->output_until_ms) {
		loop_timer_stop(&s->limit);
		session_finish(s);
	} else if (!ended) {
		loop_timer(&s->limit, QUIET_MS);
	}
}

void session_external_exited(struct member *m, const char *exec, uint32_t code)
{
	struct session *s = find(m, exec);

	if (!s || s->ended)
		return;
	s->running = false;
	s->ended = true;
	/* As wait(2) packs it. */
	s->status = exit_signal((int)code) ? exit_signal((int)code) : (int)(code > 255 ? 255 : code) << 8;
	loop_close(&s->in);
	if (!s->conn) {
		session_end(s);
		return;
	}
	s->output_until_ms = loop_now_ms() + OUTPUT_LIMIT_MS;
	session_external_output(s, false);
}

void session_describe_orphans(const struct member *m, struct text *t)
{
	bool first = true;

	for (const struct session *s = m->sessions; s; s = s->next) {
		if (!s->external || s->conn || !s->running)
			continue;
		if (!first)
			text_str(t, ",");
		first = false;
		text_json(t, s->external);
	}
}
