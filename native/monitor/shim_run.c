/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a shim's program once (`start`, `delete`): what it says comes back, what it leaves behind is ours to reap. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "monitor/hex.h"
#include "monitor/pod.h"
#include "monitor/shim.h"

#define WORDS_MAX 256
#define WORD_MAX 8192
/* Of each output; more is dropped. */
#define OUTPUT_MAX 65536
#define INPUT_MAX 65536
#define LIMIT_MS_MAX 600000

/* --- the log that shims write to a FIFO in their folder --- */

/* A shim that talks without end must not fill the run folder. */
#define LOG_MAX (256u << 10)

static struct watch shim_log = { .fd = -1 };
static size_t logged;

static void on_log(struct watch *w, uint32_t events)
{
	char bytes[4096];
	ssize_t n = read(w->fd, bytes, sizeof(bytes));

	if (n <= 0 || logged >= LOG_MAX)
		return;
	logged += (size_t)n;
	if (write(STDERR_FILENO, bytes, (size_t)n) < 0 || logged >= LOG_MAX)
		dprintf(STDERR_FILENO, "kobako-monitor: the shim's log goes on, and is dropped from here on\n");
}

/* Held open both ways: the shim's open finds a reader, and its end is no end for the next one. */
static int open_log(const char *path, struct err *e)
{
	loop_close(&shim_log);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set(e, errno, "remove \"%s\"", path);
	if (mkfifo(path, 0600) < 0)
		return err_set(e, errno, "make fifo \"%s\"", path);
	shim_log = (struct watch){ .fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW), .ready = on_log };
	if (shim_log.fd < 0 || loop_watch(&shim_log, EPOLLIN) < 0)
		return err_set(e, errno, "open fifo \"%s\"", path);
	return 0;
}

/* --- the runner --- */

struct run_work {
	struct json_view params;
	int mntns_fd; /* of the container it is to run in; -1: the host's */
};

/* Copies a list of strings: in a runner, whose memory goes with it. */
static int take_words(struct json_view params, const char *key, char **words, struct err *e)
{
	struct json_view list = json_view_get(params, key), name, value;
	static char buf[WORD_MAX];
	size_t pos = 0;
	int n = 0;

	while (json_view_kind(list) == '[' && json_view_next(list, &pos, &name, &value)) {
		if (n == WORDS_MAX || json_view_string(value, buf, sizeof(buf)) < 0)
			return err_set(e, EINVAL, "run: \"%s\" is not a list of at most %d texts", key, WORDS_MAX);
		words[n] = strdup(buf);
		if (!words[n++])
			return err_set(e, ENOMEM, "run");
	}
	words[n] = NULL;
	return n;
}

/* The bytes of a text of hex digits as a file at its beginning. */
static int input_file(struct json_view hex, struct err *e)
{
	cleanup_fd int fd = memfd_create("stdin", MFD_CLOEXEC);
	static uint8_t bytes[INPUT_MAX];
	ssize_t n = hex.at ? hex_take(hex, bytes, INPUT_MAX) : 0;

	if (fd < 0)
		return err_set(e, errno, "run: standard input");
	if (n < 0)
		return err_set(e, (int)-n, "run: \"stdin\" is not hex of at most %d bytes", INPUT_MAX);
	if (n && io_write_all(fd, bytes, (size_t)n, e) < 0)
		return -e->code;
	lseek(fd, 0, SEEK_SET);
	return take_fd(&fd);
}

static void __attribute__((noreturn)) run_child(char **argv, char **env, const char *cwd, const int fds[3])
{
	int code;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* the runner may run out of time */
	setpgid(0, 0);
	for (int i = 0; i < 3; i++)
		dup2(fds[i], i);
	sys_close_range(3, UINT_MAX, 0);
	if (chdir(cwd) == 0)
		execve(argv[0], argv, env);
	code = errno;
	dprintf(STDERR_FILENO, "%s: %s", argv[0], strerror(code));
	_exit(code == ENOENT ? 127 : 126);
}

struct capture {
	int fd;
	char *bytes;
	size_t len;
};

/* Reads what is there. False at the end. */
static bool capture(struct capture *c)
{
	char waste[4096];
	size_t room = OUTPUT_MAX - c->len;
	ssize_t n = room ? read(c->fd, c->bytes + c->len, room) : read(c->fd, waste, sizeof(waste));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n > 0 && room)
		c->len += (size_t)n;
	return n > 0;
}

