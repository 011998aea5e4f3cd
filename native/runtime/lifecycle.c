/* SPDX-License-Identifier: Apache-2.0 */
/* create, start, run. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "base/trace.h"
#include "cgroup/cgroup.h"
#include "container/container.h"
#include "runtime/commands.h"
#include "runtime/log.h"
#include "runtime/state.h"
#include "spec/spec.h"

enum { START_TIMEOUT_MS = 60000 };

/* A create under way: what it makes, and what it was asked for. */
struct creation {
	const struct options *o;
	struct state *s;
	struct spec spec;
	struct preserved preserved;
	bool detach;
	int console;      /* given to init; -1: none */
	int console_peer; /* our end, when the terminal is ours to attend; -1: it is not */
};

struct answer {
	struct err err;
	struct container_created created;
};

static void make_container(const void *request, void *answer)
{
	struct answer *a = answer;

	container_create(request, &a->created, &a->err);
}

/* container_create in a child of its own: init becomes our child, not its. */
static int create_in_runner(const struct container_create *req, const struct state *s, struct container_created *ret,
			    struct err *e)
{
	struct answer a = { 0 };
	int status, r;

	r = in_runner(make_container, req, &a, sizeof(a), e);
	if (r == -EPROTO)
		container_remains(s, req->systemd_cgroup);
	if (r < 0)
		return r;
	if (a.err.code) {
		while (waitpid(-1, &status, WNOHANG) > 0) /* init, killed by the runner */
			;
		*e = a.err;
		return -e->code;
	}
	*ret = a.created;
	return 0;
}

/* Keeps the configuration as it was at create: what the bundle says later changes nothing. */
static int keep_config(struct creation *c, struct err *e)
{
	cleanup_free char *from = path_join(c->s->bundle, "config.json"), *text = NULL;
	size_t len;

	if (!from)
		return err_set(e, ENOMEM, "path of config.json");
	if (io_read_file_at(AT_FDCWD, from, SPEC_MAX_BYTES, &text, &len, e) < 0)
		return -e->code;
	if (spec_parse(text, len, &c->spec, e) < 0)
		return err_wrap(e, "config.json");
	return io_write_atomic_at(c->s->lock, "config.json", text, len, 0600, e);
}

/* --rootless, of which main() has seen that it is one of these. */
static enum container_cgroup_need cgroup_need(const struct options *o)
{
	if (!o->rootless || !strcmp(o->rootless, "auto"))
		return CGROUP_BY_RIGHTS;
	return strcmp(o->rootless, "true") ? CGROUP_NEEDED : CGROUP_OPTIONAL;
}

/* In the runner. */
static int claimed(const void *arg, struct err *e)
{
	const struct creation *c = arg;

	return state_claim(c->s, c->o->systemd_cgroup, e);
}

/* Everything from the specification to a process that waits; the undo is undo_create's. */
static int make(struct creation *c, struct err *e)
{
	struct state *s = c->s;
	const char *env[] = { c->preserved.listen, "LISTEN_PID=1", NULL };
	struct container_create req = { .id = s->id, .bundle = s->bundle, .spec_path = s->config, .spec = &c->spec,
					.mntns_fd = -1, .userns_fd = -1, .stdio = { 0, 1, 2 }, .console_sock = -1, .start_fd = -1, .known_fd = -1,
					.no_pivot = c->o->no_pivot, .no_new_keyring = c->o->no_new_keyring,
					.preserve_fds = c->preserved.count, .env = *c->preserved.listen ? env : NULL,
					.systemd_cgroup = c->o->systemd_cgroup, .systemd_annotations = true, .rdt = true, .cgroup_need = cgroup_need(c->o),
					.warn = log_warning, .claimed = claimed, .claimed_arg = c };
	struct container_created created = { 0 };
	cleanup_fd int start = -1, known = -1, known_init = -1;
	int pair[2];

	if (traced("read config.json", keep_config(c, e)) < 0 || state_describe(s, &c->spec, e) < 0 ||
	    console_endpoint(c->o, "process.terminal", c->spec.has_process && c->spec.process.terminal, c->detach, &c->console,
			     &c->console_peer, e) < 0 ||
	    traced("open the start socket", state_socket(s, true, &start, e)) < 0)
		return -e->code;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "socket pair");
	known = pair[0];
	known_init = pair[1];
	req.console_sock = c->console;
	req.start_fd = start;
	req.known_fd = known_init;
	if (traced("make the container", create_in_runner(&req, s, &created, e)) < 0)
		return -e->code;
	state_set_init(s, created.pid);
	memcpy(s->cgroup, created.cgroup, sizeof(s->cgroup));
	s->systemd = c->o->systemd_cgroup;
	state_now(s->created, sizeof(s->created));
	/* The state before the pid file: who reads that one may ask for the state at once. */
	if (traced("write the state", state_save(s, e)) < 0)
		return -e->code;
	send(known, "K", 1, MSG_NOSIGNAL); /* it may have ended by now: the state tells */
	return traced("pid file", announce(c->o, s->pid, e));
}

