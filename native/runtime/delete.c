/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "base/trace.h"
#include "cgroup/cgroup.h"
#include "container/container.h"
#include "runtime/commands.h"
#include "runtime/log.h"

enum { END_TIMEOUT_MS = 10000, LOCK_TIMEOUT_MS = 30000 };

/* Kills and waits for what is left of it. */
static int end_processes(struct state *s, struct err *e)
{
	cleanup_fd int init = state_open_init(s);
	struct pollfd p = { .fd = init, .events = POLLIN };
	struct err ignored;
	bool frozen = false;

	if (init >= 0)
		sys_pidfd_send_signal(init, SIGKILL);
	/* The end of a PID namespace's init is everybody's; else others may have stayed. A frozen process ends when thawed. */
	if (*s->cgroup && !s->own_pids && cgroup_kill_all(s->cgroup, e) < 0)
		return -e->code;
	if (*s->cgroup && cgroup_frozen(s->cgroup, &frozen, &ignored) == 0 && frozen)
		cgroup_freeze(s->cgroup, false, 0, &ignored);
	trace_step("kill", NULL);
	if (init >= 0 && poll(&p, 1, END_TIMEOUT_MS) == 0)
		return err_set(e, ETIMEDOUT, "container \"%s\": process %d does not end", s->id, (int)s->pid);
	if (s->pid > 0)
		waitpid(s->pid, NULL, WNOHANG); /* ours in `run` */
	trace_step("wait for its end", NULL);
	return *s->cgroup ? traced("remove cgroups", container_cgroup_remove(s->cgroup, s->systemd, END_TIMEOUT_MS, e)) : 0;
}

int container_destroy(struct state *s, struct err *e)
{
	struct err hook = { 0 };
	char text[1024];

	if (s->pid && end_processes(s, e) < 0)
		return -e->code;
	if ((s->hooks & 1u << HOOK_POSTSTOP) &&
	    container_hooks(s->config, "poststop", s->id, s->bundle, "stopped", 0, &hook) < 0)
		log_warning(log_text(&hook, text, sizeof(text))); /* the container is gone all the same */
	return traced("remove the state", state_remove(s, e));
}

/* A folder without a state: a create that never came to its end. Waits for one that is still at it. */
static int delete_remains(const struct options *o, struct state *s, struct err *e)
{
	char text[1024];
	int r;

	if (s->lock < 0 && (r = state_lock(s, LOCK_TIMEOUT_MS, e)) < 0)
		return r == -ENOENT && o->force ? 0 : r;
	/* Its process waits in the cgroup that the configuration names. One that can't be read has made nothing. */
	if (access(s->config, F_OK) == 0 && container_discard(s->id, s->config, o->systemd_cgroup, e) < 0)
		log_debug("%s", log_text(e, text, sizeof(text)));
	return container_destroy(s, e);
}

static int delete_forced(const struct options *o, struct state *s, struct err *e)
{
	cleanup_fd int init = state_open_init(s);
	int r;

	/* Before the lock: a start whose hook hangs holds it, and ends with init. */
	if (init >= 0)
		sys_pidfd_send_signal(init, SIGKILL);
	r = traced("lock the state", state_lock(s, LOCK_TIMEOUT_MS, e));
	if (r == -ENOENT)
		return 0; /* another delete was faster */
	return r < 0 ? r : container_destroy(s, e);
}

int command_delete(const struct options *o, struct err *e)
{
	cleanup_state struct state s = { .lock = -1 };
	int r = traced("read the state", state_load(o->root, o->id, &s, e));
	enum status status;

	if (r == -ENOENT) {
		struct err why = *e;

		if (delete_remains(o, &s, e) < 0)
			return -1;
		*e = why;
		return o->force ? 0 : -1; /* as runc: what remained is gone, but a container there was none */
	}
	if (r < 0) {
		/* A state that can't be read must not make a container that can't be removed. */
		if (!o->force || *s.dir == '\0')
			return -1;
		s.pid = 0;
		return delete_remains(o, &s, e) < 0 ? -1 : 0;
	}
	if (o->force)
		return delete_forced(o, &s, e) < 0 ? -1 : 0;
	if (traced("lock the state", state_lock(&s, LOCK_TIMEOUT_MS, e)) < 0)
		return -1;
	status = state_status(&s);
	if (status == STATUS_RUNNING || status == STATUS_PAUSED) {
		err_set(e, EBUSY, "container \"%s\" is %s: stop it first, or use --force", s.id, status_name(status));
		return -1;
	}
	return container_destroy(&s, e) < 0 ? -1 : 0;
}