/* Until the program ends: what it left running may hold its outputs for ever. */
static int wait_for(pid_t pid, struct capture out[2], int *ret_status, struct err *e)
{
	cleanup_fd int pidfd = sys_pidfd_open(pid, 0);
	struct pollfd p[3] = { { out[0].fd, POLLIN, 0 }, { out[1].fd, POLLIN, 0 }, { pidfd, POLLIN, 0 } };

	if (pidfd < 0)
		return err_set(e, errno, "run: pidfd");
	do {
		if (poll(p, 3, -1) < 0 && errno != EINTR)
			return err_set(e, errno, "run: poll");
		for (int i = 0; i < 2; i++)
			if (p[i].revents && !capture(&out[i]))
				p[i].fd = -1;
	} while (!p[2].revents);
	for (int i = 0; i < 2; i++)
		for (int turn = 0; turn < 32 && p[i].fd >= 0; turn++) {
			struct pollfd rest = { p[i].fd, POLLIN, 0 };

			if (poll(&rest, 1, 0) != 1 || !capture(&out[i]))
				break;
		}
	while (waitpid(pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "run: wait");
	return 0;
}

/* The runner's own in v1; the program is forked into that of v2. */
static int join_cgroup(struct cgroup_join *ret, struct err *e)
{
	struct cgroup_made made;

	if (cgroup_create(pod.shim_cgroup, &made, e) < 0 || cgroup_join_open(pod.shim_cgroup, ret, e) < 0)
		return err_wrap(e, "cgroup of the shim");
	return cgroup_join_self(ret, e);
}

static int run_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	struct run_work *w = arg;
	static char *argv[WORDS_MAX + 1], *env[WORDS_MAX + 1];
	static char bytes[2][OUTPUT_MAX];
	struct capture out[2] = { { -1, bytes[0], 0 }, { -1, bytes[1], 0 } };
	char cwd[PATH_MAX];
	struct cgroup_join join;
	int pipes[2][2], status = 0, input;
	cleanup_child pid_t pid = -1;

	report->kind = KIND_INVALID_ARGUMENT;
	if (take_words(w->params, "argv", argv, &report->e) < 1 || take_words(w->params, "env", env, &report->e) < 0)
		return report->e.code ? -1 : err_set(&report->e, EINVAL, "run: \"argv\" is empty");
	if (json_view_string(json_view_get(w->params, "cwd"), cwd, sizeof(cwd)) < 0 || cwd[0] != '/')
		return err_set(&report->e, EINVAL, "run: \"cwd\" is not an absolute path");
	input = input_file(json_view_get(w->params, "stdin"), &report->e);
	if (input < 0)
		return -1;
	report->kind = KIND_INTERNAL;
	if (join_cgroup(&join, &report->e) < 0)
		return -1;
	if (w->mntns_fd >= 0 && setns(w->mntns_fd, CLONE_NEWNS) < 0)
		return err_set(&report->e, errno, "run: enter the container's mount namespace");
	for (int i = 0; i < 2; i++)
		if (pipe2(pipes[i], O_CLOEXEC) < 0)
			return err_set(&report->e, errno, "run: pipe");
	pid = cgroup_fork(&join);
	if (pid == 0)
		run_child(argv, env, cwd, (int[]){ input, pipes[0][1], pipes[1][1] });
	if (pid < 0)
		return err_set(&report->e, errno, "run: fork");
	/* The shim's start: a container follows. Not before that fork, which would wait, too. */
	if (json_view_get(w->params, "log").at)
		pod_hold_moves();
	for (int i = 0; i < 2; i++) {
		close(pipes[i][1]);
		out[i].fd = pipes[i][0];
	}
	if (wait_for(pid, out, &status, &report->e) < 0)
		return -1;
	pid = -1;
	text_fmt(body, "{\"exit_code\":%d,\"stdout\":\"", WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	hex_put(body, out[0].bytes, out[0].len);
	text_str(body, "\",\"stderr\":\"");
	hex_put(body, out[1].bytes, out[1].len);
	text_str(body, "\"}");
	return 0;
}

void shim_run(struct json_view params, struct reply *r)
{
	struct run_work work = { params, -1 };
	struct json_view log = json_view_get(params, "log");
	uint64_t limit_ms = 0;
	char path[PATH_MAX];
	struct err e;

	if (json_view_u64(json_view_get(params, "limit_ms"), LIMIT_MS_MAX, &limit_ms) < 0 || limit_ms == 0) {
		reply_refuse(r, KIND_INVALID_ARGUMENT, EINVAL, "run: \"limit_ms\" is not between 1 and %d", LIMIT_MS_MAX);
		return;
	}
	if (log.at && (json_view_string(log, path, sizeof(path)) < 0 || path[0] != '/')) {
		reply_refuse(r, KIND_INVALID_ARGUMENT, EINVAL, "run: \"log\" is not an absolute path");
		return;
	}
	if (json_view_get(params, "container").at) {
		struct member *m = member_of(params, r);

		if (!m)
			return;
		if (m->state != MEMBER_PREPARED || m->mntns_fd < 0 || m->deleting) {
			reply_refuse(r, KIND_FAILED_PRECONDITION, EBUSY, "run: container %s is %s", m->id,
				     member_state_name(m));
			return;
		}
		work.mntns_fd = m->mntns_fd;
	}
	if ((log.at && open_log(path, &e) < 0) ||
	    runner_start(run_work, &work, &work.mntns_fd, 1, limit_ms, reply_report, r, &e) < 0)
		reply_error(r, error_kind_of(e.code), &e);
}
