/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kobako-copy FROM TO [OWNER]: copies between the trees of descriptors 3 (where FROM lies) and 4 (where TO does).
 * OWNER: the number of who makes what is made: root of a user namespace that the second tree is seen from.
 * Exit code 0; 1 with a line on standard error. Each thing that is left out is a line there, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "base/sys.h"
#include "copy/copy.h"

enum { FROM_ROOT = 3, TO_ROOT = 4 };

static void left_out(const char *path)
{
	dprintf(STDERR_FILENO, "left out: \"%s\" is neither a file, a folder nor a link\n", path);
}

/* For files, and keeping all rights: these would be lost with the number (capabilities(7), "fsuid"). */
static int make_as(const char *owner, struct err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];
	char *end;
	unsigned long id = strtoul(owner, &end, 10);

	if (!*owner || *end || id >= UINT32_MAX)
		return err_set(e, EINVAL, "owner \"%.20s\"", owner);
	if (syscall(SYS_capget, &head, caps) < 0)
		return err_set(e, errno, "read the own capabilities");
	setfsgid((gid_t)id);
	setfsuid((uid_t)id);
	if (setfsuid((uid_t)-1) != (int)id || setfsgid((gid_t)-1) != (int)id)
		return err_set(e, EPERM, "make files as user %lu", id);
	return syscall(SYS_capset, &head, caps) < 0 ? err_set(e, errno, "keep the capabilities") : 0;
}

int main(int argc, char *argv[])
{
	char text[sizeof(((struct err *)0)->step) + 128];
	struct err e;

	if (io_open_stdio(&e) < 0)
		return 1;
	if (argc < 3 || argc > 4 || fcntl(FROM_ROOT, F_GETFD) < 0 || fcntl(TO_ROOT, F_GETFD) < 0) {
		dprintf(STDERR_FILENO, "usage: kobako-copy FROM TO [OWNER] 3<FROM_ROOT 4<TO_ROOT\n");
		return 2;
	}
	sys_close_range(5, UINT_MAX, 0);
	umask(077);
	if ((argc < 4 || make_as(argv[3], &e) == 0) && copy_path(FROM_ROOT, argv[1], TO_ROOT, argv[2], left_out, &e) == 0)
		return 0;
	dprintf(STDERR_FILENO, "%s\n", err_text(&e, text, sizeof(text)));
	return 1;
}
