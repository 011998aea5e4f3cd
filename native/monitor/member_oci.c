/* SPDX-License-Identifier: Apache-2.0 */
#include "member_oci.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "container/container.h"
#include "monitor/pod.h"

/* A runner outlives the program's own time, so that it can clean up after it. */
#define GRACE_MS 30000
/* A program that failed gets this long to take back what it began. */
#define UNDO_MS 10000
/* Sources that are given to a container with the host's propagation. */
#define SHARES_MAX 64
/* Of the processes of one exec so many are found; the others end with the container. */
#define TREE_MAX 4096

static uint64_t limit_ms(void)
{
	return oci.timeout_ms + GRACE_MS;
}

static void note(const char *what, const struct err *e)
{
	dprintf(STDERR_FILENO, "kobako-monitor: %s: %s\n", what, e->step);
}

/* The place of everything that a sandboxed runtime starts. Before the mounts change: cgroups are opened by path. */
static int join_pod(struct err *e)
{
	struct cgroup_join join;
	int r;

	if (!oci.sandboxed)
		return 0;
	if (cgroup_join_open(pod.pod_cgroup, &join, e) < 0)
		return -e->code;
	r = cgroup_join_self(&join, true, e);
	cgroup_join_close(&join);
	return r;
}

static int enter(const struct member *m, struct err *e)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* without its monitor nobody waits for what the program makes */
	if (join_pod(e) < 0)
		return -e->code;
	if (m->mntns_fd >= 0 && setns(m->mntns_fd, CLONE_NEWNS) < 0)
		return err_set(e, errno, "enter the mount namespace of container %s", m->id);
	return 0;
}

/* --- create --- */

struct create_work {
	struct member *m;
	const struct stdio *stdio;
	struct json_view shares;
	struct json_view cgroup;
	int start_fd;
};

/* A tree that was cloned before the container's namespace was entered, and where it goes there. */
struct share {
	int tree;
	bool dir;
	char target[PATH_MAX];
};

static int clone_shares(struct json_view list, struct share *ret, int *ret_count, struct err *e)
{
	struct json_view key, item;
	char source[PATH_MAX];
	size_t pos = 0;
	struct stat st;
	int n = 0;

	while (json_view_next(list, &pos, &key, &item)) {
		if (n == SHARES_MAX)
			return err_set(e, EINVAL, "create: more than %d \"shares\"", SHARES_MAX);
		if (json_view_string(json_view_get(item, "source"), source, sizeof(source)) <= 0 ||
		    json_view_string(json_view_get(item, "target"), ret[n].target, PATH_MAX) <= 0)
			return err_set(e, EINVAL, "create: \"shares\" without source or target");
		ret[n].tree = sys_open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
		if (ret[n].tree < 0 || fstat(ret[n].tree, &st) < 0)
			return err_set(e, errno, "clone \"%s\"", source);
		ret[n++].dir = S_ISDIR(st.st_mode);
	}
	*ret_count = n;
	return 0;
}

static int attach(int tree, bool dir, const char *target, struct err *e)
{
	int fd;

	if (dir) {
		if (mkdir(target, 0700) < 0 && errno != EEXIST)
			return err_set(e, errno, "make folder \"%s\"", target);
	} else {
		fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return err_set(e, errno, "make file \"%s\"", target);
		close(fd);
	}
	if (sys_move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_set(e, errno, "attach \"%s\"", target);
	return 0;
}

/* The pod's namespaces as files <bundle>/ns/<kind>, seen in the container's mount namespace alone. */
static int bind_namespaces(const char *bundle, struct err *e)
{
	const struct {
		const char *kind;
		int fd;
	} list[] = { { "net", pod.net_fd }, { "ipc", pod.ipc_fd }, { "uts", pod.uts_fd }, { "pid", pod.pid_fd } };
	char path[PATH_MAX], source[64];

	snprintf(path, sizeof(path), "%s/ns", bundle);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_set(e, errno, "make folder \"%s\"", path);
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		int fd;

		if (list[i].fd < 0)
			continue;
		snprintf(path, sizeof(path), "%s/ns/%s", bundle, list[i].kind);
		fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0400);
		if (fd < 0)
			return err_set(e, errno, "make file \"%s\"", path);
		close(fd);
		snprintf(source, sizeof(source), "/proc/self/fd/%d", list[i].fd);
		if (mount(source, path, NULL, MS_BIND, NULL) < 0)
			return err_set(e, errno, "bind the pod's namespace to \"%s\"", path);
	}
	return 0;
}

static int make_place(const struct create_work *w, const char *cgroup, int *ret_cgroup, struct err *e)
{
	cleanup_free struct share *shares = calloc(SHARES_MAX + 1, sizeof(*shares));
	int count = 0;

	if (!shares)
		return err_set(e, ENOMEM, "create container %s", w->m->id);
	if (clone_shares(w->shares, shares, &count, e) < 0)
		return -e->code;
	if (w->m->shm) {
		snprintf(shares[count].target, PATH_MAX, "%s/shm", w->m->bundle);
		shares[count].dir = true;
		if (pod_clone_shm(&shares[count].tree, e) < 0)
			return -e->code;
		count++;
	}
	if (oci_hidden_cgroup(cgroup, ret_cgroup, e) < 0 || enter(w->m, e) < 0 || bind_namespaces(w->m->bundle, e) < 0)
		return -e->code;
	for (int i = 0; i < count; i++)
		if (attach(shares[i].tree, shares[i].dir, shares[i].target, e) < 0)
			return -e->code;
	return 0;
}

