/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The new mount API in the few forms used here, and mount(2) for what it does not take; every result is a detached mount, by
 * descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
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

/* What fsconfig(2) takes of one value; mount(2) takes a page of all options, with the end of a string in it. */
enum { VALUE_MAX_BYTES = 255, PAGE_BYTES = 4096 };

static size_t value_bytes(const char *option)
{
	const char *equals = strchr(option, '=');

	return equals ? strlen(equals + 1) : 0;
}

bool mount_has_long_value(const char *source, const char *const *data)
{
	bool found = source && strlen(source) > VALUE_MAX_BYTES;

	for (; data && *data && !found; data++)
		found = value_bytes(*data) > VALUE_MAX_BYTES;
	return found;
}

bool mount_is_of_device(const char *source)
{
	struct stat st;

	return source && *source == '/' && stat(source, &st) == 0 && S_ISBLK(st.st_mode);
}

/*
 * A read-only mount does not keep the filesystem itself from writing (ext4 counts its mounts, journals are replayed, overlay
 * makes its work folder). Other superblocks than these belong to a namespace or to the machine: other containers have them too.
 */
static bool is_read_only(const char *type, const char *source, uint64_t attrs)
{
	return (attrs & MOUNT_ATTR_RDONLY) && (!strcmp(type, "overlay") || mount_is_of_device(source));
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
	if (mount_has_long_value(source, data))
		return err_set(e, E2BIG, "the source or an option of %s is longer than %d bytes", type, VALUE_MAX_BYTES);
	if (source && *source && sys_fsconfig_string(fs, "source", source) < 0) {
		code = errno;
		return err_set(e, code, "source \"%s\" of %s (%s)", source, type, fs_says(fs, says, sizeof(says)));
	}
	for (; data && *data; data++)
		if (set_option(fs, *data) < 0) {
			code = errno;
			return err_set(e, code, "option \"%s\" of %s (%s)", *data, type, fs_says(fs, says, sizeof(says)));
		}
	if (is_read_only(type, source, attrs) && sys_fsconfig_flag(fs, "ro") < 0)
		return err_set(e, errno, "option \"ro\" of %s", type);
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

/* The options as mount(2) takes them: a few are flags, the others are joined by commas. */
static int join_options(const char *type, const char *const *data, const char *label, char page[PAGE_BYTES], unsigned long *flags,
			struct err *e)
{
	static const struct {
		const char *name;
		unsigned long flag;
	} known[] = { { "sync", MS_SYNCHRONOUS }, { "dirsync", MS_DIRSYNC }, { "lazytime", MS_LAZYTIME }, { "mand", MS_MANDLOCK } };
	size_t len = 0;

	page[0] = '\0';
	for (; data && *data; data++) {
		unsigned long flag = 0;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (!strcmp(*data, known[i].name))
				flag = known[i].flag;
		*flags |= flag;
		if (flag)
			continue;
		if (len < PAGE_BYTES)
			snprintf(page + len, PAGE_BYTES - len, "%s%s", len ? "," : "", *data);
		len += strlen(*data) + (len > 0);
	}
	if (label && labels_by_context(type)) {
		if (len < PAGE_BYTES)
			snprintf(page + len, PAGE_BYTES - len, "%scontext=\"%s\"", len ? "," : "", label);
		len += strlen(label) + strlen("context=\"\"") + (len > 0);
	}
	if (len >= PAGE_BYTES)
		return err_set(e, E2BIG, "options of %s: %zu bytes together, %d are the most: use shorter paths or fewer layers", type,
			       len, PAGE_BYTES - 1);
	return 0;
}

/*
 * Over our own root, cloned from there and taken away again: "/" itself stays what it was for us, "/.." is what was mounted over
 * it last, and no path of the container leads to either.
 */
int mount_new_fs_by_page(const char *type, const char *source, const char *const *data, const char *label, uint64_t attrs, int *ret_fd,
			 struct err *e)
{
	cleanup_fd int tree = -1;
	unsigned long flags = 0;
	char page[PAGE_BYTES];
	int code;

	if (join_options(type, data, label, page, &flags, e) < 0)
		return -e->code;
	if (is_read_only(type, source, attrs))
		flags |= MS_RDONLY;
	if (mount(source && *source ? source : "none", "/", type, flags, page) < 0)
		return err_set(e, errno, "make the %s filesystem with %zu bytes of options", type, strlen(page));
	tree = sys_open_tree(AT_FDCWD, "/..", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	code = errno;
	if (umount2("/..", MNT_DETACH) < 0)
		return err_set(e, errno, "take away the first mount of the %s filesystem", type);
	if (tree < 0)
		return err_set(e, code, "clone the mount of the %s filesystem", type);
	if (mount_set(tree, attrs, MOUNT_ATTR__ATIME, 0, false, e) < 0)
		return -e->code;
	*ret_fd = take_fd(&tree);
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
