/* SPDX-License-Identifier: Apache-2.0 */
/* Execs in the containers of an external runtime: how one begins, and how all of it ends. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cgroup/cgroup.h"
#include "monitor/member_oci_internal.h"
#include "monitor/pod.h"

/* Of the processes of one exec so many are found; the others end with the container. */
#define TREE_MAX 4096

/* A terminal of ours: *ret_slave becomes the program's stdio. */
static int open_pty(int *ret_master, int *ret_slave, struct err *e)
{
	cleanup_fd int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	char name[64];

	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 || ptsname_r(master, name, sizeof(name)) != 0)
		return err_set(e, errno, "make a terminal");
	*ret_slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*ret_slave < 0)
		return err_set(e, errno, "open terminal \"%s\"", name);
	*ret_master = take_fd(&master);
	return 0;
}

/* The program stays, in the foreground, and ends as the process does. */
static int exec_sandboxed(const struct oci_exec *exec, const char *process, struct runner_report *report,
			  int *ret_master)
{
	char pid_file[64], inner[64];
	const char *argv[] = { "exec",	 "--process",	      process, "--pid-file", pid_file,
			       "--internal-pid-file", inner,	exec->m->id, NULL };
	struct oci_run run = { .argv = argv,
			       .stdio = { exec->stdio[0], exec->stdio[1], exec->stdio[2] },
			       .folder = exec->m->bundle,
			       .ready = pid_file,
			       .tty = exec->tty };
	cleanup_unlink const char *pid_file_gone = pid_file;
	cleanup_fd int slave = -1;
	int master = -1;

	snprintf(pid_file, sizeof(pid_file), "exec-%u.pid", exec->number);
	snprintf(inner, sizeof(inner), "exec-%u.inner", exec->number);
	if (exec->tty) {
		if (open_pty(&master, &slave, &report->e) < 0)
			return -report->e.code;
		run.stdio[0] = run.stdio[1] = run.stdio[2] = slave;
	}
	if (oci_run(&run, &report->pid, report) < 0) {
		if (master >= 0)
			close(master);
		return -report->e.code;
	}
	*ret_master = master;
	return 0;
}

int oci_exec(const struct oci_exec *exec, struct runner_report *report, int *ret_master)
{
	const struct member *m = exec->m;
	char process[64], pid_file[64], socket[64];
	const char *argv[] = { "exec", "--detach", "--process", process, "--pid-file", pid_file, NULL, NULL, NULL, NULL };
	const int *stdio = exec->stdio;
	const struct oci_run run = { .argv = argv, .stdio = { stdio[0], stdio[1], stdio[2] }, .folder = m->bundle };
	cleanup_unlink const char *process_gone = process, *pid_file_gone = pid_file, *socket_gone = NULL;
	cleanup_fd int console = -1;
	int n = 6;

	pod_await_moves();
	snprintf(process, sizeof(process), "exec-%u.json", exec->number);
	snprintf(pid_file, sizeof(pid_file), "exec-%u.pid", exec->number);
	snprintf(socket, sizeof(socket), "exec-%u.tty", exec->number);
	if (oci_hidden_cgroup(m->cgroup ? m->cgroup : "", &report->e) < 0 || oci_enter(m, &report->e) < 0)
		return -report->e.code;
	if (chdir(m->bundle) < 0)
		return err_set(&report->e, errno, "enter \"%s\"", m->bundle);
	if (io_write_atomic_at(AT_FDCWD, process, exec->process.at, exec->process.len, 0600, &report->e) < 0)
		return -report->e.code;
	if (oci.sandboxed)
		return exec_sandboxed(exec, process, report, ret_master);
	if (exec->tty) {
		if (oci_console_listen(socket, &console, &report->e) < 0)
			return -report->e.code;
		socket_gone = socket;
		argv[n++] = "--console-socket";
		argv[n++] = socket;
	}
	argv[n] = m->id;
	if (oci_run(&run, NULL, report) < 0 || oci_read_pid(pid_file, &report->pid, &report->e) < 0)
		return -report->e.code;
	if (exec->tty && oci_console_take(console, ret_master, &report->e) < 0) {
		kill(report->pid, SIGKILL);
		report->pid = 0;
		return -report->e.code;
	}
	return 0;
}

/* ppid and session of a process; false when it is gone. */
static bool read_kin(pid_t pid, pid_t *ret_parent, pid_t *ret_session)
{
	char path[64], text[1024], *p;
	int parent, session;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (io_read_small_at(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return false;
	p = pid > 0 ? strrchr(text, ')') : NULL;
	if (!p || sscanf(p + 1, " %*c %d %*d %d", &parent, &session) != 2)
		return false;
	*ret_parent = parent;
	*ret_session = session;
	return true;
}

/* Descendants of the marked that are not marked yet, and members of the session `pid`: stopped and marked. */
static bool stop_more(const pid_t *pids, size_t count, pid_t pid, pid_t *marked, size_t *marked_count)
{
	bool found = false;

	for (size_t i = 0; i < count && *marked_count < TREE_MAX; i++) {
		pid_t parent, session;
		bool kin = false, known = false;

		if (!read_kin(pids[i], &parent, &session))
			continue;
		kin = session == pid;
		for (size_t j = 0; j < *marked_count; j++) {
			known |= marked[j] == pids[i];
			kin |= marked[j] == parent;
		}
		if (known || !kin || kill(pids[i], SIGSTOP) < 0)
			continue;
		marked[(*marked_count)++] = pids[i];
		found = true;
	}
	return found;
}

void oci_kill_tree(const struct member *m, pid_t pid)
{
	cleanup_free pid_t *marked = calloc(TREE_MAX, sizeof(*marked));
	size_t marked_count = 0;
	struct err ignored;
	bool more = true;

	/* Stopped first: who is stopped forks no more, and keeps its children until all of them are found. */
	if (marked && kill(pid, SIGSTOP) == 0)
		marked[marked_count++] = pid;
	while (marked && more) {
		cleanup_free pid_t *pids = NULL;
		size_t count = 0;

		if (!m->cgroup || cgroup_pids(m->cgroup, &pids, &count, &ignored) < 0)
			break;
		for (size_t i = 0; i < count; i++)
			if (pids[i] == m->pid)
				pids[i] = 0;
		more = stop_more(pids, count, pid, marked, &marked_count);
	}
	for (size_t i = 0; i < marked_count; i++)
		kill(marked[i], SIGKILL);
}
