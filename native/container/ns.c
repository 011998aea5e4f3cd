/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "container/internal.h"

int ns_open(enum spec_ns_kind kind, const char *path, int *ret_fd, struct err *e)
{
	const struct spec_ns_name *name = &spec_ns_names[kind];
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct statfs fs;

	if (fd < 0)
		return err_set(e, errno, "open the %s namespace \"%s\"", name->type, path);
	if (fstatfs(fd, &fs) < 0 || fs.f_type != NSFS_MAGIC || ioctl(fd, NS_GET_NSTYPE) != name->flag)
		return err_set(e, EINVAL, "\"%s\" is no %s namespace", path, name->type);
	*ret_fd = take_fd(&fd);
	return 0;
}

int ns_loopback_up(struct err *e)
{
	cleanup_fd int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { .ifr_name = "lo" };

	if (sock < 0 || ioctl(sock, SIOCGIFFLAGS, &req) < 0)
		return err_set(e, errno, "look at lo");
	req.ifr_flags |= IFF_UP;
	if (ioctl(sock, SIOCSIFFLAGS, &req) < 0)
		return err_set(e, errno, "bring lo up");
	return 0;
}
