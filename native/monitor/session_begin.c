/* SPDX-License-Identifier: Apache-2.0 */
/* The requests that turn a connection into a stream: exec and attach. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container/container.h"
#include "monitor/member_create.h"
#include "monitor/member_oci.h"
#include "monitor/session_internal.h"

#define EXEC_LIMIT_MS 60000
/* Most commands of probes end sooner: their client then wakes once. */
#define ANSWER_LATEST_MS 1000

/* --- exec --- */

struct exec_work {
	struct session *s;
	struct json_view process;
	const struct stdio *stdio;
	const char *cgroup; /* the name of one to be made; NULL: none, or that of the session is there */
};

/* Whether the process ends now: an init that was killed first waits for all that is in its PID namespace. */
static bool ends(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 500) == 1;
}

static int exec_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	struct exec_work *w = arg;
	struct member *m = w->s->member;
	struct cgroup_join join;
	struct container_exec request = {
		.id = m->id,
		.init_pid = m->pid,
		.init_pidfd = m->pidfd,
		.spec_path = m->spec,
		.bound = m->cgroup && m->cgroup[0] ? m->bound : NULL,
		.container_cgroup = m->cgroup,
		.join = m->join,
		.process_json = w->process.at,
		.process_len = w->process.len,
		.cgroup = w->cgroup,
		.stdio = { w->stdio->theirs[0], w->stdio->theirs[1], w->stdio->theirs[2] },
		.console_sock = w->stdio->console_theirs,
	};

	if (oci.path) {
		const struct oci_exec exec = { m, w->s->number, w->process, { request.stdio[0], request.stdio[1], request.stdio[2] },
					       w->s->tty };

		return oci_exec(&exec, report, fd);
	}
	if (w->s->cgroup.fd >= 0) {
		join = *m->join;
		join.v2 = w->s->cgroup.fd;
		request.join = &join;
	}
	umask(022); /* as for the container itself */
	if (container_exec(&request, &report->pid, &report->e) == 0)
		return 0;
	switch (report->e.code) {
	case ENOENT:
	case EACCES:
	case ENOEXEC:
	case ENOTDIR:
	case EISDIR:
	case ELOOP:
		report->kind = KIND_FAILED_PRECONDITION;
		break;
	case EINVAL:
		report->kind = KIND_INVALID_ARGUMENT;
		break;
	case ENOMEM: /* clone(2) says so in a PID namespace whose init ends or has ended */
		if (ends(m->pidfd)) {
			err_set(&report->e, ESRCH, "container %s has ended", m->id);
			report->kind = KIND_FAILED_PRECONDITION;
		}
		break;
	default:
		break;
	}
	return -1;
}

/* The connection goes on with requests. */
static void refuse_exec(struct reply *r, enum error_kind kind, const struct err *e)
{
	struct conn *c = r->conn;

	reply_error(r, kind, e);
	if (c)
		conn_release(c);
}

void session_answer(struct session *s)
{
	cleanup_text struct text t = { 0 };
	struct reply *r = s->reply;

	loop_timer_stop(&s->answer_due);
	s->reply = NULL;
	text_fmt(&t, "{\"pid\":%d%s}", (int)s->child.pid, s->again ? ",\"again\":true" : "");
	reply_ok(r, t.at, t.len);
}

