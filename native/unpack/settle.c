/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/settle.h"

#include <dirent.h>
#include <errno.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "unpack/layer.h"
#include "unpack/name.h"
#include "unpack/settle_internal.h"
#include "unpack/tree.h"
#include "unpack/xattr.h"

#define LINKS_MAX 255
#define DEPTH_MAX 64 /* of links below links */

/* An implied folder. They form a list (each before what is in it) and a tsearch(3) tree by path. */
struct implied {
	struct implied *next;
	bool settled;
	char path[];
};

static int settle_folder(struct settle *s, struct implied *folder, struct err *e);

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct implied *)a)->path, ((const struct implied *)b)->path);
}

static int add_implied(struct settle *s, const char *path, struct err *e)
{
	size_t len = strlen(path) + 1;
	struct implied *folder = malloc(sizeof(*folder) + len), **node;

	if (!folder)
		return err_set(e, ENOMEM, "remember a folder");
	folder->next = NULL;
	folder->settled = false;
	memcpy(folder->path, path, len);
	node = tsearch(folder, &s->by_path, compare);
	if (!node || *node != folder) {
		free(folder);
		return node ? 0 : err_set(e, ENOMEM, "remember a folder");
	}
	*s->last = folder;
	s->last = &folder->next;
	return 0;
}

static struct implied *find_implied(struct settle *s, const char *path)
{
	cleanup_free struct implied *key = malloc(sizeof(*key) + strlen(path) + 1);
	struct implied **node;

	if (!key)
		return NULL;
	strcpy(key->path, path);
	node = tfind(key, &s->by_path, compare);
	return node ? *node : NULL;
}

/* A folder by a path without links; -errno when it is none. */
static int open_plain(int root, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = sys_openat2(root, *path ? path : ".", &how);

	return fd < 0 ? -errno : fd;
}

static int open_here(struct settle *s, const char *path, struct err *e)
{
	int fd = open_plain(s->root, path);

	return fd < 0 ? err_set(e, -fd, "open \"%.300s\"", path) : fd;
}

int settle_below(struct settle *s, const char *path)
{
	char prefix[PATH_MAX];
	size_t at = 0;
	int below;

	if (s->lower < 0)
		return -1;
	for (;;) {
		size_t n = strcspn(path + at, "/");
		cleanup_fd int here = -1;

		if (!n)
			break;
		at += n;
		memcpy(prefix, path, at);
		prefix[at] = '\0';
		at += path[at] == '/';
		here = open_plain(s->root, prefix);
		if (here >= 0 && xattr_is_opaque(here))
			return -1;
	}
	below = open_plain(s->lower, path);
	return below < 0 ? -1 : below;
}

int settle_copy_attributes(int from, int to, const char *path, struct err *e)
{
	struct timespec times[2];
	struct stat st;
	int r;

	if (fstat(from, &st) < 0 || fchown(to, st.st_uid, st.st_gid) < 0 || fchmod(to, st.st_mode & 07777) < 0)
		return err_set(e, errno, "attributes of \"%.300s\"", path);
	r = xattr_copy(from, to, e);
	if (r < 0)
		return r;
	times[0] = times[1] = st.st_mtim;
	return futimens(to, times) < 0 ? err_set(e, errno, "time of \"%.300s\"", path) : 0;
}

void settle_keep_time(int dir, struct timespec times[2])
{
	struct stat st;

	if (fstat(dir, &st) == 0)
		times[0] = times[1] = st.st_mtim;
	else
		times[0].tv_nsec = times[1].tv_nsec = UTIME_OMIT;
}

/* Makes the folder `path` (its parent is there) as the one below it is. */
static int make_folder(struct settle *s, int parent, const char *part, const char *path, bool on_whiteout,
		       struct err *e)
{
	struct timespec times[2], never[2] = { { 0 }, { 0 } };
	cleanup_fd int to = -1, from = -1;
	int r = 0;

	settle_keep_time(parent, times);
	if (on_whiteout && unlinkat(parent, part, 0) < 0)
		return err_set(e, errno, "replace the whiteout \"%.300s\"", path);
	if (mkdirat(parent, part, 0755) < 0)
		return err_set(e, errno, "make the folder \"%.300s\"", path);
	s->inodes++;
	s->bytes += layer_blocks_of(S_IFDIR, 0);
	futimens(parent, times);
	to = open_here(s, path, e);
	if (to < 0)
		return to;
	if (on_whiteout)
		r = xattr_set_opaque(to, e);
	else
		from = settle_below(s, path);
	if (r == 0)
		r = from >= 0 ? settle_copy_attributes(from, to, path, e) : futimens(to, never);
	return r < 0 ? r : 0;
}

/* A way under way: the folder reached (no links in its path), and the parts still to go. */
struct way {
	char path[PATH_MAX];
	char rest[2 * PATH_MAX];
};

