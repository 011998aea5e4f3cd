/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal of a process. The pty comes from the container's own devpts, is unlocked and opened
 * through its master (TIOCGPTPEER), so no name that the container can move is opened twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "base/sys.h"
#include "container/internal.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif
#ifndef DEVPTS_SUPER_MAGIC
#define DEVPTS_SUPER_MAGIC 0x1cd1
#endif

int console_open(int root, const struct spec_process *p, int sock, int *ret_slave, struct err *e)
{
	cleanup_fd int master = -1, slave = -1;
	struct statfs fs;
	struct stat st;
	int unlock = 0;

	if (sock < 0)
		return err_set(e, EINVAL, "process.terminal: nobody takes the terminal");
	if (path_open(root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW, 0, &master, e) < 0)
		return -e->code;
	if (fstatfs(master, &fs) < 0 || fstat(master, &st) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC ||
	    !S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2))
		return err_set(e, EINVAL, "/dev/pts/ptmx is no terminal multiplexer");
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_set(e, errno, "unlock the terminal");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_set(e, errno, "open the terminal");
	if (p->console_width || p->console_height) {
		struct winsize size = { .ws_row = (unsigned short)p->console_height,
					.ws_col = (unsigned short)p->console_width };

		if (ioctl(slave, TIOCSWINSZ, &size) < 0)
			return err_set(e, errno, "size of the terminal");
	}
	if (io_send_fd(sock, master, e) < 0)
		return err_wrap(e, "hand the terminal over");
	*ret_slave = take_fd(&slave);
	return 0;
}

int console_mount(struct mounts *m, int slave, struct err *e)
{
	cleanup_fd int dev = -1, target = -1, tree = -1;
	struct stat st;

	dev = openat(m->root, "dev", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dev < 0)
		return err_set(e, errno, "open /dev of the rootfs");
	target = openat(dev, "console", O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (target < 0 && errno == EEXIST)
		target = openat(dev, "console", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0 || fstat(target, &st) < 0)
		return err_set(e, errno, "make /dev/console");
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return err_set(e, EINVAL, "/dev/console is neither a file nor a device");
	if (mount_clone(slave, false, &tree, e) < 0)
		return err_wrap(e, "terminal for /dev/console");
	if (sys_move_mount_fd(tree, target) < 0)
		return err_set(e, errno, "mount the terminal on /dev/console");
	return 0;
}
