/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kobako-monitor: one per pod. See README.md for the protocol.
 *
 *   daemon                    kobako-monitor
 *     spawn, request on stdin ->  seal, read, fork twice
 *     reap <- exit 0              |- namespaces, their pin, /dev/shm (sent to the monitor, then it ends)
 *                                 `- setsid, cgroup, fork
 *                                    `- the monitor: pause, socket
 *     <------ one JSON line on stdout, then its end
 *     connect ----------------> m.sock
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/seal.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "cgroup/systemd.h"
#include "monitor/conn.h"
#include "monitor/loop.h"
#include "monitor/mapped_layers.h"
#include "monitor/member.h"
#include "monitor/pod.h"
#include "monitor/runner.h"
#include "monitor/shim.h"
#include "monitor/shutdown.h"

#define REQUEST_MAX (1u << 20)
/* Of a system call's number; __X32_SYSCALL_BIT of the kernel's asm/unistd.h. */
#define X32_SYSCALL_BIT 0x40000000

static struct watch signals = { .fd = -1 };
static struct child pause_child;

/* One line for monitor.log. */
static void note(const struct err *e)
{
	char text[sizeof(e->step) + 128];

	dprintf(STDERR_FILENO, "kobako-monitor: %s\n", err_text(e, text, sizeof(text)));
}

/* The one line on stdout. Returns -1 when nobody reads it: then nobody knows of this pod. */
static int answer(const struct text *t)
{
	struct err e;

	return t->failed || io_write_all(STDOUT_FILENO, t->at, t->len, &e) < 0 ? -1 : 0;
}

static void answer_error(const struct err *e)
{
	cleanup_text struct text t = { 0 };
	char message[sizeof(e->step) + 128];

	note(e);
	text_fmt(&t, "{\"ok\":false,\"error\":{\"code\":%d,", e->code);
	/* A setting that the kernel refuses is a mistake of who asked for it. */
	if (strncmp(e->step, "sysctl ", 7) == 0 && error_kind_of(e->code) == KIND_INTERNAL)
		text_fmt(&t, "\"kind\":\"%s\",", error_kind_name(KIND_INVALID_ARGUMENT));
	text_str(&t, "\"message\":");
	text_json(&t, err_text(e, message, sizeof(message)));
	text_str(&t, "}}\n");
	answer(&t);
}

static int answer_ok(void)
{
	cleanup_text struct text t = { 0 };

	text_fmt(&t, "{\"ok\":true,\"protocol\":1,\"version\":\"%s\",\"pid\":%d,\"start_time\":\"%s\",\"pause_pid\":",
		 KOBAKO_VERSION, (int)getpid(), pod.start_time);
	if (pod.pause_pid)
		text_fmt(&t, "%d}\n", (int)pod.pause_pid);
	else
		text_str(&t, "null}\n");
	return answer(&t);
}

static void on_pause_exit(struct child *c, int status, int64_t at_ns)
{
	const struct text none = { .at = (char *)(uintptr_t)"{}", .len = 2 };

	pod.pause_pid = 0;
	conn_event("pause_exit", &none);
}

