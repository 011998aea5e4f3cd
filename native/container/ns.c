/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
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

/* unshare(2) changes only what children get, so that the offsets can be set before anybody sees them. */
int ns_new_time(const struct spec *s, int proc, struct err *e)
{
	cleanup_fd int fd = -1;

	if (unshare(CLONE_NEWTIME) < 0)
		return err_set(e, errno, "new time namespace");
	for (int i = 0; i < SPEC_CLOCKS; i++) {
		const struct spec_time_offset *o = &s->time_offsets[i];
		char text[80];
		int r;

		if (!o->present)
			continue;
		snprintf(text, sizeof(text), "%s %" PRId64 " %u", spec_clock_names[i], o->secs, o->nanosecs);
		r = io_write_file_at(proc, "self/timens_offsets", text);
		if (r < 0)
			return err_set(e, -r, "linux.timeOffsets: \"%s\"", text);
	}
	fd = openat(proc, "self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWTIME) < 0)
		return err_set(e, errno, "enter the new time namespace");
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