static void exec_done(void *owner, const struct runner_report *report, int fd, const struct text *body)
{
	struct session *s = owner;
	struct reply *r = s->reply;
	struct stdio stdio = { { s->in.fd, s->out[0].watch.fd, s->out[1].watch.fd }, { -1, -1, -1 }, -1, -1 };
	struct err e = report->e;

	if (fd >= 0 && !e.code && s->tty)
		s->out[0].watch.fd = fd; /* the terminal that an external runtime made */
	else if (fd >= 0)
		close(fd);
	if (report->pid) {
		s->running = true;
		child_add(&s->child, report->pid, session_child_exited);
	}
	if (!e.code && s->tty && oci.path) {
		stdio = (struct stdio){ { -1, -1, -1 }, { -1, s->out[0].watch.fd, -1 }, -1, -1 };
		stdio_take_master(&stdio, true, &e);
		s->in.fd = stdio.ours[0];
	} else if (!e.code && s->tty) {
		stdio = (struct stdio){ { -1, -1, -1 }, { -1, -1, -1 }, -1, s->out[0].watch.fd };
		stdio_take_console(&stdio, true, &e);
		s->out[0].watch.fd = stdio.ours[1];
		s->in.fd = stdio.ours[0];
		if (stdio.console_ours >= 0)
			close(stdio.console_ours);
	}
	if (e.code) {
		s->reply = NULL;
		s->conn = NULL;
		refuse_exec(r, report->kind ? report->kind : error_kind_of(e.code), &e);
		if (s->running)
			session_kill(s); /* session_child_exited forgets it */
		else
			session_end(s);
		if (s->member->deleting)
			member_delete_step(s->member);
		return;
	}
	if (!r->conn) { /* the client went away meanwhile: session_child_exited forgets the session */
		s->reply = NULL;
		s->conn = NULL;
		free(r);
		session_kill(s);
		return;
	}
	s->conn = r->conn;
	if (s->again)
		loop_timer(&s->answer_due, ANSWER_LATEST_MS);
	else
		session_answer(s);
	if (!conn_switch(s->conn, &s->stream)) {
		s->conn = NULL;
		session_kill(s);
		return;
	}
	if (s->timed_out || s->member->deleting)
		session_kill(s); /* what the first kill may have come too early for */
	for (int i = 0; s->conn && i < 2; i++)
		if (s->out[i].watch.fd >= 0)
			loop_watch(&s->out[i].watch, EPOLLIN);
}

/*
 * Kept from the first exec on: to look up the folder in up to ten hierarchies of v1 would cost each one 0.06 ms. Failure is
 * left to the runner, which looks again and says why.
 */
static void open_join(struct member *m)
{
	struct err ignored;

	m->join = malloc(sizeof(*m->join));
	if (m->join && cgroup_join_open(m->cgroup, m->join, &ignored) < 0) {
		free(m->join);
		m->join = NULL;
	}
}

/* Starts the runner of an exec. */
static int start_exec(struct exec_work *work, struct err *e)
{
	const struct member *m = work->s->member;
	const struct stdio *stdio = work->stdio;
	int keep[7 + CGROUP_HIERARCHIES + 1] = { stdio->theirs[0], stdio->theirs[1], stdio->theirs[2], stdio->console_theirs,
						 m->pidfd, m->mntns_fd, work->s->cgroup.fd };
	int count = 7;

	if (m->join) {
		memcpy(keep + count, m->join->tasks, sizeof(m->join->tasks));
		count += CGROUP_HIERARCHIES;
		keep[count++] = m->join->v2;
	}
	return runner_start(exec_work, work, keep, count, oci.path ? oci_limit_ms() : EXEC_LIMIT_MS, exec_done, work->s, e);
}

/* Answers and returns false when an exec can't begin. */
static bool may_exec(struct member *m, struct reply *r)
{
	if (m->state != MEMBER_RUNNING || m->deleting) {
		reply_refuse(r, KIND_FAILED_PRECONDITION, EBUSY, "container %s is %s", m->id,
			     m->deleting ? "being deleted" : member_state_name(m));
		return false;
	}
	if (!conn_hold(r->conn, r)) {
		reply_refuse(r, KIND_FAILED_PRECONDITION, EBUSY, "other requests are under way on this connection");
		return false;
	}
	return true;
}

