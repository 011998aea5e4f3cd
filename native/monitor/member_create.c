/* SPDX-License-Identifier: Apache-2.0 */
#include "member_create.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
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
#include "monitor/member_oci.h"
#include "monitor/pod.h"
#include "spec/spec.h"

#define RUNNER_LIMIT_MS 120000
/* An hour of output is the most that a power cut may take. */
#define LOG_FLUSH_MS_MAX 3600000
#define LOG_FLUSH_BYTES_MAX (1 << 20)

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

/* {"interval_ms": N, "bytes": N}, both at least 1; absent: each line is written at once. */
static int take_log_flush(struct member *m, struct json_view params, struct err *e)
{
	struct json_view v = json_view_get(params, "log_flush");
	uint64_t interval_ms, bytes;

	m->log.buffer_max = 0;
	if (!v.at)
		return 0;
	if (json_view_u64(json_view_get(v, "interval_ms"), LOG_FLUSH_MS_MAX, &interval_ms) < 0 || interval_ms == 0 ||
	    json_view_u64(json_view_get(v, "bytes"), LOG_FLUSH_BYTES_MAX, &bytes) < 0 || bytes == 0)
		return err_set(e, EINVAL, "create: \"log_flush\" has no interval_ms of 1 to %d or no bytes of 1 to %d",
			       LOG_FLUSH_MS_MAX, LOG_FLUSH_BYTES_MAX);
	m->log_flush_ms = interval_ms;
	m->log.buffer_max = bytes;
	return 0;
}

struct create_work {
	struct member *m;
	const struct stdio *stdio;
	int start_fd;
};

/* Into monitor.log: what was asked for and left out where that is allowed. */
static void warn(const char *text)
{
	dprintf(STDERR_FILENO, "kobako-monitor: %s\n", text);
}

static int create_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	struct create_work *w = arg;
	struct container_create request = {
		.id = w->m->id,
		.bundle = w->m->bundle,
		.spec_path = w->m->spec,
		.mntns_fd = w->m->mntns_fd,
		.userns_fd = pod.user_fd,
		.stdio = { w->stdio->theirs[0], w->stdio->theirs[1], w->stdio->theirs[2] },
		.console_sock = w->stdio->console_theirs,
		.start_fd = w->start_fd,
		.known_fd = -1, /* the start socket ends with us */
		.find_at_start = true,
		.systemd_cgroup = pod.systemd_cgroup,
		.warn = warn,
	};
	struct container_tree shm = { .destination = "/dev/shm", .fd = -1 };
	struct container_created made = { 0 };

	if (w->m->shm) {
		if (pod_clone_shm(&shm.fd, &report->e) < 0)
			return -1;
		request.trees = &shm;
		request.tree_count = 1;
	}
	umask(022); /* the container's, who keeps what we have; not the monitor's */
	if (pod_enter(&pod, &report->e) < 0 || container_create(&request, &made, &report->e) < 0)
		return -1;
	/* From now on init alone holds it, so that its end tells of init, not of this runner. */
	close(w->start_fd);
	report->pid = made.pid;
	memcpy(report->cgroup, made.cgroup, sizeof(report->cgroup));
	text_put(body, (const char *)&made.bound, sizeof(made.bound));
	return 0;
}

int create_io_begin(struct member *m, struct json_view params, bool *ret_stdin, struct err *e)
{
	if (take_path(params, "bundle", false, &m->bundle, e) < 0 ||
	    take_path(params, "log_path", true, &m->log_path, e) < 0 ||
	    take_path(params, "log_root", true, &m->log_root, e) < 0 ||
	    take_path(params, "exit_file", false, &m->exit_file, e) < 0 || take_bool(params, "tty", &m->tty, e) < 0 ||
	    take_bool(params, "stdin", ret_stdin, e) < 0 || take_bool(params, "stdin_once", &m->stdin_once, e) < 0 ||
	    take_log_flush(m, params, e) < 0)
		return -e->code;
	return m->log_path ? cri_log_open(&m->log, m->log_root, m->log_path, e) : 0;
}

