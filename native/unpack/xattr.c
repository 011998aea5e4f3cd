/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/xattr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/cleanup.h"

#define OPAQUE "user.overlay.opaque"
#define LIST_MAX (64 << 10)

static bool starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool xattr_allowed(const char *name)
{
	if (starts(name, "user."))
		/* With "user.overlay.": its escaped form too. The others steer fuse-overlayfs and podman. */
		return name[strlen("user.")] && !starts(name, "user.overlay.") &&
		       !starts(name, "user.fuseoverlayfs.") && !starts(name, "user.containers.");
	return strcmp(name, "security.capability") == 0 || strcmp(name, XATTR_ACL_ACCESS) == 0 ||
	       strcmp(name, XATTR_ACL_DEFAULT) == 0;
}

int xattr_set(int fd, const char *name, const void *value, size_t size, struct err *e)
{
	if (fsetxattr(fd, name, value, size, 0) == 0)
		return 0;
	if (errno == EOPNOTSUPP && starts(name, "user."))
		return 1;
	/* ext4 says ENOSPC when the attributes of one file are too many; that is no full disk. */
	if (errno == E2BIG || errno == ERANGE || errno == ENOSPC || errno == EINVAL)
		return err_set(e, EBADMSG, "extended attribute %.100s of %zu bytes is refused (%s)", name, size,
			       strerror(errno));
	return err_set(e, errno, "set the extended attribute %.100s", name);
}

int xattr_copy(int from_fd, int to_fd, struct err *e)
{
	cleanup_free char *names = malloc(2 * LIST_MAX);
	char *value = names + LIST_MAX;
	ssize_t len;

	if (!names)
		return err_set(e, ENOMEM, "extended attributes");
	len = flistxattr(from_fd, names, LIST_MAX);
	if (len < 0)
		return errno == EOPNOTSUPP ? 0 : err_set(e, errno, "list extended attributes");
	for (char *name = names; name < names + len; name += strlen(name) + 1) {
		ssize_t size;
		int r;

		if (!xattr_allowed(name))
			continue;
		size = fgetxattr(from_fd, name, value, LIST_MAX);
		if (size < 0)
			return err_set(e, errno, "read the extended attribute %.100s", name);
		r = xattr_set(to_fd, name, value, (size_t)size, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int xattr_set_opaque(int dir_fd, struct err *e)
{
	if (fsetxattr(dir_fd, OPAQUE, "y", 1, 0) < 0)
		return err_set(e, errno, "mark an opaque folder");
	return 0;
}

bool xattr_is_opaque(int dir_fd)
{
	char value;

	return fgetxattr(dir_fd, OPAQUE, &value, 1) == 1 && value == 'y';
}
