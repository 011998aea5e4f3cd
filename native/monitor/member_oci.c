/* SPDX-License-Identifier: Apache-2.0 */
#include "member_oci.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cgroup/cgroup.h"
#include "container/container.h"
#include "monitor/member_oci_internal.h"
#include "monitor/pod.h"

/* A runner outlives the program's own time, so that it can clean up after it. */
#define GRACE_MS 30000
/* A program that failed gets this long to take back what it began. */
#define UNDO_MS 10000

uint64_t oci_limit_ms(void)
{
	return oci.timeout_ms + GRACE_MS;
}

void oci_note(const char *what, const struct err *e)
{
	dprintf(STDERR_FILENO, "kobako-monitor: %s: %s\n", what, e->step);
}

/* --- create --- */

/* After a failure, whatever the program had come to. */
static void take_back(const char *id, const char *bundle, const char *cgroup)
{
	const char *argv[] = { "delete", "--force", id, NULL };
	const struct oci_run run = { .argv = argv, .stdio = { -1, -1, -1 }, .folder = bundle, .timeout_ms = UNDO_MS };
	struct runner_report ignored = { 0 };
	struct err e;

	if (oci_has_state(id))
		oci_run(&run, NULL, &ignored);
	if (cgroup[0] && (cgroup_kill_all(cgroup, &e) < 0 || container_cgroup_remove(cgroup, oci.systemd, 5000, &e) < 0))
		oci_note("take back a container", &e);
	if (oci_remove_state(id, &e) < 0)
		oci_note("take back a container", &e);
}

static int run_create(const struct oci_create *w, struct runner_report *report, int *ret_master)
{
	const struct member *m = w->m;
	char pid_file[PATH_MAX];
	const char *argv[] = { "create", "--bundle", pod.user_fd >= 0 ? OCI_OPEN_BUNDLE : m->bundle, "--pid-file", pid_file, NULL, NULL, NULL, NULL };
	const int *theirs = w->stdio->theirs;
	const struct oci_run run = { .argv = argv, .stdio = { theirs[0], theirs[1], theirs[2] }, .folder = m->bundle };
	cleanup_fd int console = -1;
	int n = 5;

	snprintf(pid_file, sizeof(pid_file), "%s/pid", m->bundle);
	if (chdir(m->bundle) < 0)
		return err_set(&report->e, errno, "enter \"%s\"", m->bundle);
	if (m->tty) {
		if (oci_console_listen("console", &console, &report->e) < 0)
			return -report->e.code;
		argv[n++] = "--console-socket";
		argv[n++] = "console";
	}
	argv[n] = m->id;
	if (oci_run(&run, NULL, report) < 0 ||
	    (oci.sandboxed ? oci_stand_in(w, report) : oci_read_pid(pid_file, &report->pid, &report->e)) < 0)
		return -report->e.code;
	if (m->tty && oci_console_take(console, ret_master, &report->e) < 0) {
		report->pid = 0; /* taken back below: nobody shall reap it */
		return -report->e.code;
	}
	return 0;
}

static int create_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	struct oci_create *w = arg;

	if (json_view_string(w->cgroup, report->cgroup, sizeof(report->cgroup)) < 0 || report->cgroup[0] != '/') {
		report->kind = KIND_INVALID_ARGUMENT;
		return err_set(&report->e, EINVAL, "create: \"cgroup\" is not an absolute path");
	}
	if (oci_join_pod(&report->e) < 0)
		return -report->e.code;
	if (oci_make_place(w, report->cgroup, &report->e) == 0 && run_create(w, report, fd) == 0) {
		oci_keep_record(w->m);
		return 0;
	}
	take_back(w->m->id, w->m->bundle, report->cgroup);
	return -report->e.code;
}

