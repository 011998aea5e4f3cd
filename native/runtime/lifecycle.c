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
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "container/container.h"
#include "runtime/commands.h"
#include "runtime/state.h"
#include "spec/spec.h"

enum { START_TIMEOUT_MS = 60000 };

int wait_for_exit(int pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 255;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int write_pid_file(const char *path, int pid, struct err *e)
{
	cleanup_free char *copy = path ? strdup(path) : NULL;
	cleanup_fd int dir = -1;
	char text[16], *slash;

	if (!path)
		return 0;
	slash = copy ? strrchr(copy, '/') : NULL;
	if (slash)
		*slash = '\0';
	dir = open(!slash ? "." : slash == copy ? "/" : copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_set(e, errno, "pid file \"%s\"", path);
	snprintf(text, sizeof(text), "%d", pid);
	return io_write_atomic_at(dir, slash ? slash + 1 : path, text, strlen(text), 0644, e);
}

int console_connect(const char *path, int *ret_fd, struct err *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_fd int fd = -1;

	*ret_fd = -1;
	if (!path)
		return 0;
	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(e, ENAMETOOLONG, "console socket \"%s\"", path);
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_set(e, errno, "console socket \"%s\"", path);
	*ret_fd = take_fd(&fd);
	return 0;
}

struct answer {
	struct err err;
	struct container_created created;
};

/* container_create in a child of its own: it changes namespaces, and init becomes our child, not its. */
static int create_in_runner(const struct container_create *req, struct container_created *ret, struct err *e)
{
	struct answer a = { 0 };
	int pair[2], status;
	ssize_t n;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "socket pair");
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		container_create(req, &a.created, &a.err);
		if (send(pair[1], &a, sizeof(a), MSG_NOSIGNAL) < 0)
			_exit(1);
		_exit(0);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return err_set(e, errno, "fork");
	}
	do
		n = recv(pair[0], &a, sizeof(a), 0);
	while (n < 0 && errno == EINTR);
	close(pair[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n != sizeof(a)) {
		struct err ignored;

		container_discard(req->id, req->spec_path, req->systemd_cgroup, &ignored);
		return err_set(e, EPROTO, "the runner ended without an answer");
	}
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
static int keep_config(const struct state *s, struct err *e)
{
	cleanup_fd int dir = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_free char *from = path_join(s->bundle, "config.json"), *text = NULL;
	size_t len;

	if (dir < 0 || !from)
		return err_set(e, dir < 0 ? errno : ENOMEM, "open \"%s\"", s->dir);
	if (io_read_file_at(AT_FDCWD, from, SPEC_MAX_BYTES, &text, &len, e) < 0)
		return -e->code;
	return io_write_atomic_at(dir, "config.json", text, len, 0600, e);
}

static void stamp(char *buf, size_t size)
{
	struct timespec t;
	struct tm tm;
	char seconds[24];

	clock_gettime(CLOCK_REALTIME, &t);
	strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", gmtime_r(&t.tv_sec, &tm));
	snprintf(buf, size, "%s.%09uZ", seconds, (unsigned int)t.tv_nsec % 1000000000u);
}

static int create_with(const struct options *o, struct state *s, struct err *e)
{
	struct container_create req = { .id = s->id, .bundle = s->bundle, .spec_path = s->config, .mntns_fd = -1,
					.stdio = { 0, 1, 2 }, .console_sock = -1, .start_fd = -1,
					.warn = command_warn };
	cleanup_fd int start = -1, console = -1;
	struct container_created created = { 0 };
	struct err ignored;

	if (keep_config(s, e) < 0 || console_connect(o->console_socket, &console, e) < 0 ||
	    state_socket(s, true, &start, e) < 0)
		return -e->code;
	req.console_sock = console;
	req.systemd_cgroup = o->systemd_cgroup;
	req.systemd_annotations = true;
	req.start_fd = start;
	if (create_in_runner(&req, &created, e) < 0)
		return -e->code;
	s->pid = created.pid;
	s->start_time = process_start_time(created.pid);
	memcpy(s->cgroup, created.cgroup, sizeof(s->cgroup));
	s->systemd = o->systemd_cgroup;
	stamp(s->created, sizeof(s->created));
	if (state_save(s, e) == 0 && write_pid_file(o->pid_file, s->pid, e) == 0)
		return 0;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	container_cgroup_remove(s->cgroup, s->systemd, 1000, &ignored);
	return -e->code;
}

static int create(const struct options *o, struct state *s, struct err *e)
{
	char bundle[PATH_MAX];
	struct err ignored;

	if (state_open(o->root, o->id, s, e) < 0)
		return -e->code;
	if (!realpath(o->bundle ? o->bundle : ".", bundle))
		return err_set(e, errno, "bundle \"%s\"", o->bundle ? o->bundle : ".");
	strcpy(s->bundle, bundle);
	if (state_make(o->root, s, e) < 0)
		return -e->code;
	if (create_with(o, s, e) < 0) {
		state_remove(s, &ignored);
		return -e->code;
	}
	return 0;
}

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
	if (container_start(fd, START_TIMEOUT_MS, e) < 0)
		return -e->code;
	if (container_hooks(s->config, "poststart", s->id, s->bundle, "running", s->pid, e) < 0) {
		kill(s->pid, SIGKILL);
		return -e->code;
	}
	return 0;
}

int command_create(const struct options *o, struct err *e)
{
	struct state s;

	return create(o, &s, e) < 0 ? -1 : 0;
}

int command_start(const struct options *o, struct err *e)
{
	struct state s;

	return state_load(o->root, o->id, &s, e) < 0 || start(&s, e) < 0 ? -1 : 0;
}

static pid_t forward_to;

static void forward(int sig)
{
	kill(forward_to, sig);
}

int command_run(const struct options *o, struct err *e)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	struct options gone = *o;
	struct err ignored;
	struct state s;
	int code;

	if (create(o, &s, e) < 0)
		return -1;
	gone.force = true;
	if (start(&s, e) < 0) {
		command_delete(&gone, &ignored);
		return -1;
	}
	if (o->detach)
		return 0;
	forward_to = s.pid;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], forward);
	code = wait_for_exit(s.pid);
	return command_delete(&gone, e) < 0 ? -1 : code;
}