static void on_signal(struct watch *w, uint32_t events)
{
	struct signalfd_siginfo info;

	while (read(w->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			children_reap();
		else /* SIGTERM: the machine goes down, or somebody wants the pod to end */
			shutdown_begin(NULL);
	}
}

/* Everything but SIGCHLD and SIGTERM is of no meaning here; a storm of them must not end a pod. */
static int take_signals(struct err *e)
{
	static const int ignored[] = { SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGVTALRM, SIGPROF,
				       SIGTSTP, SIGTTIN, SIGTTOU, SIGIO, SIGPWR, SIGXCPU, SIGXFSZ };
	sigset_t set;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signals = (struct watch){ .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = on_signal };
	if (signals.fd < 0 || loop_watch(&signals, EPOLLIN) < 0)
		return err_set(e, errno, "signalfd");
	return 0;
}

/* Without the capability a low score is refused: the monitor then has the ordinary one. */
static void set_oom_score(int64_t score)
{
	struct err e;
	char text[16];
	int r;

	snprintf(text, sizeof(text), "%d", (int)score);
	r = io_write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", text);
	if (r < 0) {
		err_set(&e, -r, "set oom_score_adj %s", text);
		note(&e);
	}
}

static void null_stdio(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	dup2(null, fd);
	if (null > 2)
		close(null);
}

static void __attribute__((noreturn)) monitor(char *request, int sock)
{
	struct err e;

	prctl(PR_SET_NAME, "kobako-monitor");
	process_start_time(getpid(), pod.start_time);
	null_stdio(STDIN_FILENO);
	set_oom_score(pod.oom_score_adj);
	if (pod_finish(&pod, sock, &e) < 0) {
		answer_error(&e);
		_exit(1);
	}
	free(request);
	pod.sysctls = (struct json_view){ 0 };
	if (pod.pause_pid)
		child_add(&pause_child, pod.pause_pid, on_pause_exit);
	if (loop_open(&e) < 0 || take_signals(&e) < 0 || (pod.shim_cgroup && shim_begin(&e) < 0) ||
	    conn_listen(pod.run_dir, pod.socket, &e) < 0) {
		pod_give_back(&pod);
		answer_error(&e);
		_exit(1);
	}
	if (answer_ok() < 0) {
		shutdown_begin(NULL); /* the daemon is gone: nobody knows of this pod */
		_exit(1);
	}
	null_stdio(STDOUT_FILENO);
	if (!pod.shim_cgroup) /* a shim is to be started first */
		pod_await_moves(); /* meanwhile the pod gets its network, and its first container is asked for */
	if (loop_run(&e) < 0) {
		note(&e);
		_exit(1);
	}
	_exit(0);
}

/* A cgroup that can't be had costs the monitor its own place, not the pod its life. */
static void join_own_cgroup(struct cgroup_join *join)
{
	struct systemd_unit unit;
	struct cgroup_made made;
	struct err e;

	/* systemd moves us, and the monitor is born where we are. */
	if (pod.systemd_cgroup && (systemd_unit_of_path(pod.monitor_cgroup, &unit, &e) < 0 ||
				   systemd_start(&unit, NULL, NULL, getpid(), &e) < 0)) {
		memset(join, 0xff, sizeof(*join));
		note(&e);
		return;
	}
	if (cgroup_create(pod.monitor_cgroup, &made, &e) < 0 || cgroup_join_open(pod.monitor_cgroup, join, &e) < 0) {
		memset(join, 0xff, sizeof(*join)); /* all -1 */
		note(&e);
	} else if (cgroup_join_self(join, &e) < 0) {
		note(&e);
	}
}

/* Between spawn and monitor: leaves the daemon's session, and its cgroups while it has one thread. */
static void __attribute__((noreturn)) middle(char *request, int sock)
{
	struct cgroup_join join;
	struct err e;
	pid_t pid;

	setsid();
	join_own_cgroup(&join);
	pid = cgroup_fork(&join);
	if (pid == 0) {
		cgroup_join_close(&join);
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		monitor(request, sock);
	}
	if (pid < 0) {
		struct err why;

		err_set(&why, errno, "fork the monitor");
		if (pod_finish(&pod, sock, &e) == 0)
			pod_give_back(&pod);
		answer_error(&why);
	}
	_exit(pid < 0);
}

static int start(void)
{
	pid_t namespaces = 0, pid;
	char *request;
	struct err e;
	size_t len;
	int sock;

	if (io_read_all(STDIN_FILENO, REQUEST_MAX, &request, &len, &e) < 0 || pod_parse(&pod, request, len, &e) < 0 ||
	    pod_begin(&pod, &sock, &namespaces, &e) < 0) {
		answer_error(&e);
		return 1;
	}
	pid = fork();
	if (pid == 0)
		middle(request, sock);
	if (pid < 0) {
		struct err why;

		err_set(&why, errno, "fork");
		if (pod_finish(&pod, sock, &e) == 0)
			pod_give_back(&pod);
		answer_error(&why);
	}
	waitpid(namespaces, NULL, 0);
	return pid < 0;
}

static int unpin(const char *path)
{
	struct err e;

	if (pod_unpin(path, &e) == 0)
		return 0;
	note(&e);
	return 1;
}

static int stop_unit(const char *name)
{
	struct err e;

	if (systemd_stop(name, &e) == 0)
		return 0;
	note(&e);
	return 1;
}

/* Whether pods may have user namespaces here, with layers and snapshots in these two folders. */
static int probe_user_namespaces(const char *const folders[2])
{
	struct err e;

	if (mapped_layers_probe(folders, &e) == 0)
		return 0;
	note(&e);
	return 1;
}

/* Whether this kernel has the x32 ABI: 1 when it has not, or is no x86-64. */
static int probe_x32(void)
{
#ifdef __x86_64__
	return syscall(X32_SYSCALL_BIT | SYS_getpid) < 0 && errno == ENOSYS;
#else
	return 1;
#endif
}

/* What is left of a shim whose monitor is dead. */
static int end_cgroup(const char *path)
{
	char clean[CGROUP_PATH_MAX];
	struct err e;

	if (cgroup_path(path, "", clean, &e) == 0 && cgroup_kill_all(clean, &e) == 0 && cgroup_remove(clean, 5000, &e) == 0)
		return 0;
	note(&e);
	return 1;
}

/* A root filesystem that a shim mounted. Not there, or no mount, is success. */
static int unmount(const char *path)
{
	struct err e;

	for (int i = 0; i < 16; i++)
		if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0) {
			if (errno == EINVAL || errno == ENOENT)
				return 0;
			err_set(&e, errno, "unmount \"%s\"", path);
			note(&e);
			return 1;
		}
	return 0;
}

