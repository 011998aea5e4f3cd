/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a member, in steps that wait for each other: init, execs, cgroup. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cgroup/cgroup.h"
#include "monitor/member.h"
#include "monitor/member_oci.h"
#include "monitor/member_oom.h"
#include "monitor/shutdown.h"

/* A process in D state can't be killed: then delete answers, and may be asked again. */
#define DELETE_LIMIT_MS 30000
/* A program that can't end a container in its sandbox may just have missed its end, which is heard soon then. */
#define END_HEARD_MS 1000
/* A program that is killed at its work on a deletion is run again so often. */
#define KILLS_MAX 20

static void on_delete_retry(struct timer *t)
{
	member_delete_step(container_of(t, struct member, delete_retry));
}

static void retry_delete(struct member *m)
{
	m->delete_wait_ms = m->delete_wait_ms ? m->delete_wait_ms * 2 : 1;
	if (m->delete_wait_ms > 100)
		m->delete_wait_ms = 100;
	m->delete_retry.fire = on_delete_retry;
	loop_timer(&m->delete_retry, m->delete_wait_ms);
}

static void answer_delete(struct reply *replies, const struct err *e)
{
	while (replies) {
		struct reply *r = replies;

		replies = r->also;
		if (e)
			reply_error(r, KIND_UNAVAILABLE, e);
		else
			reply_ok(r, "{}", 2);
	}
}

/* It stays, and may be deleted later. */
static void give_up(struct member *m, struct err *e)
{
	m->deleting = m->end_asked = false;
	err_wrap(e, "delete container %s", m->id);
	answer_delete(take_ptr(&m->delete_replies), e);
	pod_member_gone(); /* a shutdown doesn't wait for this one any more */
}

/* Processes may be on their way out, or (D state) never go. */
static void delete_later(struct member *m, struct err *e)
{
	if (loop_now_ms() < m->delete_deadline_ms)
		retry_delete(m);
	else
		give_up(m, e);
}

/* Whoever killed the program (for memory, mostly) may let the next one live. */
static void run_again(struct member *m, struct err *e)
{
	if (m->kills++ < KILLS_MAX)
		delete_later(m, e);
	else
		give_up(m, e);
}

static void forgotten(void *owner, const struct runner_report *report, int fd, const struct text *body)
{
	struct member *m = owner;
	struct err e = report->e;

	if (fd >= 0)
		close(fd);
	m->forgetting = false;
	m->recorded = e.code && !shutdown_under_way(); /* the whole sandbox ends then */
	if (m->deleting && m->recorded && report->killed)
		run_again(m, &e);
	else if (m->deleting && m->recorded)
		give_up(m, &e);
	else if (m->deleting)
		member_delete_step(m);
}

bool member_forget(struct member *m)
{
	struct err e;

	if (m->recorded && !m->forgetting) {
		m->forgetting = oci_delete_begin(m, forgotten, &e) == 0;
		m->recorded = m->forgetting; /* else its record goes with the pod's folder */
	}
	return m->forgetting;
}

static void asked_to_end(void *owner, const struct runner_report *report, int fd, const struct text *body)
{
	struct member *m = owner;

	if (fd >= 0)
		close(fd);
	m->ending = false;
	m->end_error = report->e;
	m->end_asked = !report->killed; /* else it is asked again */
	if (report->killed) {
		run_again(m, &m->end_error);
		return;
	}
	if (m->end_error.code)
		m->delete_deadline_ms = loop_now_ms() + END_HEARD_MS;
	else
		m->paused = false;
	member_delete_step(m);
}

/* The stand-in is not what runs: it ends when the program has ended that. */
static void end_in_sandbox(struct member *m)
{
	struct err e;

	if (m->end_asked) {
		e = m->end_error;
		if (!e.code)
			err_set(&e, EBUSY, "its init does not end");
		delete_later(m, &e);
	} else if (oci_kill_begin(m, SIGKILL, true, asked_to_end, m, &e) < 0) {
		give_up(m, &e);
	} else {
		m->ending = m->end_asked = true;
	}
}

/* Each step is done when it is reached, also for the second time. */
void member_delete_step(struct member *m)
{
	bool has_cgroup = m->cgroup && m->cgroup[0];
	struct reply *replies;
	struct err e = { 0 };

	if (!m->deleting || m->ending || (m->busy != BUSY_NOT && m->busy != BUSY_STARTING))
		return; /* its runner is under way: called again when that is done */
	if (m->pid && oci.sandboxed && m->state == MEMBER_RUNNING && !shutdown_under_way()) {
		end_in_sandbox(m);
		return;
	}
	if (m->pid) {
		kill(m->pid, SIGKILL);
		member_kill_rest(m);
		err_set(&e, EBUSY, "its init does not end");
		delete_later(m, &e);
		return;
	}
	if (has_cgroup)
		member_kill_rest(m);
	if (session_member_deleted(m)) {
		err_set(&e, EBUSY, "an exec does not end");
		delete_later(m, &e);
		return;
	}
	if (member_forget(m))
		return; /* called again when that is done */
	if (has_cgroup && cgroup_remove(m->cgroup, 0, &e) < 0) {
		delete_later(m, &e);
		return;
	}
	replies = take_ptr(&m->delete_replies);
	member_free(m); /* first: who is told finds all of it given back */
	answer_delete(replies, NULL);
	pod_member_gone();
}

void member_delete(struct member *m, struct reply *r)
{
	if (r) {
		r->also = m->delete_replies;
		m->delete_replies = r;
	}
	if (m->deleting)
		return;
	m->deleting = true;
	m->oom_kills_at_our_kill = oom_count(m);
	m->delete_deadline_ms = loop_now_ms() + DELETE_LIMIT_MS;
	m->delete_wait_ms = 0;
	m->kills = 0;
	member_delete_step(m);
}