int oci_create_begin(struct member *m, struct json_view params, const struct stdio *stdio, int start_fd,
		     runner_done done, struct err *e)
{
	struct oci_create work = { m, stdio, json_view_get(params, "shares"), json_view_get(params, "cgroup"), start_fd };
	int keep[] = { stdio->theirs[0], stdio->theirs[1], stdio->theirs[2], m->mntns_fd, pod.net_fd,
		       pod.ipc_fd,	 pod.uts_fd,	   pod.pid_fd,	     pod.shm_fd, pod.user_fd, start_fd };
	char cgroup[RUNNER_CGROUP_MAX];

	/* Known before it is there: whoever cleans up after a runner that was killed needs it. */
	if (json_view_string(work.cgroup, cgroup, sizeof(cgroup)) < 0)
		return err_set(e, EINVAL, "create: \"cgroup\" is not a path");
	free(m->cgroup);
	m->cgroup = strdup(cgroup);
	if (!m->cgroup)
		return err_set(e, ENOMEM, "create container %s", m->id);
	return runner_start(create_work, &work, keep, sizeof(keep) / sizeof(keep[0]), oci_limit_ms(), done, m, e);
}

/* --- runs without a result --- */

struct simple_work {
	struct member *m;
	const char *verb, *option, *value; /* option NULL: none */
	struct json_view content;          /* of the file `value` in the bundle; absent: there is none */
};

static int write_file(const char *folder, const char *name, struct json_view content, struct err *e)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return io_write_atomic_at(AT_FDCWD, path, content.at, content.len, 0600, e);
}

static int simple_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	const struct simple_work *w = arg;
	const char *argv[] = { w->verb, w->option ? w->option : w->m->id, w->value, w->m->id, NULL };
	const struct oci_run run = { .argv = argv, .stdio = { -1, -1, -1 }, .folder = w->m->bundle };

	if (!w->option)
		argv[1] = w->m->id, argv[2] = NULL;
	if (oci_enter(w->m, &report->e) < 0 ||
	    (w->content.at && write_file(w->m->bundle, w->value, w->content, &report->e) < 0) ||
	    oci_run(&run, NULL, report) < 0)
		return -report->e.code;
	oci_keep_record(w->m);
	return 0;
}

static int begin(const struct simple_work *work, runner_done done, struct err *e)
{
	int keep[] = { work->m->mntns_fd };
	struct simple_work copy = *work;

	return runner_start(simple_work, &copy, keep, 1, oci_limit_ms(), done, work->m, e);
}

int oci_start_begin(struct member *m, runner_done done, struct err *e)
{
	const struct simple_work work = { .m = m, .verb = "start" };

	return begin(&work, done, e);
}

int oci_freeze_begin(struct member *m, const char *verb, runner_done done, struct err *e)
{
	const struct simple_work work = { .m = m, .verb = verb };

	return begin(&work, done, e);
}

int oci_update_begin(struct member *m, struct json_view resources, runner_done done, struct err *e)
{
	const struct simple_work work = {
		.m = m, .verb = "update", .option = "--resources", .value = "update.json", .content = resources
	};

	return begin(&work, done, e);
}

/* --- the end --- */

static int clean_up_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	const struct member *m = arg;

	take_back(m->id, m->bundle, m->cgroup ? m->cgroup : "");
	return 0;
}

int oci_clean_up_begin(struct member *m, runner_done done, struct err *e)
{
	return runner_start(clean_up_work, m, NULL, 0, oci_limit_ms(), done, m, e);
}

static int delete_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	const struct member *m = arg;
	const char *forced[] = { "delete", "--force", m->id, NULL }, *plain[] = { "delete", m->id, NULL };
	/* With --force runc waits 100 ms for an end that has come already. In a sandbox it may not have. */
	const char *const *argv = oci.sandboxed ? forced : plain;
	const struct oci_run run = { .argv = argv, .stdio = { -1, -1, -1 }, .folder = m->bundle };
	struct err e;

	/* Its processes are gone already, and its mounts go with their namespace: what is left is its record. */
	if (oci_enter(m, &report->e) == 0)
		oci_go_on(m);
	if (report->e.code || oci_run(&run, NULL, report) < 0) {
		oci_note("delete a container", &report->e);
		/* In a sandbox it may still run, and nobody else can end it there. */
		if (oci.sandboxed && oci_has_state(m->id))
			return -report->e.code;
	}
	if (oci_remove_state(m->id, &e) < 0)
		oci_note("delete a container", &e);
	return 0;
}

int oci_delete_begin(struct member *m, runner_done done, struct err *e)
{
	int keep[] = { m->mntns_fd };

	return runner_start(delete_work, m, keep, 1, oci_limit_ms(), done, m, e);
}