static int way_link(struct settle *s, struct way *w, int dir, const char *part, struct err *e)
{
	char target[PATH_MAX], rest[sizeof(w->rest)];
	ssize_t n = readlinkat(dir, part, target, sizeof(target) - 1);

	if (n < 0)
		return err_set(e, errno, "read the link \"%.300s\"", part);
	target[n] = '\0';
	if (++s->links > LINKS_MAX)
		return err_set(e, EBADMSG, "\"%.300s\" goes through too many links", part);
	if ((size_t)n + 1 + strlen(w->rest) >= sizeof(rest))
		return err_set(e, EBADMSG, "the links of \"%.300s\" are too long", part);
	strcpy(rest, w->rest);
	strcpy(stpcpy(stpcpy(w->rest, target), "/"), rest);
	if (target[0] == '/')
		w->path[0] = '\0';
	return 0;
}

/* One part of a way, as the layers together show it. */
static int way_part(struct settle *s, struct way *w, const char *part, struct err *e)
{
	char path[PATH_MAX];
	cleanup_fd int here = open_here(s, w->path, e), below = -1;
	struct implied *implied;
	const char *after;
	struct stat st;
	bool whiteout = false;
	int r = here < 0 ? here : tree_join(w->path, part, path, e);

	if (r < 0)
		return r;
	implied = find_implied(s, path);
	if (implied && !implied->settled) {
		r = settle_folder(s, implied, e);
		if (r < 0)
			return r;
	}
	if (fstatat(here, part, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISLNK(st.st_mode))
			return way_link(s, w, here, part, e);
		if (S_ISDIR(st.st_mode)) {
			strcpy(w->path, path);
			return 0;
		}
		whiteout = stat_is_whiteout(&st);
		if (!whiteout)
			return err_set(e, EBADMSG, "\"%.300s\" is used as a folder and is none", path);
	} else if (errno != ENOENT) {
		return err_set(e, errno, "look at \"%.300s\"", path);
	}
	below = whiteout ? -1 : settle_below(s, w->path);
	if (below >= 0 && fstatat(below, part, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISLNK(st.st_mode))
			return way_link(s, w, below, part, e);
		if (!S_ISDIR(st.st_mode))
			return err_set(e, EBADMSG, "\"%.300s\" is used as a folder and is none", path);
	}
	after = name_after_back(w->rest);
	if (after && (below < 0 || fstatat(below, part, &st, AT_SYMLINK_NOFOLLOW) < 0)) {
		memmove(w->rest, after, strlen(after) + 1);
		return 0;
	}
	r = make_folder(s, here, part, path, whiteout, e);
	if (r == 0)
		strcpy(w->path, path);
	return r;
}

/* Goes w->rest from w->path; folders are made in this layer on the way. */
static int go(struct settle *s, struct way *w, struct err *e)
{
	for (;;) {
		char part[PATH_MAX], *p = w->rest + strspn(w->rest, "/");
		size_t n = strcspn(p, "/");
		int r = 0;

		if (!n)
			return 0;
		if (n > NAME_MAX)
			return err_set(e, EBADMSG, "a name of %zu bytes is longer than a file system takes", n);
		memcpy(part, p, n);
		part[n] = '\0';
		memmove(w->rest, p + n, strlen(p + n) + 1);
		if (strcmp(part, "..") == 0) {
			char *slash = strrchr(w->path, '/');

			*(slash ? slash : w->path) = '\0';
		} else if (strcmp(part, ".") != 0) {
			r = way_part(s, w, part, e);
		}
		if (r < 0)
			return r;
	}
}

static void cleanup_dir_func(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}
#define cleanup_dir __attribute__((cleanup(cleanup_dir_func)))

