/* SPDX-License-Identifier: Apache-2.0 */
#include "shim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cgroup/cgroup.h"
#include "monitor/member_create.h"
#include "monitor/pod.h"
#include "monitor/session.h"
#include "monitor/shim_events.h"

/*
 * After its exit a container's output may still be on its way through the shim. Its end is the end of the FIFOs;
 * where something else holds them (a process that others' PID namespace keeps), this long after the exit.
 */
#define OUTPUT_WAIT_MS 3000
/* How long the end of a pod waits for what its shim left to die. */
#define END_WAIT_MS 5000

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* --- exits --- */

static bool outputs_ended(const struct member *m)
{
	return m->out[0].watch.fd < 0 && m->out[1].watch.fd < 0;
}

static void finish(struct member *m)
{
	loop_timer_stop(&m->output_wait);
	if (m->state == MEMBER_EXITED)
		return;
	m->state = MEMBER_EXITED;
	member_finish(m);
}

static void on_output_wait(struct timer *t)
{
	finish(container_of(t, struct member, output_wait));
}

void shim_output_ended(struct member *m)
{
	if (m->external && m->ended && outputs_ended(m))
		finish(m);
}

int exit_signal(int code)
{
	return code > 128 && code <= 128 + 64 ? code - 128 : 0;
}

/* What gVisor's shim gives for an end that it could not ask about: the sandbox was gone. */
#define SHIM_LOST 128

/* The first word on its end counts: an event, or what the daemon found out. */
static void member_ended(struct member *m, uint32_t code, int64_t at_ns)
{
	if (m->ended || m->state < MEMBER_CREATED)
		return;
	m->ended = true;
	/* Where its processes are not the host's, the kernel has killed the sandbox, with all that is in it. */
	if (m->oom_told && !m->pid && code == SHIM_LOST)
		code = 128 + SIGKILL;
	m->exit_code = (int)(code > 255 ? 255 : code);
	m->signal = exit_signal(m->exit_code);
	m->oom_killed = m->oom_told && code == 128 + SIGKILL;
	m->finished_ns = at_ns > m->started_ns ? at_ns : m->started_ns ? m->started_ns : now_ns();
	if (outputs_ended(m)) {
		finish(m);
		return;
	}
	m->output_wait.fire = on_output_wait;
	loop_timer(&m->output_wait, OUTPUT_WAIT_MS);
}

static void member_started(struct member *m)
{
	if (m->state != MEMBER_CREATED || m->ended)
		return;
	m->started_ns = now_ns();
	m->state = MEMBER_RUNNING;
}

static void take_event(const struct shim_event *event)
{
	struct member *m = member_find(event->container);
	cleanup_text struct text t = { 0 };

	if (!m || !m->external)
		return; /* the sandbox's own container, or one that is gone */
	switch (event->kind) {
	case SHIM_START:
		member_started(m);
		break;
	case SHIM_EXIT:
		if (event->exec[0])
			session_external_exited(m, event->exec, event->exit_status);
		else
			member_ended(m, event->exit_status, event->exited_ns ? event->exited_ns : now_ns());
		break;
	case SHIM_OOM:
		m->oom_told = true;
		text_str(&t, "{\"container\":");
		text_json(&t, m->id);
		text_str(&t, "}");
		conn_event("oom", &t);
		break;
	case SHIM_OTHER:
		break;
	}
}

/*
 * The pod's /dev/shm as a folder of the host, where a shim can bind it from: the one that the monitor holds in a
 * namespace of its own is out of its reach.
 */
static int mount_shm(struct err *e)
{
	char path[PATH_MAX], options[64];

	snprintf(path, sizeof(path), "%s/shm", pod.run_dir);
	snprintf(options, sizeof(options), "mode=1777,size=%llu",
		 (unsigned long long)(pod.shm_bytes ? pod.shm_bytes : 4096));
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_set(e, errno, "make folder \"%s\"", path);
	if (mount("shm", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		return err_set(e, errno, "mount the pod's /dev/shm at \"%s\"", path);
	return 0;
}

static void unmount(const char *folder, const char *name)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) < sizeof(path))
		umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
}

int shim_begin(struct err *e)
{
	if (mount_shm(e) < 0)
		return -e->code;
	if (shim_events_listen(pod.run_dir, "e.sock", take_event, e) == 0)
		return 0;
	unmount(pod.run_dir, "shm");
	return -e->code;
}

void shim_forget(struct member *m)
{
	char path[PATH_MAX];

	fifos_remove(m->bundle, "c");
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", m->bundle, m->id) < sizeof(path))
		unmount(path, "rootfs"); /* the shim's, unless it has done that */
}

/* --- requests --- */

/* The member of a request, when it is the shim's. */
static struct member *external_of(struct json_view params, struct reply *r)
{
	struct member *m = member_of(params, r);

	if (!m || m->external)
		return m;
	reply_refuse(r, KIND_FAILED_PRECONDITION, EBUSY, "container %s is %s, it has no part in the shim", m->id,
		     member_state_name(m));
	return NULL;
}

