/* SPDX-License-Identifier: Apache-2.0 */
#include "pause.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "cgroup/systemd.h"
#include "monitor/pod_user.h"

static int enter(const struct pod *p, struct err *e)
{
	if ((p->ipc_fd >= 0 && setns(p->ipc_fd, CLONE_NEWIPC) < 0) || (p->uts_fd >= 0 && setns(p->uts_fd, CLONE_NEWUTS) < 0) ||
	    (p->net_fd >= 0 && setns(p->net_fd, CLONE_NEWNET) < 0) || setns(p->shm_fd, CLONE_NEWNS) < 0 ||
	    (p->user_fd >= 0 && setns(p->user_fd, CLONE_NEWUSER) < 0))
		return err_set(e, errno, "enter the pod's namespaces");
	return 0;
}

/*
 * PID 1 of the pod's PID namespace. Reaps, and does nothing else until it is killed: all signals are
 * blocked, so what containers send to PID 1 has no effect. Its root is the pod's /dev/shm, it has no
 * capability and no descriptor, and the containers that see it can't look into it (not dumpable).
 */
static void __attribute__((noreturn)) pause_main(const struct pod *p, const struct cgroup_join *cgroup, int ready)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { 0 };
	struct err e = { 0 };
	sigset_t all, child;

	prctl(PR_SET_NAME, "pause");
	setsid();
	if (cgroup && cgroup_join_self(cgroup, &e) < 0)
		goto out;
	if (p->user_fd >= 0 ? pod_user_become_root(&e) < 0 : enter(p, &e) < 0)
		goto out;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0);
	if (syscall(SYS_capset, &header, none) < 0)
		err_set(&e, errno, "drop capabilities");
out:
	if (write(ready, &e, sizeof(e)) != (ssize_t)sizeof(e) || e.code)
		_exit(1);
	sys_close_range(0, UINT_MAX, 0);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		sigwaitinfo(&child, NULL);
	}
}

/*
 * The PID namespace belongs to the user namespace in which it is made: a child goes there and clones pause, which is
 * our child all the same. Its cgroup is entered with the rights of the outside.
 */
static pid_t clone_from_inside(const struct pod *p, struct sys_clone_args args, const struct cgroup_join *cgroup, int ready,
			       struct err *e)
{
	struct {
		pid_t pid;
		struct err e;
	} told = { .pid = -1 };
	int link[2];
	pid_t helper;

	if (pipe2(link, O_CLOEXEC) < 0)
		return err_set(e, errno, "pipe to the one that clones it");
	helper = fork();
	if (helper == 0) {
		args.flags |= CLONE_PARENT;
		args.exit_signal = 0; /* our parent's, as clone3(2) demands */
		if (enter(p, &told.e) == 0 && (told.pid = sys_clone3(&args)) < 0)
			err_set(&told.e, errno, "clone");
		if (told.pid == 0)
			pause_main(p, cgroup, ready);
		_exit(write(link[1], &told, sizeof(told)) != (ssize_t)sizeof(told));
	}
	close(link[1]);
	if (helper < 0 || read(link[0], &told, sizeof(told)) != (ssize_t)sizeof(told))
		err_set(&told.e, EPROTO, "the one that clones it ended");
	close(link[0]);
	while (helper > 0 && waitpid(helper, NULL, 0) < 0 && errno == EINTR)
		;
	*e = told.e;
	return told.pid;
}

static int clone_pause(struct pod *p, const struct cgroup_join *cgroup, struct err *e)
{
	struct sys_clone_args args = { .flags = CLONE_NEWPID, .exit_signal = SIGCHLD };
	cleanup_fd int from = -1;
	struct err theirs;
	char path[64];
	int ready[2];
	ssize_t n;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return err_set(e, errno, "pipe to the pause process");
	from = ready[0];
	if (cgroup && cgroup->v2 >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup->v2;
	}
	if (p->user_fd >= 0)
		pid = clone_from_inside(p, args, cgroup, ready[1], e);
	else if ((pid = sys_clone3(&args)) < 0)
		err_set(e, errno, "clone");
	if (pid == 0)
		pause_main(p, cgroup, ready[1]);
	close(ready[1]);
	if (pid < 0)
		return err_wrap(e, "start the pause process");
	p->pause_pid = pid;
	do
		n = read(from, &theirs, sizeof(theirs));
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(theirs))
		err_set(&theirs, EPROTO, "it ended");
	if (theirs.code) {
		*e = theirs;
		return err_wrap(e, "start the pause process");
	}
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
	p->pid_fd = open(path, O_RDONLY | O_CLOEXEC);
	return p->pid_fd < 0 ? err_set(e, errno, "open the pod's PID namespace") : 0;
}

int pause_start(struct pod *p, struct err *e)
{
	struct cgroup_join join;
	int r;

	if (!p->pod_cgroup)
		return clone_pause(p, NULL, e);
	if (pod_make_cgroup(p, e) < 0 || cgroup_join_open(p->pod_cgroup, &join, e) < 0)
		return err_wrap(e, "cgroup of the pause process");
	r = clone_pause(p, &join, e);
	systemd_end_waiter(&p->waiter);
	cgroup_join_close(&join);
	return r;
}
