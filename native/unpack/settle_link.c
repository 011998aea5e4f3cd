/* SPDX-License-Identifier: Apache-2.0 */
/* Hard links to files of lower layers: the file is copied into this layer, then linked. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "unpack/layer.h"
#include "unpack/name.h"
#include "unpack/settle_internal.h"
#include "unpack/tree.h"

static int copy_data(int from, int to, const char *path, struct err *e)
{
	char buf[16384];

	for (;;) {
		ssize_t n = read(from, buf, sizeof(buf)), m;

		if (n == 0)
			return 0;
		if (n < 0)
			return err_set(e, errno, "read \"%.300s\" below", path);
		for (char *p = buf; n; p += m, n -= m) {
			m = write(to, p, (size_t)n);
			if (m < 0)
				return err_set(e, errno, "write \"%.300s\"", path);
		}
	}
}

static int copy_file(int below, const char *base, int dir, const char *name, const char *path, struct err *e)
{
	cleanup_fd int from = openat(below, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), to = -1;
	int r;

	if (from < 0)
		return err_set(e, errno, "open \"%.300s\" below", path);
	to = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return err_set(e, errno, "make \"%.300s\"", path);
	r = copy_data(from, to, path, e);
	return r < 0 ? r : settle_copy_attributes(from, to, path, e);
}

/* A file below, of any kind but a folder, as `name` of this layer. */
static int copy_up(struct settle *s, int below, const char *base, const struct stat *st, int dir, const char *name,
		   const char *path, struct err *e)
{
	const struct timespec times[2] = { st->st_mtim, st->st_mtim };
	char target[PATH_MAX];
	ssize_t n;

	s->inodes++;
	s->bytes += layer_blocks_of(st->st_mode, (uint64_t)st->st_size);
	if (S_ISREG(st->st_mode))
		return copy_file(below, base, dir, name, path, e);
	if (S_ISLNK(st->st_mode)) {
		n = readlinkat(below, base, target, sizeof(target) - 1);
		if (n < 0)
			return err_set(e, errno, "read the link \"%.300s\" below", path);
		target[n] = '\0';
		if (symlinkat(target, dir, name) < 0)
			return err_set(e, errno, "make the link \"%.300s\"", path);
	} else if (mknodat(dir, name, st->st_mode, st->st_rdev) < 0) {
		return err_set(e, errno, "make the node \"%.300s\"", path);
	}
	if (fchownat(dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (!S_ISLNK(st->st_mode) && fchmodat(dir, name, st->st_mode & 07777, 0) < 0) ||
	    utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "attributes of \"%.300s\"", path);
	return 0;
}

int settle_link(struct settle *s, const struct pending_record *record, struct err *e)
{
	char name[PATH_MAX], target[PATH_MAX], path[PATH_MAX];
	const char *dir, *base, *target_dir, *target_base;
	struct timespec times[2], target_times[2];
	cleanup_fd int to = -1, from = -1, below = -1;
	struct stat st;
	bool hidden;
	int r;

	strcpy(name, record->path);
	base = name_split(name, &dir);
	strcpy(target, record->target);
	target_base = name_split(target, &target_dir);
	to = settle_folder_of(s, dir, path, e);
	if (to < 0)
		return to;
	if (fstatat(to, base, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0; /* a later entry took the name */
	from = settle_folder_of(s, target_dir, path, e);
	if (from < 0)
		return from;
	settle_keep_time(to, times);
	settle_keep_time(from, target_times);
	r = fstatat(from, target_base, &st, AT_SYMLINK_NOFOLLOW);
	hidden = r == 0 && stat_is_whiteout(&st);
	if (r < 0 || hidden) {
		below = settle_below(s, path);
		if (below < 0 || fstatat(below, target_base, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode))
			return err_set(e, EBADMSG, "hard link \"%.200s\" to \"%.200s\", which is no file of this "
				       "layer nor of those below", record->path, record->target);
		r = copy_up(s, below, target_base, &st, to, base, record->path, e);
		if (r == 0 && !hidden && linkat(to, base, from, target_base, 0) < 0)
			r = err_set(e, errno, "link \"%.300s\"", record->target);
	} else if (S_ISDIR(st.st_mode) || linkat(from, target_base, to, base, 0) < 0) {
		r = err_set(e, EBADMSG, "link \"%.200s\" to \"%.200s\"", record->path, record->target);
	}
	futimens(to, times);
	futimens(from, target_times);
	return r;
}
