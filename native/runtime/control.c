/* SPDX-License-Identifier: Apache-2.0 */
/* state, kill, pause, resume. */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "runtime/commands.h"
#include "runtime/state.h"

enum { FREEZE_TIMEOUT_MS = 10000 };

int command_state(const struct options *o, struct err *e)
{
	cleanup_state struct state s = { .lock = -1 };

	if (state_load(o->root, o->id, &s, e) < 0)
		return -1;
	return print_json(state_json(&s, ""), JSON_INDENT(2), "", e) < 0 ? -1 : 0;
}

/* "TERM", "SIGTERM", "term", "15"; "0" only asks whether it is there. -1: no signal. */
static int signal_number(const char *text)
{
	static const struct {
		const char *name;
		int number;
	} names[] = {
		{ "HUP", SIGHUP },   { "INT", SIGINT },   { "QUIT", SIGQUIT }, { "ILL", SIGILL },   { "TRAP", SIGTRAP },
		{ "ABRT", SIGABRT }, { "IOT", SIGABRT },  { "BUS", SIGBUS },   { "FPE", SIGFPE },   { "KILL", SIGKILL },
		{ "USR1", SIGUSR1 }, { "SEGV", SIGSEGV }, { "USR2", SIGUSR2 }, { "PIPE", SIGPIPE }, { "ALRM", SIGALRM },
		{ "TERM", SIGTERM }, { "STKFLT", 16 },    { "CHLD", SIGCHLD }, { "CLD", SIGCHLD },  { "CONT", SIGCONT },
		{ "STOP", SIGSTOP }, { "TSTP", SIGTSTP }, { "TTIN", SIGTTIN }, { "TTOU", SIGTTOU }, { "URG", SIGURG },
		{ "XCPU", SIGXCPU }, { "XFSZ", SIGXFSZ }, { "VTALRM", SIGVTALRM }, { "PROF", SIGPROF },
		{ "WINCH", SIGWINCH }, { "IO", SIGIO },   { "POLL", SIGIO },   { "PWR", SIGPWR },   { "SYS", SIGSYS },
	};
	char *end;
	long n = strtol(text, &end, 10);

	if (isdigit((unsigned char)*text))
		return *end == '\0' && n <= 64 ? (int)n : -1;
	if (!strncasecmp(text, "SIG", 3))
		text += 3;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcasecmp(text, names[i].name))
			return names[i].number;
	return -1;
}

static int signal_everyone(const struct state *s, int sig, struct err *e)
{
	cleanup_free pid_t *pids = NULL;
	size_t count;

	if (!*s->cgroup)
		return 0; /* made without one: there is init, whose signal is the caller's affair */
	if (sig == SIGKILL)
		return cgroup_kill_all(s->cgroup, e);
	if (cgroup_pids(s->cgroup, &pids, &count, e) < 0)
		return -e->code;
	for (size_t i = 0; i < count; i++)
		if (pids[i] > 0)
			kill(pids[i], sig);
	return 0;
}

int command_kill(const struct options *o, struct err *e)
{
	const char *name = o->arg_count ? o->args[0] : "TERM";
	cleanup_state struct state s = { .lock = -1 };
	int sig = signal_number(name);
	cleanup_fd int init = -1;
	bool frozen = false;

	if (state_load(o->root, o->id, &s, e) < 0)
		return -1;
	if (sig < 0) {
		err_set(e, EINVAL, "signal \"%.40s\" is not known", name);
		return -1;
	}
	init = state_open_init(&s);
	/* Without a PID namespace of its own the end of init is nobody else's. */
	if (o->all || (sig == SIGKILL && !s.own_pids && init >= 0)) {
		if (signal_everyone(&s, sig, e) < 0)
			return -1;
		if (o->all && *s.cgroup)
			return 0;
	}
	if (init < 0 || (sys_pidfd_send_signal(init, sig) < 0 && !(errno == ESRCH && sig == SIGKILL))) {
		err_set(e, init < 0 ? ESRCH : errno, "container \"%s\" is not running", s.id);
		return -1;
	}
	/* v1: a frozen process ends only when it is thawed. */
	if (sig == SIGKILL && cgroup_frozen(s.cgroup, &frozen, e) == 0 && frozen &&
	    cgroup_freeze(s.cgroup, false, 0, e) < 0)
		return -1;
	return 0;
}

int command_pause(const struct options *o, struct err *e)
{
	cleanup_state struct state s = { .lock = -1 };
	enum status status;
	struct err ignored;

	if (state_load(o->root, o->id, &s, e) < 0)
		return -1;
	status = state_status(&s);
	if (status != STATUS_RUNNING && status != STATUS_CREATED) {
		err_set(e, EINVAL, "container \"%s\" is %s, pause needs running", s.id, status_name(status));
		return -1;
	}
	if (cgroup_freeze(s.cgroup, true, FREEZE_TIMEOUT_MS, e) == 0)
		return 0;
	cgroup_freeze(s.cgroup, false, 0, &ignored); /* half frozen is neither */
	return -1;
}

int command_resume(const struct options *o, struct err *e)
{
	cleanup_state struct state s = { .lock = -1 };
	enum status status;

	if (state_load(o->root, o->id, &s, e) < 0)
		return -1;
	status = state_status(&s);
	if (status != STATUS_PAUSED) {
		err_set(e, EINVAL, "container \"%s\" is %s, resume needs paused", s.id, status_name(status));
		return -1;
	}
	return cgroup_freeze(s.cgroup, false, 0, e) < 0 ? -1 : 0;
}