/* After a failure, whatever the program had come to. */
static void take_back(const char *id, const char *bundle, const char *cgroup)
{
	const char *argv[] = { "delete", "--force", id, NULL };
	const struct oci_run run = { argv, { -1, -1, -1 }, bundle, NULL, UNDO_MS, false, 0 };
	struct runner_report ignored = { 0 };
	struct err e;

	if (oci_has_state(id))
		oci_run(&run, NULL, &ignored);
	if (cgroup[0] && (cgroup_kill_all(cgroup, &e) < 0 || cgroup_remove(cgroup, 5000, &e) < 0))
		note("take back a container", &e);
	if (oci_remove_state(id, &e) < 0)
		note("take back a container", &e);
}

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
		raise(code - 128);
	}
	_exit(code);
}

static void __attribute__((noreturn)) stand_in_main(const struct create_work *w)
{
	const struct member *m = w->m;
	const char *start[] = { "start", m->id, NULL }, *wait[] = { "wait", m->id, NULL };
	const int *theirs = w->stdio->theirs;
	const struct oci_run run = { .argv = start, .stdio = { theirs[0], theirs[1], theirs[2] }, .folder = m->bundle };
	struct oci_run waiting = { .argv = wait, .stdio = { -1, -1, -1 }, .folder = m->bundle, .timeout_ms = OCI_FOR_EVER };
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
	for (int i = 0; i < 3; i++)
		if (theirs[i] >= 0)
			close(theirs[i]); /* the container has them */
	close(w->start_fd);
	if (pipe2(ends, O_CLOEXEC) < 0)
		end_as(128 + SIGKILL);
	waiting.stdio[1] = ends[1];
	code = oci_run(&waiting, NULL, &report) == 0 ? read_exit_status(ends[0]) : -1;
	/* Whose end can't be known went with its sandbox. */
	end_as(code < 0 ? 128 + SIGKILL : code);
}

static int stand_in(const struct create_work *w, struct runner_report *report)
{
	pid_t pid = fork();

	if (pid == 0)
		stand_in_main(w);
	if (pid < 0)
		return err_set(&report->e, errno, "fork the stand-in of container %s", w->m->id);
	close(w->start_fd);
	report->pid = pid;
	return 0;
}

static int run_create(const struct create_work *w, int cgroup_fd, struct runner_report *report, int *ret_master)
{
	const struct member *m = w->m;
	char pid_file[PATH_MAX];
	const char *argv[] = { "create", "--bundle", m->bundle, "--pid-file", pid_file, NULL, NULL, NULL, NULL };
	struct oci_run run = { argv,
			       { w->stdio->theirs[0], w->stdio->theirs[1], w->stdio->theirs[2] },
			       m->bundle,
			       NULL,
			       0,
			       false,
			       cgroup_fd };
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
	    (oci.sandboxed ? stand_in(w, report) : oci_read_pid(pid_file, &report->pid, &report->e)) < 0)
		return -report->e.code;
	if (m->tty && oci_console_take(console, ret_master, &report->e) < 0) {
		report->pid = 0; /* taken back below: nobody shall reap it */
		return -report->e.code;
	}
	return 0;
}

static int create_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	struct create_work *w = arg;
	int cgroup = 0;

	if (json_view_string(w->cgroup, report->cgroup, sizeof(report->cgroup)) < 0 || report->cgroup[0] != '/') {
		report->kind = KIND_INVALID_ARGUMENT;
		return err_set(&report->e, EINVAL, "create: \"cgroup\" is not an absolute path");
	}
	if (join_pod(&report->e) < 0)
		return -report->e.code;
	if (make_place(w, report->cgroup, &cgroup, &report->e) == 0 && run_create(w, cgroup, report, fd) == 0)
		return 0;
	take_back(w->m->id, w->m->bundle, report->cgroup);
	return -report->e.code;
}

int oci_create_begin(struct member *m, struct json_view params, const struct stdio *stdio, int start_fd,
		     runner_done done, struct err *e)
{
	struct create_work work = { m, stdio, json_view_get(params, "shares"), json_view_get(params, "cgroup"), start_fd };
	int keep[] = { stdio->theirs[0], stdio->theirs[1], stdio->theirs[2], m->mntns_fd, pod.net_fd,
		       pod.ipc_fd,	 pod.uts_fd,	   pod.pid_fd,	     pod.shm_fd, start_fd };
	char cgroup[RUNNER_CGROUP_MAX];

	/* Known before it is there: whoever cleans up after a runner that was killed needs it. */
	if (json_view_string(work.cgroup, cgroup, sizeof(cgroup)) < 0)
		return err_set(e, EINVAL, "create: \"cgroup\" is not a path");
	free(m->cgroup);
	m->cgroup = strdup(cgroup);
	if (!m->cgroup)
		return err_set(e, ENOMEM, "create container %s", m->id);
	return runner_start(create_work, &work, keep, sizeof(keep) / sizeof(keep[0]), limit_ms(), done, m, e);
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
	const struct oci_run run = { argv, { -1, -1, -1 }, w->m->bundle, NULL, 0, false, 0 };

	if (!w->option)
		argv[1] = w->m->id, argv[2] = NULL;
	if (enter(w->m, &report->e) < 0 ||
	    (w->content.at && write_file(w->m->bundle, w->value, w->content, &report->e) < 0))
		return -report->e.code;
	return oci_run(&run, NULL, report);
}

