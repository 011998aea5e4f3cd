/* SPDX-License-Identifier: Apache-2.0 */
/* From the start of a member to the end of its init. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cgroup/cgroup.h"
#include "monitor/member_internal.h"
#include "monitor/member_oci.h"
#include "monitor/member_oom.h"

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/*
 * The answer on the start socket: the program runs, or why it can't. False: there is none yet.
 */
static bool start_answered(struct member *m)
{
	struct err e = { 0 };
	int result = container_start_answer(m->start.fd, &e);
	cleanup_text struct text t = { 0 };
	struct reply *r;

	if (result == -EAGAIN)
		return false;
	loop_close(&m->start);
	r = member_not_busy(m);
	if (result < 0) {
		reply_error(r, e.code == ETIMEDOUT ? KIND_DEADLINE_EXCEEDED : KIND_FAILED_PRECONDITION, &e);
		return true;
	}
	m->started_ns = now_ns();
	m->state = MEMBER_RUNNING;
	text_fmt(&t, "{\"started_at_ns\":\"%lld\"}", (long long)m->started_ns);
	reply_ok(r, t.at, t.len);
	return true;
}

static void on_start(struct watch *w, uint32_t events)
{
	struct member *m = container_of(w, struct member, start);

	if (m->busy == BUSY_STARTING)
		start_answered(m);
	else
		loop_close(w); /* init ended before it was asked to start */
}

/* What `at_ns` and `status` mean is told once the answer to a start that is under way is known. */
static void end_of_init(struct member *m, int status, int64_t at_ns);

static void started_external(void *owner, const struct runner_report *report, int fd, const struct text *body)
{
	struct member *m = owner;
	struct reply *r = member_not_busy(m);
	cleanup_text struct text t = { 0 };

	if (fd >= 0)
		close(fd);
	if (report->e.code) {
		reply_error(r, report->kind == KIND_INTERNAL ? KIND_FAILED_PRECONDITION : report->kind, &report->e);
	} else {
		m->started_ns = now_ns();
		if (m->end_waits && m->end_ns < m->started_ns)
			m->started_ns = m->end_ns; /* a program may be over before its runtime's command is */
		m->state = MEMBER_RUNNING;
		text_fmt(&t, "{\"started_at_ns\":\"%lld\"}", (long long)m->started_ns);
		reply_ok(r, t.at, t.len);
	}
	if (m->end_waits) {
		m->end_waits = false;
		end_of_init(m, m->end_status, m->end_ns);
	}
	if (m->deleting)
		member_delete_step(m);
}

static void start_external(struct member *m, struct reply *r)
{
	struct err e;

	if (oci_start_begin(m, started_external, &e) < 0) {
		reply_error(r, error_kind_of(e.code), &e);
		return;
	}
	m->busy = BUSY_STARTING;
	m->reply = r;
}

void member_start(struct json_view params, struct reply *r)
{
	struct member *m = member_of(params, r);
	struct err e;

	if (!m || member_refuse_unless(m, MEMBER_CREATED, "start", r))
		return;
	if (oci.path && !oci.sandboxed) {
		start_external(m, r);
		return;
	}
	if (m->start.fd < 0 || container_start_ask(m->start.fd, &e) < 0) {
		reply_refuse(r, KIND_FAILED_PRECONDITION, ESRCH, "container %s: its init is gone", m->id);
		return;
	}
	m->busy = BUSY_STARTING;
	m->reply = r;
	m->start.ready = on_start;
	loop_watch(&m->start, EPOLLIN);
}

void member_describe_exit(const struct member *m, struct text *t)
{
	text_str(t, "{\"container\":");
	text_json(t, m->id);
	text_fmt(t,
		 ",\"exit_code\":%d,\"signal\":%d,\"oom_killed\":%s,\"started_at_ns\":\"%lld\",\"finished_at_ns\":\"%lld\"}",
		 m->exit_code, m->signal, m->oom_killed ? "true" : "false", (long long)m->started_ns,
		 (long long)m->finished_ns);
}

/* The record first: a daemon that restarts now reads it, and nobody was told anything else. */
static void record_exit(struct member *m)
{
	cleanup_text struct text t = { 0 };
	struct err e;

	member_describe_exit(m, &t);
	if (!t.failed && m->exit_file && io_write_atomic_at(AT_FDCWD, m->exit_file, t.at, t.len, 0600, &e) < 0)
		m->dirty_exit = true; /* the event and `state` still tell it */
	conn_event("exit", &t);
}

/* Whoever is left when init has ended: in a PID namespace that others share, they live on. */
void member_kill_rest(struct member *m)
{
	cleanup_free pid_t *pids = NULL;
	size_t count = 0;
	struct err e;

	if (m->cgroup && m->cgroup[0] && cgroup_pids(m->cgroup, &pids, &count, &e) == 0 && count)
		cgroup_kill_all(m->cgroup, &e);
}

void member_exited(struct child *c, int status, int64_t at_ns)
{
	struct member *m = container_of(c, struct member, child);

	if (m->busy == BUSY_STARTING && oci.path && !oci.sandboxed) {
		m->end_waits = true;
		m->end_status = status;
		m->end_ns = at_ns;
		m->pid = 0;
		return;
	}
	end_of_init(m, status, at_ns);
}

static void end_of_init(struct member *m, int status, int64_t at_ns)
{
	if (m->busy == BUSY_STARTING && !start_answered(m)) {
		reply_refuse(member_not_busy(m), KIND_FAILED_PRECONDITION, ESRCH, "container %s: its init was killed", m->id);
	}
	loop_close(&m->start);
	m->pid = 0;
	m->state = MEMBER_EXITED;
	m->finished_ns = at_ns > m->started_ns ? at_ns : m->started_ns;
	m->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	m->exit_code = WIFSIGNALED(status) ? 128 + m->signal : WEXITSTATUS(status);
	oom_decide(m);
	oom_unwatch(m);
	member_finish(m);
}

void member_finish(struct member *m)
{
	output_drain(m);
	output_flush(m);
	record_exit(m);
	member_kill_rest(m);
	session_member_exited(m);
	member_forget(m);
	m->paused = false;
	/* A descriptor of the namespace would keep its mounts busy. */
	if (m->mntns_fd >= 0)
		close(m->mntns_fd);
	m->mntns_fd = -1;
	if (m->deleting)
		member_delete_step(m);
}