/* By the external runtime: its program makes the terminal, and its init waits by itself. */
static int begin_external(struct member *m, struct json_view params, bool with_stdin, runner_done done, struct err *e)
{
	struct stdio stdio = { { -1, -1, -1 }, { -1, -1, -1 }, -1, -1 };
	int r, pair[2] = { -1, -1 };

	if (!m->tty && stdio_open(&stdio, false, with_stdin, e) < 0)
		return -e->code;
	if (oci.sandboxed && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		r = err_set(e, errno, "start socket");
	else
		r = oci_create_begin(m, params, &stdio, pair[1], done, e);
	stdio_close_theirs(&stdio);
	if (pair[1] >= 0)
		close(pair[1]);
	m->start.fd = pair[0];
	if (r < 0) {
		loop_close(&m->start);
		stdio_close_ours(&stdio);
		return r;
	}
	m->in.fd = m->tty ? (with_stdin ? -2 : -1) : stdio.ours[0];
	m->out[0].watch.fd = stdio.ours[1];
	m->out[1].watch.fd = stdio.ours[2];
	return 0;
}

int create_begin(struct member *m, struct json_view params, runner_done done, struct err *e)
{
	bool with_stdin = false;
	struct stdio stdio;
	struct create_work work = { .m = m, .stdio = &stdio };
	int pair[2], r;

	if (take_path(params, "spec", false, &m->spec, e) < 0 || take_bool(params, "shm", &m->shm, e) < 0 ||
	    create_io_begin(m, params, &with_stdin, e) < 0)
		return -e->code;
	if (oci.path)
		return begin_external(m, params, with_stdin, done, e);
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
			       m->mntns_fd, pod.net_fd, pod.ipc_fd, pod.uts_fd, pod.pid_fd, pod.shm_fd,
			       pod.user_fd };

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

static int clean_up_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	const struct member *m = arg;

	/* Claimed or not: nobody else has use for a cgroup by the container's id in the pod's. */
	return container_discard(m->id, m->spec, pod.systemd_cgroup, true, &report->e);
}

int clean_up_begin(struct member *m, runner_done done, struct err *e)
{
	if (oci.path)
		return oci_clean_up_begin(m, done, e);
	return runner_start(clean_up_work, m, NULL, 0, RUNNER_LIMIT_MS, done, m, e);
}

int create_finish(struct member *m, struct err *e)
{
	struct stdio stdio = { { -1, -1, -1 }, { -1, -1, -1 }, -1, -1 };
	bool with_stdin = m->in.fd == -2;
	int r;

	if (!m->tty)
		return 0;
	if (oci.path) {
		stdio.ours[1] = m->out[0].watch.fd;
		r = stdio_take_master(&stdio, with_stdin, e);
		m->in.fd = stdio.ours[0];
		return r;
	}
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
	if (container_update(w->m->cgroup, pod.systemd_cgroup, &node, warn, &report->e) < 0) {
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
	if (oci.path)
		return oci_update_begin(m, work.resources, done, e);
	if (!m->cgroup || !m->cgroup[0])
		return err_set(e, ENOTSUP, "update: container %s has no cgroup", m->id);
	return runner_start(update_work, &work, NULL, 0, RUNNER_LIMIT_MS, done, m, e);
}

struct freeze_work {
	struct member *m;
	bool pause;
};

#define FREEZE_LIMIT_MS 10000

static int freeze_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	struct freeze_work *w = arg;
	struct err ignored;

	if (cgroup_freeze(w->m->cgroup, w->pause, FREEZE_LIMIT_MS, &report->e) == 0)
		return 0;
	if (w->pause) /* half frozen is neither */
		cgroup_freeze(w->m->cgroup, false, 0, &ignored);
	return -1;
}

int freeze_begin(struct member *m, bool pause, runner_done done, struct err *e)
{
	struct freeze_work work = { m, pause };

	if (oci.path)
		return oci_freeze_begin(m, pause ? "pause" : "resume", done, e);
	if (!m->cgroup || !m->cgroup[0])
		return err_set(e, ENOTSUP, "pause: container %s has no cgroup", m->id);
	return runner_start(freeze_work, &work, NULL, 0, RUNNER_LIMIT_MS, done, m, e);
}
