/* SPDX-License-Identifier: Apache-2.0 */
#include "member.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "container/container.h"
#include "monitor/member_create.h"
#include "monitor/member_oci.h"
#include "monitor/member_oom.h"
#include "monitor/pod.h"
#include "monitor/prepare.h"
#include "monitor/shim.h"

#define RUNNER_LIMIT_MS 120000

struct member *members;

struct member *member_find(const char *id)
{
	for (struct member *m = members; m; m = m->next)
		if (strcmp(m->id, id) == 0)
			return m;
	return NULL;
}

const char *member_state_name(const struct member *m)
{
	static const char *const names[] = { "prepared", "prepared", "created", "running", "exited" };

	return names[m->state];
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* An id is a name in paths, cgroups and JSON. */
static bool take_id(struct json_view params, char ret[MEMBER_ID_MAX + 1])
{
	int n = json_view_string(json_view_get(params, "container"), ret, MEMBER_ID_MAX + 1);

	return n > 0 && ret[0] != '.' && ret[0] != '-' &&
	       (int)strspn(ret, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.-") == n;
}

struct member *member_of(struct json_view params, struct reply *r)
{
	char id[MEMBER_ID_MAX + 1];
	struct member *m;

	if (!take_id(params, id)) {
		reply_refuse(r, KIND_INVALID_ARGUMENT, EINVAL, "\"container\" is not an id");
		return NULL;
	}
	m = member_find(id);
	if (!m)
		reply_refuse(r, KIND_NOT_FOUND, ENOENT, "no container %s", id);
	return m;
}

/* Refuses when something else happens to m, or when it is in another state than needed. */
static bool refuse_unless(struct member *m, enum member_state needed, const char *what, struct reply *r)
{
	static const char *const busy[] = { "", "prepared", "created", "started", "updated", "paused or resumed" };

	if (m->deleting)
		reply_refuse(r, KIND_FAILED_PRECONDITION, EBUSY, "container %s is being deleted", m->id);
	else if (m->busy)
		reply_refuse(r, KIND_FAILED_PRECONDITION, EBUSY, "container %s is just being %s", m->id, busy[m->busy]);
	else if (m->state != needed)
		reply_refuse(r, m->state > needed && needed != MEMBER_RUNNING ? KIND_ALREADY_EXISTS : KIND_FAILED_PRECONDITION,
			     EBUSY, "container %s is %s, %s needs another state", m->id, member_state_name(m), what);
	else
		return false;
	return true;
}

static struct member *new_member(const char *id)
{
	struct member *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	strcpy(m->id, id);
	m->mntns_fd = m->pidfd = -1;
	m->start.fd = m->in.fd = m->oom.fd = -1;
	cri_log_init(&m->log);
	output_init(m);
	m->next = members;
	members = m;
	return m;
}

void member_free(struct member *m)
{
	for (struct member **at = &members; *at; at = &(*at)->next)
		if (*at == m) {
			*at = m->next;
			break;
		}
	loop_timer_stop(&m->delete_retry);
	loop_timer_stop(&m->output_wait);
	output_end(m);
	loop_close(&m->start);
	loop_close(&m->in);
	loop_close(&m->oom);
	if (m->mntns_fd >= 0)
		close(m->mntns_fd);
	if (m->pidfd >= 0)
		close(m->pidfd);
	if (m->external)
		shim_forget(m);
	free(m->bundle);
	free(m->spec);
	free(m->log_path);
	free(m->log_root);
	free(m->exit_file);
	free(m->cgroup);
	free(m->bound);
	loop_free(&m->start, m);
}

/* The request that kept m busy is over. */
static struct reply *not_busy(struct member *m)
{
	struct reply *r = m->reply;

	m->busy = BUSY_NOT;
	m->reply = NULL;
	return r;
}

static void prepared(void *owner, const struct runner_report *report, int fd, const struct text *body)
{
	struct member *m = owner;
	struct reply *r = not_busy(m);

	if (report->e.code) {
		if (fd >= 0)
			close(fd);
		reply_error(r, report->kind, &report->e);
		if (m->deleting)
			member_delete_step(m);
		else
			member_free(m);
		return;
	}
	m->mntns_fd = fd;
	m->state = MEMBER_PREPARED;
	reply_ok(r, body->at, body->len);
	if (m->deleting)
		member_delete_step(m);
}

void member_prepare(struct json_view params, struct reply *r)
{
	char id[MEMBER_ID_MAX + 1];
	struct member *m;
	struct err e;
	int count = 0;

	if (!take_id(params, id)) {
		reply_refuse(r, KIND_INVALID_ARGUMENT, EINVAL, "\"container\" is not an id");
		return;
	}
	for (m = members; m; m = m->next)
		count++;
	if (member_find(id)) {
		reply_refuse(r, KIND_ALREADY_EXISTS, EEXIST, "container %s exists", id);
		return;
	}
	m = count < MEMBERS_MAX ? new_member(id) : NULL;
	if (!m) {
		reply_refuse(r, KIND_RESOURCE_EXHAUSTED, ENOMEM, "container %s: the pod has %d already", id, count);
		return;
	}
	if (runner_start(prepare_work, &params, NULL, 0, RUNNER_LIMIT_MS, prepared, m, &e) < 0) {
		reply_error(r, error_kind_of(e.code), &e);
		member_free(m);
		return;
	}
	m->busy = BUSY_PREPARING;
	m->reply = r;
}

/* What create's client end of a failed start leaves: nothing runs, the member can be created again. */
static void undo_create(struct member *m)
{
	output_end(m);
	loop_close(&m->start);
	loop_close(&m->in);
}

static void exited(struct child *c, int status, int64_t at_ns);

/* All that a killed runner had begun is gone, as far as it can be. */
static void cleaned_up(void *owner, const struct runner_report *report, int fd, const struct text *body)
{
	struct member *m = owner;

	if (fd >= 0)
		close(fd);
	reply_refuse(not_busy(m), KIND_INTERNAL, EPROTO, "create container %s: its runner was killed%s%s", m->id,
		     report->e.code ? "; clean up: " : "", report->e.code ? report->e.step : "");
	if (m->deleting)
		member_delete_step(m);
}

/* Without it, for want of memory, execs take longer. */
static void keep_bound(struct member *m, const struct text *body)
{
	free(m->bound);
	m->bound = body->len == sizeof(*m->bound) ? malloc(sizeof(*m->bound)) : NULL;
	if (m->bound)
		memcpy(m->bound, body->at, sizeof(*m->bound));
}

static void created(void *owner, const struct runner_report *report, int fd, const struct text *body)
{
	struct member *m = owner;
	cleanup_text struct text t = { 0 };
	struct err e = report->e;
	struct reply *r;

	if (fd >= 0 && m->out[0].watch.fd < 0)
		m->out[0].watch.fd = fd; /* the terminal that an external runtime made */
	else if (fd >= 0)
		close(fd);
	/* Killed, or out of time: it could take nothing back itself. Its init ends with it. */
	if (report->broken) {
		undo_create(m);
		if (clean_up_begin(m, cleaned_up, &e) == 0)
			return;
		e = report->e;
	}
	r = not_busy(m);
	if (report->pid) { /* also of a create that failed behind it: somebody must kill and reap it */
		m->pid = report->pid;
		m->pidfd = sys_pidfd_open(m->pid, 0);
		free(m->cgroup);
		m->cgroup = strdup(report->cgroup);
		keep_bound(m, body);
		m->recorded = oci.path != NULL;
		process_start_time(m->pid, m->start_time);
		m->state = MEMBER_CREATED;
		child_add(&m->child, m->pid, exited);
	}
	if (!e.code && (!m->cgroup || m->pidfd < 0 || create_finish(m, &e) < 0) && !e.code)
		err_set(&e, ENOMEM, "take over container %s", m->id);
	if (e.code) {
		if (!report->pid) {
			undo_create(m);
			reply_error(r, report->kind ? report->kind : error_kind_of(e.code), &e);
		} else {
			reply_error(r, report->kind ? report->kind : error_kind_of(e.code), &e);
			kill(m->pid, SIGKILL);
		}
	} else {
		oom_watch(m);
		output_pause(m, false);
		/* A stand-in is nothing to look at from outside. */
		text_fmt(&t, "{\"pid\":%d,\"start_time\":\"%s\",\"cgroup\":", oci.sandboxed ? 0 : (int)m->pid,
			 oci.sandboxed ? "" : m->start_time);
		text_json(&t, m->cgroup);
		text_str(&t, "}");
		reply_ok(r, t.at, t.len);
	}
	if (m->deleting)
		member_delete_step(m);
}

void member_create(struct json_view params, struct reply *r)
{
	struct member *m = member_of(params, r);
	struct err e = { 0 };

	if (!m || refuse_unless(m, MEMBER_PREPARED, "create", r))
		return;
	if (pod.shim_cgroup) {
		reply_refuse(r, KIND_UNIMPLEMENTED, ENOTSUP, "container %s is made by the shim", m->id);
		return;
	}
	m->reply = r;
	m->busy = BUSY_CREATING;
	if (create_begin(m, params, created, &e) < 0) {
		not_busy(m);
		undo_create(m);
		reply_error(r, e.code == EINVAL ? KIND_INVALID_ARGUMENT : error_kind_of(e.code), &e);
	}
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
	r = not_busy(m);
	if (result < 0) {
		reply_error(r, KIND_FAILED_PRECONDITION, &e);
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
	struct reply *r = not_busy(m);
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

	if (!m || refuse_unless(m, MEMBER_CREATED, "start", r))
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

static void exited(struct child *c, int status, int64_t at_ns)
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
		reply_refuse(not_busy(m), KIND_FAILED_PRECONDITION, ESRCH, "container %s: its init was killed", m->id);
	}
	loop_close(&m->start);
	m->pid = 0;
	m->state = MEMBER_EXITED;
	m->finished_ns = at_ns > m->started_ns ? at_ns : m->started_ns;
	m->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	m->exit_code = WIFSIGNALED(status) ? 128 + m->signal : WEXITSTATUS(status);
	oom_decide(m);
	loop_close(&m->oom);
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

static void signalled(void *owner, const struct runner_report *report, int fd, const struct text *body)
{
	struct reply *r = owner;

	if (fd >= 0)
		close(fd);
	if (report->e.code)
		reply_error(r, report->kind, &report->e);
	else
		reply_ok(r, "{}", 2);
}

void member_kill(struct json_view params, struct reply *r)
{
	struct member *m = member_of(params, r);
	struct json_view v = json_view_get(params, "all");
	bool all = false;
	uint64_t sig;
	struct err e;

	if (!m)
		return;
	if (json_view_u64(json_view_get(params, "signal"), 64, &sig) < 0 || (v.at && json_view_bool(v, &all) < 0)) {
		reply_refuse(r, KIND_INVALID_ARGUMENT, EINVAL, "\"signal\" is not a signal's number");
		return;
	}
	if (m->pid == 0) {
		reply_refuse(r, KIND_FAILED_PRECONDITION, ESRCH, "container %s is %s", m->id, member_state_name(m));
		return;
	}
	/* Before its start the stand-in is all there is to end. */
	if (oci.sandboxed && m->state != MEMBER_CREATED) {
		if (oci_kill_begin(m, (int)sig, all, signalled, r, &e) < 0)
			reply_error(r, error_kind_of(e.code), &e);
		else if (sig == SIGKILL)
			m->paused = false;
		return;
	}
	if (sig == SIGKILL) {
			m->oom_kills_at_our_kill = oom_count(m);
	}
	if (all && m->cgroup && m->cgroup[0]) {
		cleanup_free pid_t *pids = NULL;
		size_t count = 0;

		if (sig == SIGKILL)
			cgroup_kill_all(m->cgroup, &e);
		else if (cgroup_pids(m->cgroup, &pids, &count, &e) == 0)
			for (size_t i = 0; i < count; i++)
				if (pids[i] > 0)
					kill(pids[i], (int)sig);
	}
	/* Our own child, not reaped yet: the pid can't be anybody else's. */
	if (kill(m->pid, (int)sig) < 0 && errno != ESRCH) {
		err_set(&e, errno, "send signal %d to container %s", (int)sig, m->id);
		reply_error(r, KIND_INVALID_ARGUMENT, &e);
		return;
	}
	/* A frozen process of cgroup v1 takes even SIGKILL only when it is thawed. */
	if (sig == SIGKILL && m->paused && cgroup_freeze(m->cgroup, false, 0, &e) == 0)
		m->paused = false;
	reply_ok(r, "{}", 2);
}

static void updated(void *owner, const struct runner_report *report, int fd, const struct text *body)
{
	struct member *m = owner;
	struct reply *r = not_busy(m);

	if (fd >= 0)
		close(fd);
	if (report->e.code)
		reply_error(r, report->kind, &report->e);
	else
		reply_ok(r, "{}", 2);
	if (m->deleting)
		member_delete_step(m);
}

void member_update(struct json_view params, struct reply *r)
{
	struct member *m = member_of(params, r);
	struct err e;

	if (!m)
		return;
	if (m->state == MEMBER_CREATED && !m->busy && !m->deleting)
		; /* limits can change before the start, too */
	else if (refuse_unless(m, MEMBER_RUNNING, "update", r))
		return;
	if (update_begin(m, params, updated, &e) < 0) {
		reply_error(r, error_kind_of(e.code), &e);
		return;
	}
	m->busy = BUSY_UPDATING;
	m->reply = r;
}

static void frozen(void *owner, const struct runner_report *report, int fd, const struct text *body)
{
	struct member *m = owner;

	if (!report->e.code)
		m->paused = !m->paused;
	updated(owner, report, fd, body);
}

static void freeze(struct json_view params, struct reply *r, bool pause)
{
	struct member *m = member_of(params, r);
	struct err e;

	if (!m || refuse_unless(m, MEMBER_RUNNING, pause ? "pause" : "resume", r))
		return;
	if (m->paused == pause) {
		reply_refuse(r, KIND_FAILED_PRECONDITION, EBUSY, "container %s is %s", m->id, pause ? "paused already" : "not paused");
		return;
	}
	if (freeze_begin(m, pause, frozen, &e) < 0) {
		reply_error(r, error_kind_of(e.code), &e);
		return;
	}
	m->busy = BUSY_FREEZING;
	m->reply = r;
}

void member_pause(struct json_view params, struct reply *r)
{
	freeze(params, r, true);
}

void member_resume(struct json_view params, struct reply *r)
{
	freeze(params, r, false);
}

void member_reopen_log(struct json_view params, struct reply *r)
{
	struct member *m = member_of(params, r);
	struct err e;

	if (!m)
		return;
	if (m->state < MEMBER_CREATED) {
		reply_refuse(r, KIND_FAILED_PRECONDITION, EBUSY, "container %s is %s", m->id, member_state_name(m));
		return;
	}
	if (m->log_path && cri_log_open(&m->log, m->log_root, m->log_path, &e) < 0)
		reply_error(r, error_kind_of(e.code), &e);
	else
		reply_ok(r, "{}", 2);
}

void member_describe(const struct member *m, struct text *t)
{
	text_str(t, "{\"id\":");
	text_json(t, m->id);
	text_fmt(t, ",\"state\":\"%s\"", member_state_name(m));
	if (m->start_time[0] && !oci.sandboxed)
		text_fmt(t, ",\"pid\":%d,\"start_time\":\"%s\"", (int)(m->pid ? m->pid : m->child.pid), m->start_time);
	if (m->started_ns)
		text_fmt(t, ",\"started_at_ns\":\"%lld\"", (long long)m->started_ns);
	if (m->state == MEMBER_EXITED)
		text_fmt(t, ",\"finished_at_ns\":\"%lld\",\"exit_code\":%d,\"signal\":%d,\"oom_killed\":%s",
			 (long long)m->finished_ns, m->exit_code, m->signal, m->oom_killed ? "true" : "false");
	if (m->external) {
		text_fmt(t, ",\"stdin_closed\":%s,\"orphans\":[", m->stdin_closed ? "true" : "false");
		session_describe_orphans(m, t);
		text_str(t, "]");
	}
	text_str(t, ",\"cgroup\":");
	text_json(t, m->cgroup ? m->cgroup : "");
	text_str(t, "}");
}
