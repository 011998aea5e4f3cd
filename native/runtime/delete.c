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

enum { END_TIMEOUT_MS = 10000 };

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
	if (*s->cgroup && traced("remove cgroups", container_cgroup_remove(s->cgroup, s->systemd, END_TIMEOUT_MS, e)) < 0)
		return -e->code;
	return s->rdt ? container_rdt_remove(s->config, s->id, e) : 0;
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

void container_remains(const struct state *s, bool systemd)
{
	bool claimed = state_claimed(s, &systemd);
	char text[1024];
	struct err why;

	/* A configuration that can't be read has made nothing. */
	if (access(s->config, F_OK) == 0 && container_discard(s->id, s->config, systemd, claimed, &why) < 0)
		log_debug("%s", log_text(&why, text, sizeof(text)));
}

/* What a create that never came to its end has left, in a folder without a state. */
static int delete_remains(const struct options *o, struct state *s, struct err *e)
{
	s->pid = 0;
	container_remains(s, o->systemd_cgroup);
	return container_destroy(s, e);
}

/* Before the lock: a start whose hook hangs holds it, and ends with init. */
static void kill_early(const struct options *o)
{
	cleanup_state struct state s = { .lock = -1 };
	cleanup_fd int init = -1;
	struct err ignored;

	if (traced("read the state", state_load(o->root, o->id, &s, &ignored)) < 0)
		return;
	init = state_open_init(&s);
	if (init >= 0)
		sys_pidfd_send_signal(init, SIGKILL);
}

int command_delete(const struct options *o, struct err *e)
{
	cleanup_state struct state s = { .lock = -1 };
	enum status status;
	int r;

	if (o->force)
		kill_early(o);
	/* Read under the lock: while we waited another delete and create may have put a new one in its place. */
	r = traced("lock and read the state", state_load_locked(o->root, o->id, &s, e));
	if (r < 0 && s.lock < 0)
		return r == -ENOENT && o->force ? 0 : -1;
	if (r < 0) {
		struct err why = *e;

		/* A state that can't be read must not make a container that can't be removed. */
		if ((r != -ENOENT && !o->force) || delete_remains(o, &s, e) < 0)
			return -1;
		*e = why;
		return o->force ? 0 : -1; /* as runc: what remained is gone, but a container there was none */
	}
	status = state_status(&s);
	if (!o->force && (status == STATUS_RUNNING || status == STATUS_PAUSED)) {
		err_set(e, EBUSY, "container \"%s\" is %s: stop it first, or use --force", s.id, status_name(status));
		return -1;
	}
	return container_destroy(&s, e) < 0 ? -1 : 0;
}
