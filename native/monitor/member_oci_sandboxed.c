/* SPDX-License-Identifier: Apache-2.0 */
/* Containers whose processes are no processes of the host: who stands in for them, how signals reach them, what they use. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "container/container.h"
#include "monitor/member_oci_internal.h"

/* Of what `events` says: a line for one container. */
#define USAGE_MAX 65536
/* Between one `wait` that was killed and the next. */
#define WAIT_AGAIN_MS 100

/* Stdout of `wait`: {"id":"...","exitStatus":N}. -1: it does not say. */
static int read_exit_status(int fd)
{
	struct json_view v;
	char text[4096];
	ssize_t n = read(fd, text, sizeof(text));
	uint64_t code;

	if (n <= 0 || json_view_parse(text, (size_t)n, &v) < 0 ||
	    json_view_u64(json_view_get(v, "exitStatus"), 255, &code) < 0)
		return -1;
	return (int)code;
}

/* Ends as the container did: by its signal, or with its code. */
static void __attribute__((noreturn)) end_as(int code)
{
	const struct rlimit no_core = { 0, 0 };

	if (code > 128 && code < 128 + NSIG) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(code - 128, SIG_DFL);
		kill(getpid(), code - 128); /* not raise: see cgroup_fork */
	}
	_exit(code);
}

static void __attribute__((noreturn)) stand_in_main(const struct oci_create *w)
{
	const struct member *m = w->m;
	const char *start[] = { "start", m->id, NULL }, *wait[] = { "wait", m->id, NULL };
	const int *theirs = w->stdio->theirs;
	const struct oci_run run = { .argv = start, .stdio = { theirs[0], theirs[1], theirs[2] }, .folder = m->bundle };
	/* Spared: the process that `start` left, through which the container reaches its files. */
	struct oci_run waiting = { .argv = wait,
				   .stdio = { -1, -1, -1 },
				   .folder = m->bundle,
				   .timeout_ms = OCI_FOR_EVER,
				   .spares = true };
	struct runner_report report = { 0 };
	int ends[2], code;
	char ask;

	/* The runner that made it ends now. A lost monitor closes the start socket; later the pod's cgroup is killed. */
	prctl(PR_SET_NAME, "kobako-stand-in");
	if (recv(w->start_fd, &ask, 1, 0) != 1)
		_exit(0); /* never started */
	if (oci_run(&run, NULL, &report) < 0) {
		container_start_refuse(w->start_fd, &report.e);
		_exit(128);
	}
	oci_keep_record(m);
	for (int i = 0; i < 3; i++)
		if (theirs[i] >= 0)
			close(theirs[i]); /* the container has them */
	close(w->start_fd);
	if (pipe2(ends, O_CLOEXEC) < 0)
		end_as(128 + SIGKILL);
	waiting.stdio[1] = ends[1];
	/* It may be killed for the memory of its pod, and what it waits for lives on. */
	while ((code = oci_run(&waiting, NULL, &report)) < 0 && report.killed) {
		report = (struct runner_report){ 0 };
		poll(NULL, 0, WAIT_AGAIN_MS);
		oci_mend_record(m);
	}
	code = code == 0 ? read_exit_status(ends[0]) : -1;
	/* Whose end can't be known went with its sandbox. */
	end_as(code < 0 ? 128 + SIGKILL : code);
}

int oci_stand_in(const struct oci_create *w, struct runner_report *report)
{
	pid_t pid = oci_fork();

	if (pid == 0)
		stand_in_main(w);
	if (pid < 0)
		return err_set(&report->e, errno, "fork the stand-in of container %s", w->m->id);
	close(w->start_fd);
	report->pid = pid;
	return 0;
}

/* A sandbox takes no signal for a container that is paused, not even the last one. */
void oci_go_on(const struct member *m)
{
	const char *argv[] = { "resume", m->id, NULL };
	const struct oci_run run = { .argv = argv, .stdio = { -1, -1, -1 }, .folder = m->bundle };
	struct runner_report report = { 0 };

	if (oci.sandboxed && m->paused && oci_run(&run, NULL, &report) < 0)
		oci_note("resume a container to end it", &report.e);
}


struct kill_work {
	const struct member *m;
	int sig;
	bool all;
	unsigned int exec; /* 0: the container */
};

static int kill_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	const struct kill_work *w = arg;
	char number[16], path[PATH_MAX], pid[32];
	const char *argv[] = { "kill", NULL, NULL, NULL, NULL, NULL };
	const struct oci_run run = { .argv = argv, .stdio = { -1, -1, -1 }, .folder = w->m->bundle };
	int n = 1;

	snprintf(number, sizeof(number), "%d", w->sig);
	if (w->exec) {
		ssize_t len;

		snprintf(path, sizeof(path), "%s/exec-%u.inner", w->m->bundle, w->exec);
		len = io_read_small_at(AT_FDCWD, path, pid, sizeof(pid));
		if (len <= 0)
			return err_set(&report->e, ESRCH, "exec %u of container %s has no pid", w->exec, w->m->id);
		argv[n++] = "--pid";
		argv[n++] = pid;
	} else if (w->all) {
		argv[n++] = "--all";
	}
	argv[n++] = w->m->id;
	argv[n] = number;
	if (oci_enter(w->m, &report->e) < 0)
		return -report->e.code;
	if (w->sig == SIGKILL)
		oci_go_on(w->m);
	return oci_run(&run, NULL, report);
}

int oci_kill_begin(const struct member *m, int sig, bool all, runner_done done, void *owner, struct err *e)
{
	struct kill_work work = { m, sig, all, 0 };
	int keep[] = { m->mntns_fd };

	return runner_start(kill_work, &work, keep, 1, oci_limit_ms(), done, owner, e);
}

static void exec_killed(void *owner, const struct runner_report *report, int fd, const struct text *body)
{
	if (report->e.code)
		oci_note("kill an exec", &report->e); /* it may have ended by itself */
}

void oci_kill_exec(const struct member *m, unsigned int number)
{
	struct kill_work work = { m, SIGKILL, false, number };
	int keep[] = { m->mntns_fd };
	struct err e;

	if (runner_start(kill_work, &work, keep, 1, oci_limit_ms(), exec_killed, NULL, &e) < 0)
		oci_note("kill an exec", &e);
}

/* --- what it uses --- */

static int usage_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	const struct member *m = arg;
	const char *argv[] = { "events", "--stats", m->id, NULL };
	cleanup_fd int out = memfd_create("usage", MFD_CLOEXEC);
	const struct oci_run run = { .argv = argv, .stdio = { -1, out, -1 }, .folder = m->bundle };
	char text[USAGE_MAX];
	ssize_t n;

	if (out < 0)
		return err_set(&report->e, errno, "usage of container %s", m->id);
	/* Not in the pod's cgroup: its memory is for the pod, not for those who look at it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (oci_run(&run, NULL, report) < 0)
		return -report->e.code;
	n = pread(out, text, sizeof(text), 0);
	if (n < 0 || n == (ssize_t)sizeof(text))
		return err_set(&report->e, OCI_SAID, "%s events: not as many bytes as expected", oci.path);
	text[n] = '\0';
	text_str(body, "{\"text\":");
	text_json(body, text);
	text_str(body, "}");
	return 0;
}

int oci_usage_begin(struct member *m, runner_done done, void *owner, struct err *e)
{
	return runner_start(usage_work, m, NULL, 0, oci_limit_ms(), done, owner, e);
}
