/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "container/internal.h"

int container_start_ask(int start_fd, struct err *e)
{
	while (send(start_fd, "S", 1, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "start: the container's init is gone");
	return 0;
}

int container_start_refuse(int start_fd, const struct err *why)
{
	struct sync_msg m = { .type = SYNC_ERROR, .err = *why };
	struct err ignored;

	return sync_send(start_fd, &m, &ignored);
}

int container_start_answer(int start_fd, struct err *e)
{
	struct pollfd p = { .fd = start_fd, .events = POLLIN };
	struct err why = { 0 };
	struct sync_msg m;
	int n = poll(&p, 1, 0);

	if (n == 0 || (n < 0 && errno == EINTR))
		return err_set(e, EAGAIN, "start: no answer of the container's init yet");
	/* execve closes init's end; what comes before that is why it could not. */
	n = sync_recv(start_fd, &m, &why);
	if (n == -EPIPE)
		return 0;
	*e = n == 0 ? m.err : why;
	return -(e->code ? e->code : (e->code = EIO));
}

int container_start(int start_fd, int timeout_ms, struct err *e)
{
	struct pollfd p = { .fd = start_fd, .events = POLLIN };
	int n;

	if (container_start_ask(start_fd, e) < 0)
		return -e->code;
	do
		n = poll(&p, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return err_set(e, n ? errno : ETIMEDOUT, "start: no answer of the container's init");
	return container_start_answer(start_fd, e);
}
