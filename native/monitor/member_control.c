/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a member that is there: signals, other limits, a pause, what it uses, another log. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "cgroup/cgroup.h"
#include "monitor/member_create.h"
#include "monitor/member_internal.h"
#include "monitor/member_oci.h"
#include "monitor/member_oom.h"

static void signalled(void *owner, const struct runner_report *report, int fd, const struct text *body)
{
	reply_report(owner, report, fd, NULL);
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
	if (sig == SIGKILL)
		m->oom_kills_at_our_kill = oom_count(m);
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

	reply_report(member_not_busy(m), report, fd, NULL);
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
	else if (member_refuse_unless(m, MEMBER_RUNNING, "update", r))
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

	if (!m || member_refuse_unless(m, MEMBER_RUNNING, pause ? "pause" : "resume", r))
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

void member_usage(struct json_view params, struct reply *r)
{
	struct member *m = member_of(params, r);
	struct err e;

	if (!m)
		return;
	if (!oci.sandboxed)
		reply_refuse(r, KIND_UNIMPLEMENTED, ENOTSUP, "container %s: its cgroup tells what it uses", m->id);
	else if (m->deleting || m->state != MEMBER_RUNNING)
		reply_refuse(r, KIND_FAILED_PRECONDITION, ESRCH, "container %s is %s", m->id,
			     m->deleting ? "being deleted" : member_state_name(m));
	else if (oci_usage_begin(m, reply_report, r, &e) < 0)
		reply_error(r, error_kind_of(e.code), &e);
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
