/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/layer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "unpack/erase.h"
#include "unpack/name.h"
#include "unpack/tree.h"
#include "unpack/xattr.h"

#define BLOCK 4096
#define LOOK_AT_SPACE_EVERY (16u << 20) /* bytes on disk between two looks at what is free */
#define INLINE_LINK 60                  /* ext4 keeps shorter link targets in the inode */

struct layer {
	int root;
	struct tar *tar;
	struct tree *tree;
	const struct layer_limits *limits;
	struct pending *pending;
	struct layer_result *result;
	uint64_t looked_at; /* used_bytes when the free space was last looked at */
	bool default_acls;  /* some folder has one: what is made in it inherits */
};

/* Where an entry goes: its folder and its last part. */
struct place {
	const struct tree_dir *dir;
	const char *base;
	const struct tar_entry *entry;
	bool on_whiteout; /* a whiteout of this layer stood here */
	bool dir_exists;
};

uint64_t layer_blocks_of(mode_t mode, uint64_t size)
{
	if (S_ISDIR(mode))
		return BLOCK;
	if (S_ISREG(mode) || (S_ISLNK(mode) && size >= INLINE_LINK))
		return (size + BLOCK - 1) & ~(uint64_t)(BLOCK - 1);
	return 0;
}

/* Refuses what would not leave the reserve. upcoming: bytes that are counted and not yet written. */
static int look_at_space(struct layer *l, uint64_t upcoming, struct err *e)
{
	struct statfs fs;

	l->looked_at = l->result->used_bytes;
	if (!l->limits->reserve_bytes)
		return 0;
	if (fstatfs(l->root, &fs) < 0)
		return err_set(e, errno, "look at the free space");
	if (fs.f_bavail * (uint64_t)fs.f_bsize / BLOCK < l->limits->reserve_bytes / BLOCK + upcoming / BLOCK)
		return err_set(e, ENOSPC, "less than %llu MiB would be left",
			       (unsigned long long)(l->limits->reserve_bytes >> 20));
	return 0;
}

static int count(struct layer *l, mode_t mode, uint64_t size, struct err *e)
{
	const uint64_t blocks = layer_blocks_of(mode, size);

	l->result->inodes++;
	l->result->used_bytes += blocks;
	return l->result->used_bytes - l->looked_at >= LOOK_AT_SPACE_EVERY ? look_at_space(l, blocks, e) : 0;
}

/*
 * Makes room for an entry where an earlier one of this layer stands: the later entry wins, only a
 * folder over a folder is one folder.
 */
