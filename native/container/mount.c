/* SPDX-License-Identifier: Apache-2.0 */
/* The new mount API in the few forms used here; every result is a detached mount, by descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "container/internal.h"

/* What the filesystem says about a refused option ("e tmpfs: Bad value for 'size'"), or "". */
static const char *fs_says(int fs, char *buf, size_t size)
{
	ssize_t n = read(fs, buf, size - 1);

	if (n <= 2)
		return "";
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return buf + 2;
}

/* One option: "key=value" or a word. */
static int set_option(int fs, const char *option)
{
	char key[64];
	size_t len = strcspn(option, "=");

	if (!option[len])
		return sys_fsconfig_flag(fs, option);
	if (!len || len >= sizeof(key)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(key, option, len);
	key[len] = '\0';
	return sys_fsconfig_string(fs, key, option + len + 1);
}

int mount_new_fs(const char *type, const char *source, const char *const *data, const char *label, uint64_t attrs, int *ret_fd,
		 struct err *e)
{
	cleanup_fd int fs = sys_fsopen(type, FSOPEN_CLOEXEC);
	char says[200];
	int fd, code;

	if (fs < 0)
		return err_set(e, errno, "filesystem \"%s\"", type);
	if (source && *source && sys_fsconfig_string(fs, "source", source) < 0) {
		code = errno;
		return err_set(e, code, "source \"%s\" of %s (%s)", source, type, fs_says(fs, says, sizeof(says)));
	}
	for (; data && *data; data++)
		if (set_option(fs, *data) < 0) {
			code = errno;
			return err_set(e, code, "option \"%s\" of %s (%s)", *data, type, fs_says(fs, says, sizeof(says)));
		}
	if (label && labels_by_context(type) && sys_fsconfig_string(fs, "context", label) < 0) {
		code = errno;
		return err_set(e, code, "linux.mountLabel \"%s\" of %s (%s)", label, type, fs_says(fs, says, sizeof(says)));
	}
	if (sys_fsconfig_create(fs) < 0) {
		code = errno;
		return err_set(e, code, "make the %s filesystem (%s)", type, fs_says(fs, says, sizeof(says)));
	}
	fd = sys_fsmount(fs, FSMOUNT_CLOEXEC, (unsigned int)attrs);
	if (fd < 0)
		return err_set(e, errno, "mount the %s filesystem", type);
	*ret_fd = fd;
	return 0;
}

int mount_reconfigure(int fs, const char *const *data, struct err *e)
{
	char says[200];

	for (; *data; data++)
		if (set_option(fs, *data) < 0) {
			int code = errno;

			return err_set(e, code, "option \"%s\" (%s)", *data, fs_says(fs, says, sizeof(says)));
		}
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0) {
		int code = errno;

		return err_set(e, code, "change the filesystem (%s)", fs_says(fs, says, sizeof(says)));
	}
	return 0;
}

int mount_clone(int fd, bool recursive, int *ret_fd, struct err *e)
{
	int tree = sys_open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
						 (recursive ? AT_RECURSIVE : 0));

	if (tree < 0)
		return err_set(e, errno, "clone a mount");
	*ret_fd = tree;
	return 0;
}

int mount_set(int fd, uint64_t set, uint64_t clear, unsigned long propagation, bool recursive, struct err *e)
{
	struct mount_attr attr = { .attr_set = set, .attr_clr = clear, .propagation = propagation };

	if (!set && !clear && !propagation)
		return 0;
	if (sys_mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr) < 0)
		return err_set(e, errno, "set mount attributes");
	return 0;
}
