/* SPDX-License-Identifier: Apache-2.0 */
#include "pod_user.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "container/container.h"
#include "monitor/sysctl.h"

int pod_user_become_root(struct err *e)
{
	/* The raw calls: the C library would signal threads that a cloned process does not have. */
	if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
		return err_set(e, errno, "become root of the pod's user namespace");
	return 0;
}

/* Waits for its map, then answers once. What it is in lives on by the descriptors of others. */
static void __attribute__((noreturn)) inside(const struct pod *p, int sock)
{
	struct err e = { 0 };
	char word;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (recv(sock, &word, 1, 0) != 1)
		_exit(1);
	if (pod_user_become_root(&e) == 0)
		pod_sysctls(p->sysctls, p->network == NS_POD, p->ipc == NS_POD, &e);
	send(sock, &e, sizeof(e), MSG_NOSIGNAL);
	for (;;)
		pause();
}

int pod_user_make(const struct pod *p, int flags, int *ret_user, struct err *e)
{
	struct spec_idmap line = p->id_map;
	struct spec_idmaps maps = { &line, &line, 1, 1 };
	cleanup_fd int process = -1, sock = -1, user = -1;
	struct sys_clone_args args = { .flags = CLONE_NEWUSER | CLONE_PIDFD | (uint64_t)(unsigned int)flags,
				       .pidfd = (uint64_t)(uintptr_t)&process, .exit_signal = SIGCHLD };
	cleanup_child pid_t child = -1;
	struct err theirs;
	char path[40];
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "socket into the pod's user namespace");
	child = sys_clone3(&args);
	if (child == 0)
		inside(p, pair[1]);
	sock = pair[0];
	close(pair[1]);
	if (child < 0)
		return err_set(e, errno, "make the pod's user namespace");
	if (userns_map(child, &maps, e) < 0)
		return err_wrap(e, "the pod's user namespace");
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)child);
	user = open(path, O_RDONLY | O_CLOEXEC);
	if (user < 0)
		return err_set(e, errno, "open %s", path);
	if (send(sock, "", 1, MSG_NOSIGNAL) != 1 || recv(sock, &theirs, sizeof(theirs), 0) != (ssize_t)sizeof(theirs))
		return err_set(e, EPROTO, "set up the pod's user namespace: the child ended");
	if (theirs.code) {
		*e = theirs;
		return -e->code;
	}
	if (flags && setns(process, flags) < 0)
		return err_set(e, errno, "enter the pod's namespaces");
	*ret_user = take_fd(&user);
	return 0;
}
