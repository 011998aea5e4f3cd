/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to loopback: the family that listens is found, and who is not there is told as such. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/dial.h"

static int failed;

#define CHECK(cond, ...)                                       \
	do {                                                   \
		if (!(cond)) {                                 \
			printf("dial_test:%d: ", __LINE__);    \
			printf(__VA_ARGS__);                   \
			printf("\n");                          \
			failed = 1;                            \
		}                                              \
	} while (0)

/* Listens on a port of the kernel's choice. Returns the descriptor, -1 where the family is unknown. */
static int listen_on(int family, int backlog, uint16_t *ret_port)
{
	struct sockaddr_in6 at6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in at4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = family == AF_INET ? sizeof(at4) : sizeof(at6);
	struct sockaddr *at = family == AF_INET ? (struct sockaddr *)&at4 : (struct sockaddr *)&at6;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		return -1;
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, at, len) < 0 || listen(fd, backlog) < 0 || getsockname(fd, at, &len) < 0) {
		close(fd);
		return -1;
	}
	*ret_port = ntohs(family == AF_INET ? at4.sin_port : at6.sin6_port);
	return fd;
}

static void finds_the_family(int family)
{
	struct err e = { 0 };
	uint16_t port;
	int listener = listen_on(family, 4, &port), fd = -1, taken;
	char byte = 0;

	if (listener < 0) {
		printf("dial_test: no family %d here\n", family);
		return;
	}
	CHECK(dial_loopback(port, 2000, &fd, &e) == 0, "family %d: %s", family, e.step);
	CHECK(fd >= 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK), "not non-blocking");
	CHECK(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC), "not close-on-exec");
	taken = accept(listener, NULL, NULL);
	CHECK(write(fd, "x", 1) == 1 && read(taken, &byte, 1) == 1 && byte == 'x', "not connected");
	close(taken);
	close(fd);
	close(listener);
}

/* Nobody listens, and the only port that the kernel can give our end is the one we ask for. */
static void refuses_itself(void)
{
	static const char *const range = "/proc/sys/net/ipv4/ip_local_port_range";
	struct err e = { 0 };
	int file = open(range, O_WRONLY | O_CLOEXEC), fd = -1, r;

	CHECK(file >= 0 && pwrite(file, "40000 40000", 11, 0) == 11, "can't set the range of ports");
	r = dial_loopback(40000, 2000, &fd, &e);
	CHECK(r == -ECONNREFUSED && e.code == ECONNREFUSED, "it met itself: %d", r);
	CHECK(strstr(e.step, "port 40000") != NULL, "the port is not named: %s", e.step);
	CHECK(pwrite(file, "32768 60999", 11, 0) == 11, "can't set the range of ports back");
	close(file);
}

static void gives_up_in_time(void)
{
	struct err e = { 0 };
	uint16_t port;
	int listener = listen_on(AF_INET, 0, &port), fds[8];
	int r = 0, count = 0;

	/* Nobody accepts: once the queue is full the kernel drops what knocks. */
	while (r == 0 && count < 8) {
		r = dial_loopback(port, 300, &fds[count], &e);
		if (r == 0)
			count++;
	}
	CHECK(r == -ETIMEDOUT, "%d connections, then %d", count, r);
	while (count--)
		close(fds[count]);
	close(listener);
}

/* A network of its own: ports that are free stay free. */
static bool own_network(void)
{
	struct ifreq lo = { .ifr_name = "lo" };
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (ioctl(fd, SIOCGIFFLAGS, &lo) < 0)
		return false;
	lo.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		return false;
	close(fd);
	return true;
}

int main(void)
{
	if (own_network())
		refuses_itself();
	else
		printf("dial_test: no network namespace here, so no port is known to be free\n");
	finds_the_family(AF_INET);
	finds_the_family(AF_INET6);
	gives_up_in_time();
	if (!failed)
		printf("dial_test: ok\n");
	return failed;
}