/* Nothing of a failed create stays; its poststop hooks are run (runtime.md, "Lifecycle"). */
static void undo_create(struct state *s)
{
	char text[1024];
	struct err why;

	if (container_destroy(s, &why) < 0)
		log_warning(log_text(&why, text, sizeof(text)));
}

/*
 * Leaves *s locked. detach: nobody waits for the process. *ret_master: the terminal when it is ours to attend, else -1.
 */
static int create(const struct options *o, bool detach, struct state *s, int *ret_master, struct err *e)
{
	struct creation c = { .o = o, .s = s, .detach = detach, .console = -1, .console_peer = -1 };
	char bundle[PATH_MAX];
	int r;

	*ret_master = -1;
	if (preserve_fds(o, true, &c.preserved, e) < 0 || state_open(o->root, o->id, s, e) < 0)
		return -e->code;
	if (!realpath(o->bundle ? o->bundle : ".", bundle))
		return err_set(e, errno, "bundle \"%s\"", o->bundle ? o->bundle : ".");
	strcpy(s->bundle, bundle);
	if (traced("make the state folder", state_make(o->root, s, e)) < 0)
		return -e->code;
	r = make(&c, e);
	if (r == 0 && c.console_peer >= 0)
		r = io_recv_fd(c.console_peer, ret_master, e);
	if (r < 0)
		undo_create(s);
	else
		log_debug("container %s is created, process %d", s->id, (int)s->pid);
	if (c.console >= 0)
		close(c.console);
	if (c.console_peer >= 0)
		close(c.console_peer);
	spec_free(&c.spec);
	return r;
}

/* *s is locked: what its status says stays true. */
static int start(struct state *s, struct err *e)
{
	cleanup_fd int fd = -1;
	char path[PATH_MAX + 16];
	enum status status = state_status(s);

	if (status != STATUS_CREATED)
		return err_set(e, EINVAL, "container \"%s\" is %s, start needs created", s->id, status_name(status));
	if (state_socket(s, false, &fd, e) < 0)
		return -e->code;
	/* Gone before the program runs: the state is never "created" when it does. */
	snprintf(path, sizeof(path), "%s/start.sock", s->dir);
	unlink(path);
	trace_step("connect to init", NULL);
	if (traced("run the program", container_start(fd, START_TIMEOUT_MS, e)) < 0)
		return -e->code;
	if ((s->hooks & 1u << HOOK_POSTSTART) &&
	    container_hooks(s->config, "poststart", s->id, s->bundle, "running", s->pid, e) < 0) {
		kill(s->pid, SIGKILL);
		return -e->code;
	}
	log_debug("container %s is started", s->id);
	return 0;
}

int command_create(const struct options *o, struct err *e)
{
	cleanup_state struct state s = { .lock = -1 };
	int master;

	return create(o, true, &s, &master, e) < 0 ? -1 : 0;
}

int command_start(const struct options *o, struct err *e)
{
	cleanup_state struct state s = { .lock = -1 };

	return traced("lock and read the state", state_load_locked(o->root, o->id, &s, e)) < 0 || start(&s, e) < 0 ? -1 : 0;
}

int command_run(const struct options *o, struct err *e)
{
	cleanup_state struct state s = { .lock = -1 };
	cleanup_fd int master = -1;
	int code;

	/* Before there are children that could leave orphans. */
	if (!o->detach && !o->no_subreaper && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
		err_set(e, errno, "become a subreaper");
		return -1;
	}
	if (!o->detach)
		hold_signals();
	if (create(o, o->detach, &s, &master, e) < 0)
		return -1;
	if (master >= 0)
		give_terminal_size(master);
	if (start(&s, e) < 0) {
		undo_create(&s);
		return -1;
	}
	if (o->detach)
		return 0;
	state_close(&s); /* other commands may have it while it runs */
	code = attend_process(s.pid, master);
	trace_step("wait for the program's end", NULL);
	if (o->keep)
		return code;
	/* Somebody else may have removed it, and even made another of this name: then nothing is ours to remove. */
	if (state_load_locked(o->root, o->id, &s, e) < 0)
		return e->code == ENOENT ? code : -1;
	if (state_status(&s) != STATUS_STOPPED)
		return code;
	return container_destroy(&s, e) < 0 ? -1 : code;
}
