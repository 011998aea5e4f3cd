/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "container/internal.h"

int container_start(int start_fd, int timeout_ms, struct err *e)
{
	struct pollfd p = { .fd = start_fd, .events = POLLIN };
	struct sync_msg m;
	int n;

	while (send(start_fd, "S", 1, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "start: the container's init is gone");
	do
		n = poll(&p, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return err_set(e, n ? errno : ETIMEDOUT, "start: no answer of the container's init");
	/* execve closes init's end; what comes before that is why it could not. */
	n = sync_recv(start_fd, &m, e);
	if (n == -EPIPE)
		return 0;
	if (n < 0)
		return n;
	*e = m.err;
	return -(e->code ? e->code : (e->code = EIO));
}
