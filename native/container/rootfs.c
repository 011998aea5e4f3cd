/* SPDX-License-Identifier: Apache-2.0 */
/* The root filesystem: taking it up, closing what must not be seen or written, moving in. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/sys.h"
#include "container/internal.h"

/* A slave keeps receiving from the host's mount, when that passes on; else the rootfs is alone. */
static int settle_propagation(const struct mounts *m, struct err *e)
{
	if (m->spec->rootfs_propagation & MS_SLAVE)
		return 0;
	if (mount_set(m->root, 0, 0, MS_PRIVATE, false, e) < 0)
		return err_wrap(e, "rootfs \"%s\"", m->rootfs);
	return 0;
}

/*
 * With a user namespace the way to the rootfs may be closed to its root: the runner cloned it. It is put
 * over the old root, whose own paths lead below it all the same; pivot_root needs no more.
 */
static int attach_rootfs(struct mounts *m, struct err *e)
{
	cleanup_fd int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct mount_attr receive = { .propagation = MS_SLAVE };

	if (top < 0)
		return err_set(e, errno, "open /");
	if (sys_move_mount_fd(m->rootfs_tree, top) < 0)
		return err_set(e, errno, "attach the rootfs \"%s\"", m->rootfs);
	m->root = take_fd(&m->rootfs_tree);
	if (sys_mount_setattr(m->root, "", AT_EMPTY_PATH | AT_RECURSIVE, &receive) < 0)
		return err_set(e, errno, "rootfs \"%s\"", m->rootfs);
	return settle_propagation(m, e);
}

