/* SPDX-License-Identifier: Apache-2.0 */
/* state, kill, delete. */
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "container/container.h"
#include "runtime/commands.h"
#include "runtime/state.h"

int command_state(const struct options *o, struct err *e)
{
	cleanup_free char *text = NULL;
	struct state s;

	if (state_load(o->root, o->id, &s, e) < 0)
		return -1;
	text = state_text(&s);
	if (!text) {
		err_set(e, ENOMEM, "state");
		return -1;
	}
	puts(text);
	return 0;
}

/* "TERM", "SIGTERM", "term", "15"; 0: no signal. */
static int signal_number(const char *text)
{
	static const struct {
		const char *name;
		int number;
	} names[] = {
		{ "HUP", SIGHUP },   { "INT", SIGINT },   { "QUIT", SIGQUIT }, { "ILL", SIGILL },   { "TRAP", SIGTRAP },
		{ "ABRT", SIGABRT }, { "BUS", SIGBUS },   { "FPE", SIGFPE },   { "KILL", SIGKILL }, { "USR1", SIGUSR1 },
		{ "SEGV", SIGSEGV }, { "USR2", SIGUSR2 }, { "PIPE", SIGPIPE }, { "ALRM", SIGALRM }, { "TERM", SIGTERM },
		{ "CHLD", SIGCHLD }, { "CONT", SIGCONT }, { "STOP", SIGSTOP }, { "TSTP", SIGTSTP }, { "TTIN", SIGTTIN },
		{ "TTOU", SIGTTOU }, { "URG", SIGURG },   { "XCPU", SIGXCPU }, { "XFSZ", SIGXFSZ }, { "VTALRM", SIGVTALRM },
		{ "PROF", SIGPROF }, { "WINCH", SIGWINCH }, { "IO", SIGIO },   { "PWR", SIGPWR },   { "SYS", SIGSYS },
	};
	char *end;
	long n = strtol(text, &end, 10);

	if (isdigit((unsigned char)*text))
		return *end == '\0' && n > 0 && n <= 64 ? (int)n : 0;
	if (!strncasecmp(text, "SIG", 3))
		text += 3;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcasecmp(text, names[i].name))
			return names[i].number;
	return 0;
}

/* The process, if the pid is still its: the start time is compared while a pidfd holds the pid. */
static int open_init(const struct state *s)
{
	int fd = s->pid > 0 ? sys_pidfd_open(s->pid, 0) : -1;

	if (fd >= 0 && process_start_time(s->pid) != s->start_time) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int kill_everyone(const struct state *s, int sig, struct err *e)
{
	cleanup_free pid_t *pids = NULL;
	size_t count;

	if (sig == SIGKILL)
		return cgroup_kill_all(s->cgroup, e);
	if (cgroup_pids(s->cgroup, &pids, &count, e) < 0)
		return -e->code;
	for (size_t i = 0; i < count; i++)
		kill(pids[i], sig);
	return 0;
}

int command_kill(const struct options *o, struct err *e)
{
	const char *name = o->args[0] ? o->args[0] : "TERM";
	int sig = signal_number(name);
	cleanup_fd int init = -1;
	struct state s;

	if (!sig) {
		err_set(e, EINVAL, "\"%.40s\" is no signal", name);
		return -1;
	}
	if (state_load(o->root, o->id, &s, e) < 0)
		return -1;
	if (o->all)
		return kill_everyone(&s, sig, e) < 0 ? -1 : 0;
	init = open_init(&s);
	if (init < 0 || sys_pidfd_send_signal(init, sig) < 0) {
		err_set(e, init < 0 ? ESRCH : errno, "container \"%s\" is not running", s.id);
		return -1;
	}
	return 0;
}

int command_delete(const struct options *o, struct err *e)
{
	cleanup_fd int init = -1;
	struct err hook = { 0 };
	struct state s;
	int r = state_load(o->root, o->id, &s, e);

	if (r == -ENOENT && o->force) {
		struct err ignored;

		/* A create that was killed in between left a folder without a state: what it made goes. */
		if (state_open(o->root, o->id, &s, e) < 0)
			return -1;
		if (access(s.config, F_OK) == 0)
			container_discard(s.id, s.config, o->systemd_cgroup, &ignored);
		return state_remove(&s, e) < 0 ? -1 : 0;
	}
	if (r < 0)
		return -1;
	init = open_init(&s);
	if (init >= 0 && state_status(&s) == STATUS_RUNNING && !o->force) {
		err_set(e, EBUSY, "container \"%s\" is running: stop it first, or use --force", s.id);
		return -1;
	}
	if (init >= 0) {
		struct pollfd p = { .fd = init, .events = POLLIN };

		sys_pidfd_send_signal(init, SIGKILL);
		if (poll(&p, 1, 10000) == 0) {
			err_set(e, ETIMEDOUT, "container \"%s\": process %d does not end", s.id, s.pid);
			return -1;
		}
		waitpid(s.pid, NULL, WNOHANG); /* ours in `run` */
	}
	/* Without a PID namespace of its own others may have stayed. */
	if (cgroup_kill_all(s.cgroup, e) < 0 || container_cgroup_remove(s.cgroup, s.systemd, 10000, e) < 0)
		return -1;
	r = container_hooks(s.config, "poststop", s.id, s.bundle, "stopped", 0, &hook);
	if (r < 0) {
		char text[640];

		command_warn(err_text(&hook, text, sizeof(text))); /* the container is gone all the same */
	}
	return state_remove(&s, e) < 0 ? -1 : 0;
}
