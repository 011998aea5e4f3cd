/* SPDX-License-Identifier: Apache-2.0 */
#include "dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * A port that nobody listens on can be the very one that the kernel picks for our end: the socket
 * then meets itself (RFC 9293, simultaneous open) and would echo all that it is sent.
 */
static bool met_itself(int fd, uint16_t port)
{
	union address own;
	socklen_t len = sizeof(own);

	if (getsockname(fd, &own.any, &len) < 0)
		return false;
	return (own.any.sa_family == AF_INET ? own.v4.sin_port : own.v6.sin6_port) == htons(port);
}

/* Until the connection is there. Returns 0 or -errno. */
static int finish(int fd, int64_t deadline_ms)
{
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int code = 0;

	for (;;) {
		int64_t left = deadline_ms - now_ms();
		int n = poll(&wait, 1, left > 0 ? (int)left : 0);

		if (n > 0)
			break;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
		return -errno;
	return -code;
}

static int dial(const union address *to, socklen_t len, uint16_t port, int64_t deadline_ms, int *ret_fd)
{
	cleanup_fd int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	int on = 1, r = 0;

	if (fd < 0)
		return -errno;
	/* What a person types must not wait for an acknowledgement of what was typed before. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, &to->any, len) < 0)
		r = errno == EINPROGRESS || errno == EINTR ? finish(fd, deadline_ms) : -errno;
	if (r == 0 && met_itself(fd, port))
		r = -ECONNREFUSED;
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

int dial_loopback(uint16_t port, int timeout_ms, int *ret_fd, struct err *e)
{
	const union address v4 = {
		.v4 = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
	};
	const union address v6 = {
		.v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT },
	};
	int64_t deadline_ms = now_ms() + timeout_ms;
	int first, second;

	first = dial(&v4, sizeof(v4.v4), port, deadline_ms, ret_fd);
	if (first == 0)
		return 0;
	if (first == -ETIMEDOUT)
		return err_set(e, ETIMEDOUT, "connect to port %u of the pod", port);
	second = dial(&v6, sizeof(v6.v6), port, deadline_ms, ret_fd);
	if (second == 0)
		return 0;
	/* A pod without IPv6 says something else for ::1; that nobody listens is the better answer. */
	if (first != -ECONNREFUSED && (second == -ECONNREFUSED || second == -ETIMEDOUT))
		first = second;
	return err_set(e, -first, "connect to port %u of the pod", port);
}