int rootfs_clone(struct mounts *m, struct err *e)
{
	cleanup_fd int at = open(m->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (at < 0)
		return err_set(e, errno, "rootfs \"%s\"", m->rootfs);
	return mount_clone(at, true, &m->rootfs_tree, e) < 0 ? err_wrap(e, "rootfs \"%s\"", m->rootfs) : 0;
}

/*
 * pivot_root(2) wants a mount point in a mount that does not pass its mounts on. A rootfs that is
 * one already (an overlay) is taken as it is; a plain folder is bound to itself.
 */
int rootfs_open(struct mounts *m, struct err *e)
{
	struct mount_attr receive = { .propagation = MS_SLAVE };
	cleanup_fd int at = -1, tree = -1;
	struct statx st;

	/* Before anything is mounted: nothing made from here on shows outside. */
	if (sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &receive) < 0)
		return err_set(e, errno, "make the mount namespace receive only");
	if (m->rootfs_tree >= 0)
		return attach_rootfs(m, e);
	at = open(m->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return err_set(e, errno, "rootfs \"%s\"", m->rootfs);
	if (sys_statx(at, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) < 0)
		return err_set(e, errno, "rootfs \"%s\"", m->rootfs);
	/* A mount that came from a namespace with more rights can't be a root itself (mount_namespaces(7)): its clone can. */
	if (!(st.stx_attributes & STATX_ATTR_MOUNT_ROOT) || !strcmp(m->rootfs, "/") || m->user_ns) {
		if (mount_clone(at, true, &tree, e) < 0)
			return err_wrap(e, "rootfs \"%s\"", m->rootfs);
		if (sys_move_mount_fd(tree, at) < 0)
			return err_set(e, errno, "bind rootfs \"%s\" to itself", m->rootfs);
		m->root = take_fd(&tree);
	} else {
		m->root = take_fd(&at);
	}
	return settle_propagation(m, e);
}

/*
 * What hides a path: the host's null device over files, an empty read-only folder over folders. Both
 * are descriptors from outside the rootfs, so nothing that an image brings is mounted over anything.
 */
struct masks {
	int null;  /* attached once, to clone from */
	int empty;
};

/* A detached mount can be cloned only when attached (before 6.15): the first use attaches the original. */
static int cover(int *source, bool *attached, int target, struct err *e)
{
	cleanup_fd int copy = -1;
	int tree = *source;

	if (*attached) {
		if (mount_clone(*source, false, &copy, e) < 0)
			return -e->code;
		tree = copy;
	}
	if (sys_move_mount_fd(tree, target) < 0)
		return err_set(e, errno, "cover");
	*attached = true;
	return 0;
}

static int mask_all(struct mounts *m, struct err *e)
{
	static const char *const data[] = { "size=0k", "nr_inodes=1", "mode=755", NULL };
	cleanup_fd int empty = -1;
	bool null_attached = false, empty_attached = false;

	for (const char **p = m->spec->masked_paths; p && *p; p++) {
		cleanup_fd int target = -1;
		struct stat st;
		int r = path_open(m->root, *p, O_PATH, 0, &target, e);

		if (r == -ENOENT || r == -ENOTDIR)
			continue; /* not there: nothing to hide */
		if (r < 0)
			return err_wrap(e, "mask \"%s\"", *p);
		if (fstat(target, &st) < 0)
			return err_set(e, errno, "mask \"%s\"", *p);
		if (S_ISDIR(st.st_mode)) {
			if (empty < 0 && mount_new_fs("tmpfs", "tmpfs", data, m->spec->mount_label, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
						      MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, &empty, e) < 0)
				return err_wrap(e, "mask \"%s\"", *p);
			r = cover(&empty, &empty_attached, target, e);
		} else {
			r = cover(&m->null, &null_attached, target, e);
		}
		if (r < 0)
			return err_wrap(e, "mask \"%s\"", *p);
	}
	return 0;
}

static int readonly_all(struct mounts *m, struct err *e)
{
	for (const char **p = m->spec->readonly_paths; p && *p; p++) {
		cleanup_fd int target = -1, tree = -1;
		int r = path_open(m->root, *p, O_PATH, 0, &target, e);

		if (r == -ENOENT || r == -ENOTDIR)
			continue;
		if (r < 0 || mount_clone(target, true, &tree, e) < 0 ||
		    mount_set(tree, MOUNT_ATTR_RDONLY, 0, 0, true, e) < 0)
			return err_wrap(e, "make \"%s\" read-only", *p);
		if (sys_move_mount_fd(tree, target) < 0)
			return err_set(e, errno, "make \"%s\" read-only", *p);
	}
	return 0;
}

int rootfs_protect(struct mounts *m, struct err *e)
{
	if (readonly_all(m, e) < 0 || mask_all(m, e) < 0)
		return -e->code;
	if (m->spec->rootfs_readonly && mount_set(m->root, MOUNT_ATTR_RDONLY, 0, 0, false, e) < 0)
		return err_wrap(e, "make the rootfs read-only");
	return 0;
}

/*
 * For a rootfs on the initial ramdisk, which pivot_root(2) refuses. The old root stays below, out of reach; its /proc and
 * /sys go, so that what is masked in ours is nowhere else.
 */
static int move_root(struct mounts *m, struct err *e)
{
	static const char *const revealing[] = { "/proc", "/sys" };

	for (size_t i = 0; i < sizeof(revealing) / sizeof(revealing[0]); i++)
		if (umount2(revealing[i], MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
			return err_set(e, errno, "unmount the old root's %s", revealing[i]);
	if (sys_move_mount(m->root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_set(e, errno, "move \"%s\" to /", m->rootfs);
	if (chroot(".") < 0)
		return err_set(e, errno, "make \"%s\" the root", m->rootfs);
	return 0;
}

int rootfs_pivot(struct mounts *m, bool pivot, struct err *e)
{
	unsigned long propagation = m->spec->rootfs_propagation & ~(unsigned long)MS_REC;
	struct mount_attr attr = { .propagation = propagation };

	if (fchdir(m->root) < 0)
		return err_set(e, errno, "enter the rootfs");
	/* Both on ".": the old root lands on top of the new one and goes from there; no folder is needed
	 * in an image (pivot_root(2), NOTES). */
	if (!pivot && move_root(m, e) < 0)
		return -e->code;
	if (pivot && sys_pivot_root(".", ".") < 0)
		return err_set(e, errno, "pivot_root to \"%s\"", m->rootfs);
	if (pivot && umount2(".", MNT_DETACH) < 0)
		return err_set(e, errno, "let the old root go");
	if (chdir("/") < 0)
		return err_set(e, errno, "enter the new root");
	if (propagation && sys_mount_setattr(AT_FDCWD, "/",
					     m->spec->rootfs_propagation & MS_REC ? AT_RECURSIVE : 0, &attr) < 0)
		return err_set(e, errno, "propagation of the rootfs");
	return 0;
}