void shim_create_io(struct json_view params, struct reply *r)
{
	cleanup_text struct text t = { 0 };
	struct member *m = member_of(params, r);
	bool with_stdin = false;
	int fds[3];
	struct err e;

	if (!m)
		return;
	if (m->state != MEMBER_PREPARED || m->busy || m->deleting) {
		reply_refuse(r, KIND_ALREADY_EXISTS, EBUSY, "container %s is %s", m->id, member_state_name(m));
		return;
	}
	if (create_io_begin(m, params, &with_stdin, &e) < 0 ||
	    fifos_open(m->bundle, "c", m->tty, with_stdin, fds, &e) < 0) {
		output_end(m);
		reply_error(r, e.code == EINVAL ? KIND_INVALID_ARGUMENT : error_kind_of(e.code), &e);
		return;
	}
	/* The shim mounts the root filesystem itself: ours was for looking up its user. */
	if (m->mntns_fd >= 0)
		close(m->mntns_fd);
	m->mntns_fd = -1;
	m->external = true;
	m->state = MEMBER_CREATED;
	m->in.fd = fds[0];
	m->out[0].watch.fd = fds[1];
	m->out[1].watch.fd = fds[2];
	output_pause(m, false);
	text_str(&t, "{");
	fifos_describe(&t, m->bundle, "c", m->tty, with_stdin);
	text_str(&t, "}");
	reply_ok(r, t.at, t.len);
}

void shim_created(struct json_view params, struct reply *r)
{
	struct member *m = external_of(params, r);
	char cgroup[CGROUP_PATH_MAX];
	struct err e;
	uint64_t pid;

	if (!m)
		return;
	if (json_view_u64(json_view_get(params, "pid"), INT32_MAX, &pid) < 0 || pid < 2 ||
	    json_view_string(json_view_get(params, "cgroup"), cgroup, sizeof(cgroup)) < 0 || m->cgroup) {
		reply_refuse(r, KIND_INVALID_ARGUMENT, EINVAL, "created: \"pid\" or \"cgroup\"");
		return;
	}
	m->cgroup = strdup(cgroup);
	if (!m->cgroup) {
		err_set(&e, ENOMEM, "created");
		reply_error(r, KIND_RESOURCE_EXHAUSTED, &e);
		return;
	}
	m->child.pid = (pid_t)pid; /* told, never signalled: it is the shim's to reap */
	process_start_time(m->child.pid, m->start_time);
	reply_ok(r, "{}", 2);
}

void shim_started(struct json_view params, struct reply *r)
{
	cleanup_text struct text t = { 0 };
	struct member *m = external_of(params, r);

	if (!m)
		return;
	member_started(m);
	text_fmt(&t, "{\"started_at_ns\":\"%lld\"}", (long long)m->started_ns);
	reply_ok(r, t.at, t.len);
}

void shim_exited(struct json_view params, struct reply *r)
{
	struct json_view exec = json_view_get(params, "exec"), at = json_view_get(params, "finished_at_ns");
	struct member *m = external_of(params, r);
	char id[SHIM_ID_MAX + 1], stamp[24];
	uint64_t code;
	int64_t at_ns = 0;

	if (!m)
		return;
	if (json_view_u64(json_view_get(params, "exit_code"), UINT32_MAX, &code) < 0 ||
	    (exec.at && json_view_string(exec, id, sizeof(id)) < 0) ||
	    (at.at && json_view_string(at, stamp, sizeof(stamp)) < 0)) {
		reply_refuse(r, KIND_INVALID_ARGUMENT, EINVAL, "exited: \"exit_code\", \"exec\" or \"finished_at_ns\"");
		return;
	}
	if (at.at)
		at_ns = strtoll(stamp, NULL, 10);
	if (exec.at)
		session_external_exited(m, id, (uint32_t)code);
	else
		member_ended(m, (uint32_t)code, at_ns > 0 ? at_ns : now_ns());
	reply_ok(r, "{}", 2);
}

void shim_killing(struct json_view params, struct reply *r)
{
	struct member *m = external_of(params, r);

	if (!m)
		return;
	if (!m->ended)
		m->oom_told = false; /* what was killed for memory was not its first process: that still runs */
	reply_ok(r, "{}", 2);
}

/* --- the end of the pod --- */

/* Children of this process, as the kernel lists them; 0: none, or nobody can tell. */
static int children_of_mine(pid_t *pids, int max)
{
	char path[64], text[4096], *at = text, *next;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	if (io_read_small_at(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return 0;
	for (long pid = strtol(at, &next, 10); next != at && n < max; pid = strtol(at, &next, 10)) {
		if (pid > 0)
			pids[n++] = (pid_t)pid;
		at = next;
	}
	return n;
}

void shim_end(void)
{
	const struct timespec soon = { .tv_nsec = 2000000 };
	uint64_t end_ms = loop_now_ms() + END_WAIT_MS;
	struct err ignored;
	pid_t pids[256];
	sigset_t ended;
	int n;

	sigemptyset(&ended);
	sigaddset(&ended, SIGCHLD);
	shim_events_close();
	cgroup_kill_all(pod.shim_cgroup, &ignored);
	/* The shim's children become ours when it dies, and theirs after them. */
	while ((n = children_of_mine(pids, 256)) > 0 && loop_now_ms() < end_ms) {
		for (int i = 0; i < n; i++)
			if (pids[i] != pod.pause_pid)
				kill(pids[i], SIGKILL);
		for (int i = 0; i < n; i++)
			if (pids[i] != pod.pause_pid)
				waitpid(pids[i], NULL, WNOHANG);
		if (n == 1 && pids[0] == pod.pause_pid)
			break;
		sigtimedwait(&ended, NULL, &soon); /* blocked, as the loop has it */
	}
	unmount(pod.run_dir, "shm");
	shim_disk_end();
	if (cgroup_remove(pod.shim_cgroup, 1000, &ignored) < 0)
		dprintf(STDERR_FILENO, "kobako-monitor: cgroup %s of the shim stays: %s\n", pod.shim_cgroup, ignored.step);
}
