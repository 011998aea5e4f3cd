/* SPDX-License-Identifier: Apache-2.0 */
#include "member_create.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "container/container.h"
#include "monitor/pod.h"

#define RUNNER_LIMIT_MS 120000

/* Absolute, or absent where it may be; copied. */
static int take_path(struct json_view params, const char *key, bool optional, char **ret, struct err *e)
{
	struct json_view v = json_view_get(params, key);
	char buf[PATH_MAX];

	if (!v.at && optional)
		return 0;
	if (json_view_string(v, buf, sizeof(buf)) < 0 || buf[0] != '/')
		return err_set(e, EINVAL, "create: \"%s\" is not an absolute path", key);
	free(*ret);
	*ret = strdup(buf);
	return *ret ? 0 : err_set(e, ENOMEM, "create");
}

static int take_bool(struct json_view params, const char *key, bool *ret, struct err *e)
{
	struct json_view v = json_view_get(params, key);

	if (v.at && json_view_bool(v, ret) < 0)
		return err_set(e, EINVAL, "create: \"%s\" is neither true nor false", key);
	return 0;
}

struct create_work {
	struct member *m;
	const struct stdio *stdio;
	int start_fd;
};

/* The pod's /dev/shm: a clone of the root of the namespace that holds it, moved over /dev/shm of init. */
static int attach_shm(pid_t init, struct err *e)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	cleanup_fd int pidfd = sys_pidfd_open(init, 0);
	cleanup_fd int tree = -1;
	cleanup_fd int target = -1;

	if (pidfd < 0 || setns(pod.shm_fd, CLONE_NEWNS) < 0)
		return err_set(e, errno, "enter the namespace of /dev/shm");
	tree = sys_open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return err_set(e, errno, "clone the pod's /dev/shm");
	/* From here on "/" is the container's root. */
	if (setns(pidfd, CLONE_NEWNS) < 0)
		return err_set(e, errno, "enter the container's mount namespace");
	target = sys_openat2(AT_FDCWD, "/dev/shm", &how);
	if (target < 0 && errno == ENOENT) {
		cleanup_fd int dev = sys_openat2(AT_FDCWD, "/dev", &how);

		if (dev < 0 || mkdirat(dev, "shm", 0755) < 0)
			return err_set(e, errno, "make /dev/shm");
		target = sys_openat2(AT_FDCWD, "/dev/shm", &how);
	}
	if (target < 0)
		return err_set(e, errno, "open /dev/shm");
	if (sys_move_mount_fd(tree, target) < 0)
		return err_set(e, errno, "mount the pod's /dev/shm");
	return 0;
}

static int create_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	struct create_work *w = arg;
	struct container_create request = {
		.id = w->m->id,
		.bundle = w->m->bundle,
		.spec_path = w->m->spec,
		.mntns_fd = w->m->mntns_fd,
		.stdio = { w->stdio->theirs[0], w->stdio->theirs[1], w->stdio->theirs[2] },
		.console_sock = w->stdio->console_theirs,
		.start_fd = w->start_fd,
	};
	struct container_created made = { 0 };

	if (pod_enter(&pod, &report->e) < 0 || container_create(&request, &made, &report->e) < 0)
		return -1;
	report->pid = made.pid;
	memcpy(report->cgroup, made.cgroup, sizeof(report->cgroup));
	return w->m->shm ? attach_shm(made.pid, &report->e) : 0;
}

int create_begin(struct member *m, struct json_view params, runner_done done, struct err *e)
{
	bool with_stdin = false;
	struct stdio stdio;
	struct create_work work = { .m = m, .stdio = &stdio };
	int pair[2], r;

	if (take_path(params, "bundle", false, &m->bundle, e) < 0 || take_path(params, "spec", false, &m->spec, e) < 0 ||
	    take_path(params, "log_path", true, &m->log_path, e) < 0 ||
	    take_path(params, "log_root", true, &m->log_root, e) < 0 ||
	    take_path(params, "exit_file", false, &m->exit_file, e) < 0 || take_bool(params, "tty", &m->tty, e) < 0 ||
	    take_bool(params, "stdin", &with_stdin, e) < 0 || take_bool(params, "stdin_once", &m->stdin_once, e) < 0 ||
	    take_bool(params, "shm", &m->shm, e) < 0)
		return -e->code;
	if (m->log_path && cri_log_open(&m->log, m->log_root, m->log_path, e) < 0)
		return -e->code;
	if (stdio_open(&stdio, m->tty, with_stdin, e) < 0)
		return -e->code;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		err_set(e, errno, "start socket");
		stdio_close_theirs(&stdio);
		stdio_close_ours(&stdio);
		return -e->code;
	}
	work.start_fd = pair[1];
	{
		int keep[] = { stdio.theirs[0], stdio.theirs[1], stdio.theirs[2], stdio.console_theirs, pair[1],
			       m->mntns_fd, pod.net_fd, pod.ipc_fd, pod.uts_fd, pod.pid_fd, pod.shm_fd };

		r = runner_start(create_work, &work, keep, sizeof(keep) / sizeof(keep[0]), RUNNER_LIMIT_MS, done, m, e);
	}
	stdio_close_theirs(&stdio);
	close(pair[1]);
	if (r < 0) {
		close(pair[0]);
		stdio_close_ours(&stdio);
		return r;
	}
	m->start.fd = pair[0];
	m->in.fd = m->tty ? (with_stdin ? -2 : -1) : stdio.ours[0];
	/* Until create_finish the console socket takes the place of the master. */
	m->out[0].watch.fd = m->tty ? stdio.console_ours : stdio.ours[1];
	m->out[1].watch.fd = stdio.ours[2];
	return 0;
}

int create_finish(struct member *m, struct err *e)
{
	struct stdio stdio = { { -1, -1, -1 }, { -1, -1, -1 }, -1, -1 };
	bool with_stdin = m->in.fd == -2;
	int r;

	if (!m->tty)
		return 0;
	stdio.console_ours = m->out[0].watch.fd;
	r = stdio_take_console(&stdio, with_stdin, e);
	m->out[0].watch.fd = stdio.ours[1];
	m->in.fd = stdio.ours[0];
	if (r < 0 && stdio.console_ours >= 0)
		close(stdio.console_ours);
	return r;
}

struct update_work {
	struct member *m;
	struct json_view resources;
};

static int update_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	struct update_work *w = arg;
	struct jnode node;
	json_t *json;

	report->kind = KIND_INVALID_ARGUMENT;
	if (json_parse(w->resources.at, w->resources.len, &json, &report->e) < 0)
		return -1;
	node = json_top(json, "resources");
	if (cgroup_update(w->m->cgroup, &node, &report->e) < 0) {
		if (report->e.code != EINVAL)
			report->kind = error_kind_of(report->e.code);
		return -1;
	}
	return 0;
}

int update_begin(struct member *m, struct json_view params, runner_done done, struct err *e)
{
	struct update_work work = { m, json_view_get(params, "resources") };

	if (json_view_kind(work.resources) != '{')
		return err_set(e, EINVAL, "update: \"resources\" is not an object");
	if (!m->cgroup || !m->cgroup[0])
		return err_set(e, ENOTSUP, "update: container %s has no cgroup", m->id);
	return runner_start(update_work, &work, NULL, 0, RUNNER_LIMIT_MS, done, m, e);
}