void session_exec(struct json_view params, struct reply *r)
{
	struct exec_work work = { .process = json_view_get(params, "process") };
	struct json_view v;
	bool tty = false, with_stdin = false, again = false;
	uint64_t timeout_ms = 0;
	struct member *m = member_of(params, r);
	struct stdio stdio;
	struct session *s;
	bool has_cgroup;
	char name[32];
	struct err e;
	int started;

	if (!m)
		return;
	v = json_view_get(params, "tty");
	if (json_view_kind(work.process) != '{' || (v.at && json_view_bool(v, &tty) < 0) ||
	    ((v = json_view_get(params, "stdin")).at && json_view_bool(v, &with_stdin) < 0) ||
	    ((v = json_view_get(params, "again")).at && json_view_bool(v, &again) < 0) ||
	    ((v = json_view_get(params, "timeout_ms")).at && json_view_u64(v, INT32_MAX, &timeout_ms) < 0)) {
		reply_refuse(r, KIND_INVALID_ARGUMENT, EINVAL, "exec: \"process\", \"tty\", \"stdin\", \"again\" or \"timeout_ms\"");
		return;
	}
	if (again && (tty || with_stdin)) {
		reply_refuse(r, KIND_INVALID_ARGUMENT, EINVAL, "exec: \"again\" is for commands without input");
		return;
	}
	if (!may_exec(m, r))
		return;
	if (tty && oci.path) {
		stdio = (struct stdio){ { -1, -1, -1 }, { -1, -1, -1 }, -1, -1 };
	} else if (stdio_open(&stdio, tty, with_stdin, &e) < 0) {
		refuse_exec(r, error_kind_of(e.code), &e);
		return;
	}
	s = session_new(m, r, true);
	if (!s) {
		stdio_close_theirs(&stdio);
		stdio_close_ours(&stdio);
		err_set(&e, ENOMEM, "exec");
		refuse_exec(r, KIND_RESOURCE_EXHAUSTED, &e);
		return;
	}
	s->tty = tty;
	s->again = again;
	s->in.fd = stdio.ours[0];
	s->out[0].watch.fd = tty ? stdio.console_ours : stdio.ours[1];
	s->out[1].watch.fd = stdio.ours[2];
	s->number = ++m->execs;
	snprintf(name, sizeof(name), "exec-%u", s->number);
	has_cgroup = !oci.path && m->cgroup && m->cgroup[0];
	if (has_cgroup && m->spare.path) {
		s->cgroup = m->spare;
		m->spare = (struct exec_cgroup){ NULL, -1 };
	} else if (has_cgroup && asprintf(&s->cgroup.path, "%s/%s", m->cgroup, name) < 0) {
		s->cgroup.path = NULL;
	}
	if (has_cgroup && !m->join)
		open_join(m);
	work.s = s;
	work.stdio = &stdio;
	work.cgroup = s->cgroup.path && s->cgroup.fd < 0 ? name : NULL;
	started = start_exec(&work, &e);
	stdio_close_theirs(&stdio);
	if (started < 0) {
		refuse_exec(r, error_kind_of(e.code), &e);
		session_end(s);
		return;
	}
	if (timeout_ms)
		loop_timer(&s->limit, timeout_ms);
}

/* --- attach --- */

void session_attach(struct json_view params, struct reply *r)
{
	struct json_view v = json_view_get(params, "stdin");
	bool with_stdin = false;
	struct member *m = member_of(params, r);
	struct session *s;
	struct err e;

	if (!m)
		return;
	if (v.at && json_view_bool(v, &with_stdin) < 0) {
		reply_refuse(r, KIND_INVALID_ARGUMENT, EINVAL, "attach: \"stdin\" is neither true nor false");
		return;
	}
	if (with_stdin && m->in.fd < 0) {
		reply_refuse(r, KIND_FAILED_PRECONDITION, EINVAL, "container %s has no standard input", m->id);
		return;
	}
	if (!may_exec(m, r))
		return;
	s = session_new(m, r, false);
	if (!s) {
		err_set(&e, ENOMEM, "attach");
		refuse_exec(r, KIND_RESOURCE_EXHAUSTED, &e);
		return;
	}
	s->tty = m->tty;
	s->with_stdin = with_stdin;
	s->reply = NULL;
	reply_ok(r, "{\"pid\":0}", 9);
	if (!conn_switch(s->conn, &s->stream)) {
		s->conn = NULL;
		session_end(s);
	}
}