int main(int argc, char *argv[])
{
	struct err e;

	if (io_open_stdio(&e) < 0) {
		note(&e);
		return 1;
	}
	if (argc == 3 && strcmp(argv[1], "--unpin") == 0)
		return unpin(argv[2]);
	if (argc == 3 && strcmp(argv[1], "--end-cgroup") == 0)
		return end_cgroup(argv[2]);
	if (argc == 3 && strcmp(argv[1], "--stop-unit") == 0)
		return stop_unit(argv[2]);
	if (argc == 3 && strcmp(argv[1], "--unmount") == 0)
		return unmount(argv[2]);
	if (argc == 4 && strcmp(argv[1], "--probe-user-namespaces") == 0)
		return probe_user_namespaces((const char *[]){ argv[2], argv[3] });
	if (argc == 2 && strcmp(argv[1], "--probe-x32") == 0)
		return probe_x32();
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		dprintf(STDOUT_FILENO, "kobako-monitor %s\n", KOBAKO_VERSION);
		return 0;
	}
	if (argc != 1) {
		dprintf(STDERR_FILENO, "usage: kobako-monitor < request.json\n"
				       "       kobako-monitor --unpin PATH\n"
				       "       kobako-monitor --unmount PATH\n"
				       "       kobako-monitor --end-cgroup PATH\n"
				       "       kobako-monitor --probe-user-namespaces LAYERS SNAPSHOTS\n"
				       "       kobako-monitor --probe-x32\n"
				       "       kobako-monitor --version\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN); /* a daemon that died is an error of write */
	if (chdir("/") < 0)
		return 1;
	umask(027); /* a log is 0640; what must be tighter says so */
	/* Where the kernel refuses, the pod runs all the same; the program's file is then less protected. */
	if (seal_self(argv, (char *[]){ NULL }, &e) < 0)
		note(&e);
	prctl(PR_SET_DUMPABLE, 0);
	return start();
}
