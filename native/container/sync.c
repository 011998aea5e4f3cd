/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "container/internal.h"

int sync_send(int fd, const struct sync_msg *m, struct err *e)
{
	while (send(fd, m, sizeof(*m), MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "send to the other half of the runtime");
	return 0;
}

int sync_recv(int fd, struct sync_msg *m, struct err *e)
{
	ssize_t n;

	do
		n = recv(fd, m, sizeof(*m), 0);
	while (n < 0 && errno == EINTR);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return err_set(e, EPIPE, "the other half of the runtime ended");
	if (n < 0)
		return err_set(e, errno, "receive from the other half of the runtime");
	if (n != sizeof(*m))
		return err_set(e, EPROTO, "receive from the other half of the runtime: %zd bytes", n);
	m->err.step[sizeof(m->err.step) - 1] = '\0';
	return 0;
}