static int clear_place(struct layer *l, struct place *p, struct err *e)
{
	struct stat st;

	if (fstatat(p->dir->fd, p->base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_set(e, errno, "look at \"%.300s\"", p->entry->name);
	if (S_ISDIR(st.st_mode) && p->entry->type == TAR_DIR) {
		p->dir_exists = true;
		return 0;
	}
	p->on_whiteout = stat_is_whiteout(&st);
	if (!S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode)) {
		if (unlinkat(p->dir->fd, p->base, 0) < 0)
			return err_set(e, errno, "replace \"%.300s\"", p->entry->name);
		return 0;
	}
	return erase_at(p->dir->fd, p->base, e);
}

/* Attributes the layer may not set are left out; on anything but files and folders there are none. */
static int set_xattrs(struct layer *l, int fd, const struct tar_entry *entry, struct err *e)
{
	for (size_t i = 0; i < entry->xattr_count; i++) {
		const struct tar_xattr *x = &entry->xattrs[i];
		int r = 1;

		if (xattr_allowed(x->name))
			r = xattr_set(fd, x->name, x->value, x->size, e);
		if (r < 0)
			return err_wrap(e, "\"%.200s\"", entry->name);
		if (strcmp(x->name, XATTR_ACL_DEFAULT) == 0)
			l->default_acls = true;
		l->result->xattrs_skipped += (uint64_t)r;
	}
	return 0;
}

/*
 * Owner, then mode (chown(2) clears set-id bits), then attributes (it clears file capabilities too).
 * `made`: the file is new, belongs to root and has the entry's mode without the set-id bits.
 */
static int set_attributes(struct layer *l, int fd, const struct tar_entry *entry, bool made, struct err *e)
{
	bool owned = made && entry->uid == 0 && entry->gid == 0;

	if (made && l->default_acls) {
		fremovexattr(fd, XATTR_ACL_ACCESS);
		fremovexattr(fd, XATTR_ACL_DEFAULT);
		owned = false; /* the mode went through the inherited list */
	}
	if (!owned && fchown(fd, entry->uid, entry->gid) < 0)
		return err_set(e, errno, "owner of \"%.300s\"", entry->name);
	if ((!owned || entry->mode & 07000) && fchmod(fd, entry->mode) < 0)
		return err_set(e, errno, "mode of \"%.300s\"", entry->name);
	return set_xattrs(l, fd, entry, e);
}

static int write_content(struct layer *l, int fd, const struct tar_entry *entry, struct err *e)
{
	const uint8_t *data;
	size_t len;

	for (;;) {
		int r = tar_data(l->tar, &data, &len, e);

		if (r < 0)
			return r;
		if (!len)
			return 0;
		while (len) {
			ssize_t n = write(fd, data, len);

			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return err_set(e, errno, "write \"%.300s\"", entry->name);
			data += n;
			len -= (size_t)n;
		}
	}
}

static int put_file(struct layer *l, struct place *p, struct err *e)
{
	const struct timespec times[2] = { p->entry->mtime, p->entry->mtime };
	cleanup_fd int fd = -1;
	int r = count(l, S_IFREG, p->entry->size, e);

	if (r < 0)
		return r;
	fd = openat(p->dir->fd, p->base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    p->entry->mode & 0777);
	if (fd < 0)
		return err_set(e, errno, "make the file \"%.300s\"", p->entry->name);
	r = write_content(l, fd, p->entry, e);
	if (r == 0)
		r = set_attributes(l, fd, p->entry, true, e);
	if (r == 0 && futimens(fd, times) < 0)
		r = err_set(e, errno, "time of \"%.300s\"", p->entry->name);
	return r;
}

static int put_folder(struct layer *l, struct place *p, struct err *e)
{
	cleanup_fd int fd = -1;
	int r = 0;

	if (!p->dir_exists) {
		r = count(l, S_IFDIR, 0, e);
		if (r == 0 && mkdirat(p->dir->fd, p->base, p->entry->mode & 0777) < 0)
			r = err_set(e, errno, "make the folder \"%.300s\"", p->entry->name);
		if (r < 0)
			return r;
	}
	fd = openat(p->dir->fd, p->base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "open the folder \"%.300s\"", p->entry->name);
	r = set_attributes(l, fd, p->entry, !p->dir_exists, e);
	if (r == 0 && p->on_whiteout)
		r = xattr_set_opaque(fd, e);
	return r < 0 ? r : tree_listed(l->tree, p->dir, p->base, p->entry->mtime, e);
}

static int put_symlink(struct layer *l, struct place *p, struct err *e)
{
	const struct timespec times[2] = { p->entry->mtime, p->entry->mtime };
	int r = count(l, S_IFLNK, strlen(p->entry->link), e);

	if (r < 0)
		return r;
	if (!*p->entry->link || strlen(p->entry->link) >= PATH_MAX)
		return err_set(e, EBADMSG, "link \"%.300s\" has no target, or one that is too long",
			       p->entry->name);
	if (symlinkat(p->entry->link, p->dir->fd, p->base) < 0)
		return err_set(e, errno, "make the link \"%.300s\"", p->entry->name);
	if (fchownat(p->dir->fd, p->base, p->entry->uid, p->entry->gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    utimensat(p->dir->fd, p->base, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "owner or time of the link \"%.300s\"", p->entry->name);
	return 0;
}

/* Devices and FIFOs. Nothing is opened: a node of this layer must open nothing here. */
static int put_node(struct layer *l, struct place *p, mode_t type, struct err *e)
{
	const struct tar_entry *entry = p->entry;
	const struct timespec times[2] = { entry->mtime, entry->mtime };
	int r = count(l, type, 0, e);

	if (r < 0)
		return r;
	if (mknodat(p->dir->fd, p->base, type | (entry->mode & 0777), makedev(entry->major, entry->minor)) < 0)
		return err_set(e, errno, "make the node \"%.300s\"", entry->name);
	if (fchownat(p->dir->fd, p->base, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (entry->mode & 07000 && fchmodat(p->dir->fd, p->base, entry->mode, 0) < 0) ||
	    utimensat(p->dir->fd, p->base, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "attributes of the node \"%.300s\"", entry->name);
	return 0;
}

/* A link to a name that this layer does not have: it is made when the layers below are there. */
static int link_later(struct layer *l, const struct place *p, const char *target, struct err *e)
{
	char path[PATH_MAX];
	int r = tree_join(p->dir->path, p->base, path, e);

	return r < 0 ? r : pending_add(l->pending, &(struct pending_record){ PENDING_LINK, path, target }, e);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Owner, mode and time of the entry are not looked at: they are those of the file linked to. */
static int put_hardlink(struct layer *l, const char *dir, const char *base, const struct tar_entry *entry,
			struct err *e)
{
	char target[PATH_MAX], split[PATH_MAX];
	const struct tree_dir *from, *to;
	const char *from_dir, *from_base;
	cleanup_fd int from_fd = -1;
	struct stat st, there;
	struct place p = { .base = base, .entry = entry };
	bool found = false;
	int r = name_clean(entry->link, target, e);

	if (r < 0)
		return r;
	if (!*target || name_kind_of(target) != NAME_PLAIN)
		return err_set(e, EBADMSG, "hard link \"%.200s\" to \"%.200s\", which is no file", entry->name,
			       entry->link);
	strcpy(split, target);
	from_base = name_split(split, &from_dir);
	r = tree_resolve(l->tree, from_dir, false, &from, e);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0) {
		from_fd = fcntl(from->fd, F_DUPFD_CLOEXEC, 0);
		if (from_fd < 0)
			return err_set(e, errno, "open \"%.300s\"", from_dir);
		found = fstatat(from_fd, from_base, &st, AT_SYMLINK_NOFOLLOW) == 0;
	}
	if (found && (S_ISDIR(st.st_mode) || stat_is_whiteout(&st)))
		return err_set(e, EBADMSG, "hard link \"%.200s\" to \"%.200s\", which is no file", entry->name,
			       entry->link);
	r = tree_resolve(l->tree, dir, true, &to, e);
	if (r < 0)
		return r;
	p.dir = to;
	if (found && fstatat(to->fd, base, &there, AT_SYMLINK_NOFOLLOW) == 0 && same_file(&st, &there))
		return 0;
	r = clear_place(l, &p, e);
	if (r < 0)
		return r;
	if (!found)
		return link_later(l, &p, target, e);
	if (linkat(from_fd, from_base, to->fd, base, 0) < 0)
		return err_set(e, errno == ENOENT ? EBADMSG : errno, "link \"%.200s\" to \"%.200s\"", entry->name,
			       entry->link);
	return 0;
}

/*
 * Hides `base` of the layers below. What this very layer has there stays, whichever came first
 * (layer.md: whiteouts apply to lower layers only); a folder is then not merged with one below.
 */
static int put_whiteout(struct layer *l, const struct tree_dir *dir, const char *base, struct err *e)
{
	struct stat st;

	if (fstatat(dir->fd, base, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		cleanup_fd int fd = -1;

		if (!S_ISDIR(st.st_mode))
			return 0;
		fd = openat(dir->fd, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return err_set(e, errno, "open the folder \"%.300s\"", base);
		tree_settled(l->tree, dir, base);
		return xattr_set_opaque(fd, e);
	}
	if (errno != ENOENT)
		return err_set(e, errno, "look at \"%.300s\"", base);
	if (mknodat(dir->fd, base, S_IFCHR, makedev(0, 0)) < 0)
		return err_set(e, errno, "make the whiteout of \"%.300s\"", base);
	return count(l, S_IFCHR, 0, e);
}

static int put_opaque(struct layer *l, const struct tree_dir *dir, struct err *e)
{
	if (!*dir->path) {
		l->result->root_opaque = true;
		return 0;
	}
	return xattr_set_opaque(dir->fd, e);
}

static int put_root(struct layer *l, const struct tar_entry *entry, struct err *e)
{
	const struct tree_dir *root;
	int r;

	if (entry->type != TAR_DIR)
		return err_set(e, EBADMSG, "entry \"%.200s\" replaces the root and is no folder", entry->name);
	r = tree_resolve(l->tree, "", false, &root, e);
	if (r == 0)
		r = set_attributes(l, root->fd, entry, false, e);
	if (r < 0)
		return r;
	l->result->root_listed = true;
	l->result->root_mode = entry->mode;
	l->result->root_uid = entry->uid;
	l->result->root_gid = entry->gid;
	return tree_listed(l->tree, root, "", entry->mtime, e);
}

static bool is_whiteout_node(const struct tar_entry *entry)
{
	return entry->type == TAR_CHAR && entry->major == 0 && entry->minor == 0;
}

static int put(struct layer *l, struct place *p, struct err *e)
{
	int r = clear_place(l, p, e);

	if (r < 0)
		return r;
	switch (p->entry->type) {
	case TAR_FILE:
		return put_file(l, p, e);
	case TAR_DIR:
		return put_folder(l, p, e);
	case TAR_SYMLINK:
		return put_symlink(l, p, e);
	case TAR_CHAR:
		return put_node(l, p, S_IFCHR, e);
	case TAR_BLOCK:
		return put_node(l, p, S_IFBLK, e);
	case TAR_FIFO:
		return put_node(l, p, S_IFIFO, e);
	case TAR_HARDLINK:
		break; /* never comes here: see put_entry() */
	}
	return err_set(e, EINVAL, "entry type of \"%.300s\"", p->entry->name);
}

static int put_entry(struct layer *l, const struct tar_entry *entry, struct err *e)
{
	char name[PATH_MAX];
	const char *dir, *base;
	enum name_kind kind;
	struct place p = { .entry = entry };
	int r = name_clean(entry->name, name, e);

	if (r < 0)
		return r;
	if (!*name)
		return put_root(l, entry, e);
	kind = name_kind_of(name);
	if (kind == NAME_BOOKKEEPING)
		return 0;
	if (kind == NAME_BAD || (kind != NAME_PLAIN && entry->type == TAR_DIR))
		return err_set(e, EBADMSG, "\"%.300s\" is no valid whiteout", entry->name);
	base = name_split(name, &dir);
	if (kind == NAME_PLAIN && entry->type == TAR_HARDLINK)
		return put_hardlink(l, dir, base, entry, e);
	r = tree_resolve(l->tree, dir, true, &p.dir, e);
	if (r < 0)
		return r;
	p.base = base;
	if (kind == NAME_OPAQUE)
		return put_opaque(l, p.dir, e);
	if (kind == NAME_WHITEOUT)
		return put_whiteout(l, p.dir, base + strlen(".wh."), e);
	if (is_whiteout_node(entry))
		return put_whiteout(l, p.dir, base, e);
	return put(l, &p, e);
}

static int add_folder(void *ctx, const char *path, struct err *e)
{
	return pending_add(ctx, &(struct pending_record){ PENDING_FOLDER, path, "" }, e);
}

static int write_entries(struct layer *l, struct err *e)
{
	const struct tar_entry *entry;
	int r;

	for (;;) {
		struct layer_result *result = l->result;

		r = tar_next(l->tar, &entry, e);
		if (r <= 0)
			return r;
		r = put_entry(l, entry, e);
		if (r < 0)
			return r;
		if (++result->entries + tree_made(l->tree) > l->limits->entries)
			return err_set(e, EFBIG, "layer has more than %llu entries",
				       (unsigned long long)l->limits->entries);
	}
}

int layer_write(int root_fd, struct tar *t, const struct layer_limits *limits, struct pending *pending,
		struct layer_result *ret, struct err *e)
{
	struct layer_result result = { .inodes = 1, .used_bytes = BLOCK };
	struct layer l = { .root = root_fd, .tar = t, .limits = limits, .pending = pending, .result = &result };
	int r = tree_open(root_fd, &l.tree, e);

	if (r < 0)
		return r;
	r = look_at_space(&l, 0, e);
	if (r == 0)
		r = write_entries(&l, e);
	if (r == 0)
		r = tar_drain(t, e);
	if (r == 0)
		r = tree_finish(l.tree, e);
	if (r == 0)
		r = tree_each_implied(l.tree, add_folder, pending, e);
	result.inodes += tree_made(l.tree);
	result.used_bytes += tree_made(l.tree) * BLOCK;
	tree_close(l.tree);
	if (r == 0)
		*ret = result;
	return r;
}
