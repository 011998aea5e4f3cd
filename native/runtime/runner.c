/* SPDX-License-Identifier: Apache-2.0 */
/* What changes namespaces is done by a child that reports once and ends. */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/trace.h"
#include "runtime/commands.h"

int in_runner(void (*work)(const void *request, void *answer), const void *request, void *answer, size_t size, struct err *e)
{
	cleanup_fd int ours = -1;
	int pair[2], status;
	ssize_t n;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "socket pair");
	ours = pair[0];
	pid = fork();
	if (pid == 0) {
		trace_as("runner");
		release_signals();
		close(pair[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		work(request, answer);
		_exit(send(pair[1], answer, size, MSG_NOSIGNAL) < 0);
	}
	close(pair[1]);
	if (pid < 0)
		return err_set(e, errno, "fork");
	do
		n = recv(ours, answer, size, 0);
	while (n < 0 && errno == EINTR);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return n == (ssize_t)size ? 0 : err_set(e, EPROTO, "the runner ended without an answer");
}
