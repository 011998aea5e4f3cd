/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joining a user namespace gives up the rights outside, for good, and hooks that run in the runtime's namespaces may see
 * nothing of the container's. A keeper is forked that stays: it attends to init, runs the hooks and undoes a failure, while
 * the runner goes in and clones init from there.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/trace.h"
#include "container/creation.h"

struct verdict {
	int code; /* 0, or negative with err */
	struct err err;
};

static void __attribute__((noreturn)) keep_outside(struct creation *c, const struct container_create *req, int link)
{
	struct verdict v = { 0 };

	trace_as("keeper");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(take_fd(&c->sync_init));
	if (recv(link, &c->pid, sizeof(c->pid), 0) != sizeof(c->pid) || io_recv_fd(link, &c->pidfd, &v.err) < 0)
		v.code = err_set(&v.err, EPROTO, "join namespaces");
	else
		v.code = creation_attend(c, req, &v.err);
	if (v.code < 0)
		creation_give_back(c, req);
	_exit(send(link, &v, sizeof(v), MSG_NOSIGNAL) < 0);
}

int creation_inside(struct creation *c, const struct container_create *req, struct err *e)
{
	struct verdict v = { 0 };
	int link[2], status;
	pid_t keeper;
	ssize_t n;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) < 0)
		return err_set(e, errno, "socket pair");
	keeper = fork();
	if (keeper == 0) {
		close(link[1]);
		keep_outside(c, req, link[0]);
	}
	close(link[0]);
	if (keeper < 0) {
		close(link[1]);
		return err_set(e, errno, "fork");
	}
	c->cgroup_made = c->rdt.made = c->rdt.monitor_made = false; /* the keeper's to undo */
	close(take_fd(&c->sync));
	c->sync = fcntl(2, F_DUPFD_CLOEXEC, 3); /* creation_clone closes it in the child */
	v.code = creation_enter(c, &v.err);
	if (v.code == 0 && c->ns[NS_USER] >= 0 && setns(c->ns[NS_USER], CLONE_NEWUSER) < 0)
		v.code = err_set(&v.err, errno, "join the user namespace \"%s\"", c->spec.ns[NS_USER].path);
	if (v.code == 0)
		v.code = creation_clone(c, req, &v.err);
	if (v.code == 0 && (send(link[1], &c->pid, sizeof(c->pid), MSG_NOSIGNAL) < 0 ||
			    io_send_fd(link[1], c->pidfd, &v.err) < 0))
		v.code = err_set(&v.err, EPIPE, "tell the keeper of the container's first process");
	if (v.code == 0) {
		do
			n = recv(link[1], &v, sizeof(v), 0);
		while (n < 0 && errno == EINTR);
		if (n != sizeof(v))
			v.code = err_set(&v.err, EPROTO, "the keeper of the outside ended without an answer");
	}
	close(link[1]);
	while (waitpid(keeper, &status, 0) < 0 && errno == EINTR)
		;
	if (v.code < 0)
		*e = v.err;
	return v.code;
}
