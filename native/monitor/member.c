/* SPDX-License-Identifier: Apache-2.0 */
#include "member.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "container/container.h"
#include "monitor/member_create.h"
#include "monitor/member_internal.h"
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

bool member_refuse_unless(struct member *m, enum member_state needed, const char *what, struct reply *r)
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
	m->mntns_fd = m->pidfd = m->disk_fd = -1;
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
	oom_unwatch(m);
	if (m->mntns_fd >= 0)
		close(m->mntns_fd);
	if (m->pidfd >= 0)
		close(m->pidfd);
	if (m->external)
		shim_forget(m);
	shim_settled(m);
	shim_disk_close(&m->disk_fd);
	free(m->bundle);
	free(m->spec);
	free(m->log_path);
	free(m->log_root);
	free(m->exit_file);
	if (m->join)
		cgroup_join_close(m->join);
	free(m->join);
	if (m->spare.path)
		close(m->spare.fd);
	free(m->spare.path);
	free(m->cgroup);
	free(m->bound);
	loop_free(&m->start, m);
}

struct reply *member_not_busy(struct member *m)
{
	struct reply *r = m->reply;

	m->busy = BUSY_NOT;
	m->reply = NULL;
	return r;
}

static void prepared(void *owner, const struct runner_report *report, int fd, const struct text *body)
{
	struct member *m = owner;
	struct reply *r = member_not_busy(m);

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
	int count = 0, user_fd = pod.user_fd;
	struct member *m;
	struct err e;

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
	if (runner_start(prepare_work, &params, &user_fd, 1, RUNNER_LIMIT_MS, prepared, m, &e) < 0) {
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

/* All that a killed runner had begun is gone, as far as it can be. */
static void cleaned_up(void *owner, const struct runner_report *report, int fd, const struct text *body)
{
	struct member *m = owner;

	if (fd >= 0)
		close(fd);
	reply_refuse(member_not_busy(m), KIND_INTERNAL, EPROTO, "create container %s: its runner was killed%s%s", m->id,
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
	r = member_not_busy(m);
	if (report->pid) { /* also of a create that failed behind it: somebody must kill and reap it */
		m->pid = report->pid;
		m->pidfd = sys_pidfd_open(m->pid, 0);
		free(m->cgroup);
		m->cgroup = strdup(report->cgroup);
		keep_bound(m, body);
		m->recorded = oci.path != NULL;
		process_start_time(m->pid, m->start_time);
		m->state = MEMBER_CREATED;
		child_add(&m->child, m->pid, member_exited);
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

	if (!m || member_refuse_unless(m, MEMBER_PREPARED, "create", r))
		return;
	if (pod.shim_cgroup) {
		reply_refuse(r, KIND_UNIMPLEMENTED, ENOTSUP, "container %s is made by the shim", m->id);
		return;
	}
	m->reply = r;
	m->busy = BUSY_CREATING;
	if (create_begin(m, params, created, &e) < 0) {
		member_not_busy(m);
		undo_create(m);
		reply_error(r, e.code == EINVAL ? KIND_INVALID_ARGUMENT : error_kind_of(e.code), &e);
	}
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
		text_fmt(t, ",\"ended\":%s,\"stdin_closed\":%s,\"orphans\":[", m->ended ? "true" : "false",
			 m->stdin_closed ? "true" : "false");
		session_describe_orphans(m, t);
		text_str(t, "]");
	}
	text_str(t, ",\"cgroup\":");
	text_json(t, m->cgroup ? m->cgroup : "");
	text_str(t, "}");
}