static int begin(const struct simple_work *work, runner_done done, struct err *e)
{
	int keep[] = { work->m->mntns_fd };
	struct simple_work copy = *work;

	return runner_start(simple_work, &copy, keep, 1, limit_ms(), done, work->m, e);
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

/* A sandbox takes no signal for a container that is paused, not even the last one. */
static void go_on(const struct member *m)
{
	const char *argv[] = { "resume", m->id, NULL };
	const struct oci_run run = { .argv = argv, .stdio = { -1, -1, -1 }, .folder = m->bundle };
	struct runner_report report = { 0 };

	if (oci.sandboxed && m->paused && oci_run(&run, NULL, &report) < 0)
		note("resume a container to end it", &report.e);
}

static int clean_up_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	const struct member *m = arg;

	take_back(m->id, m->bundle, m->cgroup ? m->cgroup : "");
	return 0;
}

int oci_clean_up_begin(struct member *m, runner_done done, struct err *e)
{
	return runner_start(clean_up_work, m, NULL, 0, limit_ms(), done, m, e);
}

static int delete_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	const struct member *m = arg;
	const char *forced[] = { "delete", "--force", m->id, NULL }, *plain[] = { "delete", m->id, NULL };
	/* With --force runc waits 100 ms for an end that has come already. In a sandbox it may not have. */
	const char *const *argv = oci.sandboxed ? forced : plain;
	const struct oci_run run = { argv, { -1, -1, -1 }, m->bundle, NULL, 0, false, 0 };
	struct err e;

	/* Its processes are gone already, and its mounts go with their namespace: what is left is its record. */
	if (enter(m, &report->e) == 0)
		go_on(m);
	if (report->e.code || oci_run(&run, NULL, report) < 0)
		note("delete a container", &report->e);
	if (oci_remove_state(m->id, &e) < 0)
		note("delete a container", &e);
	return 0;
}

int oci_delete_begin(struct member *m, runner_done done, struct err *e)
{
	int keep[] = { m->mntns_fd };

	return runner_start(delete_work, m, keep, 1, limit_ms(), done, m, e);
}

/* --- exec --- */

/* Below: how an exec is killed, and begun, where the container is no process. */
static int exec_sandboxed(const struct oci_exec *exec, const char *process, struct runner_report *report,
			  int *ret_master);

int oci_exec(const struct oci_exec *exec, struct runner_report *report, int *ret_master)
{
	const struct member *m = exec->m;
	char process[64], pid_file[64], socket[64];
	const char *argv[] = { "exec", "--detach", "--process", process, "--pid-file", pid_file, NULL, NULL, NULL, NULL };
	struct oci_run run = { argv, { exec->stdio[0], exec->stdio[1], exec->stdio[2] }, m->bundle, NULL, 0, false, 0 };
	cleanup_unlink const char *process_gone = process, *pid_file_gone = pid_file, *socket_gone = NULL;
	cleanup_fd int console = -1;
	int n = 6;

	snprintf(process, sizeof(process), "exec-%u.json", exec->number);
	snprintf(pid_file, sizeof(pid_file), "exec-%u.pid", exec->number);
	snprintf(socket, sizeof(socket), "exec-%u.tty", exec->number);
	if (oci_hidden_cgroup(m->cgroup ? m->cgroup : "", &run.cgroup_fd, &report->e) < 0 || enter(m, &report->e) < 0)
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

/* --- what is no process of the host --- */

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
	if (enter(w->m, &report->e) < 0)
		return -report->e.code;
	if (w->sig == SIGKILL)
		go_on(w->m);
	return oci_run(&run, NULL, report);
}

int oci_kill_begin(const struct member *m, int sig, bool all, runner_done done, void *owner, struct err *e)
{
	struct kill_work work = { m, sig, all, 0 };
	int keep[] = { m->mntns_fd };

	return runner_start(kill_work, &work, keep, 1, limit_ms(), done, owner, e);
}

static void exec_killed(void *owner, const struct runner_report *report, int fd, const struct text *body)
{
	if (report->e.code)
		note("kill an exec", &report->e); /* it may have ended by itself */
}

void oci_kill_exec(const struct member *m, unsigned int number)
{
	struct kill_work work = { m, SIGKILL, false, number };
	int keep[] = { m->mntns_fd };
	struct err e;

	if (runner_start(kill_work, &work, keep, 1, limit_ms(), exec_killed, NULL, &e) < 0)
		note("kill an exec", &e);
}

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