/* Moves the content of folder `from` to folder `to`; what `to` has already stays. `from` goes. */
static int move_content(struct settle *s, const char *from, const char *to, struct err *e)
{
	struct timespec times[2];
	cleanup_dir DIR *dir = NULL;
	cleanup_fd int out = open_here(s, from, e), in = -1;
	struct dirent *entry;
	int r = 0;

	if (out < 0)
		return out;
	in = open_here(s, to, e);
	if (in < 0)
		return in;
	settle_keep_time(in, times);
	dir = fdopendir(fcntl(out, F_DUPFD_CLOEXEC, 0));
	if (!dir)
		return err_set(e, errno, "read \"%.300s\"", from);
	while (r == 0 && (entry = readdir(dir)) != NULL) {
		char a[PATH_MAX], b[PATH_MAX];
		struct stat sa, sb;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (fstatat(in, entry->d_name, &sb, AT_SYMLINK_NOFOLLOW) < 0) {
			if (renameat(out, entry->d_name, in, entry->d_name) < 0)
				r = err_set(e, errno, "move \"%.300s\"", entry->d_name);
			continue;
		}
		if (fstatat(out, entry->d_name, &sa, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(sa.st_mode) &&
		    S_ISDIR(sb.st_mode)) {
			r = tree_join(from, entry->d_name, a, e);
			if (r == 0)
				r = tree_join(to, entry->d_name, b, e);
			if (r == 0)
				r = move_content(s, a, b, e);
		} else if (S_ISDIR(sa.st_mode)) {
			r = err_set(e, EBADMSG, "\"%.300s\" is a folder and a file", entry->d_name);
		} else if (unlinkat(out, entry->d_name, 0) < 0) {
			r = err_set(e, errno, "remove \"%.300s\"", entry->d_name);
		}
	}
	if (r == 0 && unlinkat(s->root, from, AT_REMOVEDIR) < 0)
		r = err_set(e, errno, "remove \"%.300s\"", from);
	futimens(in, times);
	return r;
}

/* The implied folders below `from` are now below `to`. */
static int move_implied(struct settle *s, const char *from, const char *to, struct err *e)
{
	size_t len = strlen(from);
	struct implied *end = NULL, *folder;
	int r = 0;

	for (folder = s->first; folder && r == 0; folder = folder->next) {
		char path[PATH_MAX];

		if (folder == end)
			break;
		if (folder->settled || strncmp(folder->path, from, len) != 0 || folder->path[len] != '/')
			continue;
		folder->settled = true;
		r = tree_join(to, folder->path + len + 1, path, e);
		if (r == 0) {
			struct implied **last = s->last;

			r = add_implied(s, path, e);
			if (!end && s->last != last)
				end = *last; /* the first one added: older ones end here */
		}
	}
	return r;
}

static int follow_link_below(struct settle *s, const char *path, int below, const char *part, struct err *e)
{
	struct way w = { .rest = "" };
	char *slash;
	int r;

	strcpy(w.path, path);
	slash = strrchr(w.path, '/');
	*(slash ? slash : w.path) = '\0';
	r = way_link(s, &w, below, part, e);
	if (r == 0)
		r = go(s, &w, e);
	if (r < 0)
		return r;
	if (strncmp(w.path, path, strlen(path)) == 0 && (!w.path[strlen(path)] || w.path[strlen(path)] == '/'))
		return err_set(e, EBADMSG, "link \"%.300s\" leads into itself", path);
	r = move_content(s, path, w.path, e);
	return r < 0 ? r : move_implied(s, path, w.path, e);
}

static int settle_folder(struct settle *s, struct implied *folder, struct err *e)
{
	char split[PATH_MAX];
	const char *dir, *base;
	cleanup_fd int here = open_plain(s->root, folder->path), below = -1, from = -1;
	struct stat st;
	int r = 0;

	folder->settled = true;
	if (here < 0)
		return 0; /* moved away with a folder above it */
	strcpy(split, folder->path);
	base = name_split(split, &dir);
	below = settle_below(s, dir);
	if (below < 0 || fstatat(below, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; /* nothing below: it stays as it was made */
	if (S_ISDIR(st.st_mode)) {
		from = openat(below, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		return from < 0 ? err_set(e, errno, "open \"%.300s\" below", folder->path) :
				  settle_copy_attributes(from, here, folder->path, e);
	}
	if (!S_ISLNK(st.st_mode))
		return err_set(e, EBADMSG, "\"%.300s\" is used as a folder and is none", folder->path);
	if (++s->depth > DEPTH_MAX)
		return err_set(e, EBADMSG, "\"%.300s\" goes through too many links", folder->path);
	s->links = 0;
	r = follow_link_below(s, folder->path, below, base, e);
	s->depth--;
	return r;
}

int settle_folder_of(struct settle *s, const char *dir, char ret_path[PATH_MAX], struct err *e)
{
	struct way w = { .path = "" };
	int fd, r;

	strcpy(w.rest, dir);
	s->links = 0;
	r = go(s, &w, e);
	if (r < 0)
		return r;
	fd = open_here(s, w.path, e);
	if (fd >= 0)
		strcpy(ret_path, w.path);
	return fd;
}

static int settle_all(struct settle *s, const struct pending *pending, struct err *e)
{
	struct pending_record record;
	size_t at = 0;
	int r;

	while ((r = pending_next(pending, &at, &record, e)) == 1)
		if (record.kind == PENDING_FOLDER) {
			r = strlen(record.path) < PATH_MAX ? add_implied(s, record.path, e) : -EBADMSG;
			if (r < 0)
				return r;
		}
	if (r < 0)
		return r;
	for (struct implied *folder = s->first; folder; folder = folder->next) {
		r = folder->settled ? 0 : settle_folder(s, folder, e);
		if (r < 0)
			return r;
	}
	at = 0;
	while ((r = pending_next(pending, &at, &record, e)) == 1)
		if (record.kind == PENDING_LINK) {
			r = settle_link(s, &record, e);
			if (r < 0)
				return r;
		}
	return r;
}

int settle(int root_fd, int lower_fd, const struct pending *pending, uint64_t *ret_bytes, uint64_t *ret_inodes,
	   struct err *e)
{
	struct settle s = { .root = root_fd, .lower = lower_fd };
	int r;

	s.last = &s.first;
	r = settle_all(&s, pending, e);
	while (s.by_path) {
		struct implied *folder = *(struct implied **)s.by_path;

		tdelete(folder, &s.by_path, compare);
		free(folder);
	}
	if (r == 0) {
		*ret_bytes = s.bytes;
		*ret_inodes = s.inodes;
	}
	return r;
}
