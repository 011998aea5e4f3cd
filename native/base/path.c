/* SPDX-License-Identifier: Apache-2.0 */
#include "path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "sys.h"

enum {
	MAX_LINKS = 40,   /* as the kernel's MAXSYMLINKS */
	MAX_DEPTH = 256,  /* folders held open by the walk; deeper paths are ENAMETOOLONG */
	MAX_EAGAIN = 128, /* openat2 gives up with EAGAIN while something is renamed meanwhile */
};

static bool force_walk;

void path_force_walk(bool on)
{
	force_walk = on;
}

/* -ENOSYS: not there, or refused by a filter that does not know it. */
static int open_in_root(int root_fd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned int)(flags | O_CLOEXEC),
		.mode = flags & (O_CREAT | O_TMPFILE) & ~O_DIRECTORY ? mode : 0,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	struct open_how probe = { .flags = O_PATH | O_CLOEXEC };
	int fd, tries = 0;

	if (force_walk)
		return -ENOSYS;
	do
		fd = sys_openat2(root_fd, *path ? path : ".", &how);
	while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < MAX_EAGAIN)));
	if (fd >= 0)
		return fd;
	/* A filter says EPERM; so may the filesystem: only a probe tells them apart. */
	if (errno == EPERM) {
		fd = sys_openat2(root_fd, ".", &probe);
		if (fd < 0 && errno == EPERM)
			return -ENOSYS;
		if (fd >= 0)
			close(fd);
		return -EPERM;
	}
	return -errno;
}

/* The walk: a stack of open folders, the root lowest, and the text that is still to be resolved. */
struct walk {
	int dirs[MAX_DEPTH];
	int depth; /* dirs[depth] is where we stand; dirs[0] is borrowed */
	int links;
	char rest[PATH_MAX];
};

static void walk_pop(struct walk *w, int to)
{
	for (; w->depth > to; w->depth--)
		close(w->dirs[w->depth]);
}

static void cleanup_walk(struct walk *w)
{
	walk_pop(w, 0);
}

/* Cuts the first name off the rest. False: nothing left. *ret_last: only slashes follow. */
static bool walk_next(struct walk *w, char name[NAME_MAX + 1], bool *ret_last, bool *ret_slash, int *ret_error)
{
	char *p = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(p, "/"), after;

	*ret_error = 0;
	if (!len)
		return false;
	if (len > NAME_MAX) {
		*ret_error = -ENAMETOOLONG;
		return false;
	}
	memcpy(name, p, len);
	name[len] = '\0';
	after = strspn(p + len, "/");
	*ret_slash = after > 0;
	*ret_last = p[len + after] == '\0';
	memmove(w->rest, p + len + after, strlen(p + len + after) + 1);
	return true;
}

/*
 * RESOLVE_NO_MAGICLINKS by hand: procfs's own links are relative ("self" is "42"); those that stand
 * for an object of the kernel read as an absolute path or as "net:[4026531840]".
 */
static bool is_magic(int link_fd, const char *text)
{
	struct statfs fs;

	return fstatfs(link_fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC && (text[0] == '/' || strchr(text, '['));
}

/* Puts the text of a link before the rest; an absolute one starts at the root again. */
static int walk_link(struct walk *w, int link_fd)
{
	char text[PATH_MAX], joined[PATH_MAX];
	ssize_t n = readlinkat(link_fd, "", text, sizeof(text) - 1);

	if (n < 0)
		return -errno;
	if (n == 0 || n == (ssize_t)sizeof(text) - 1)
		return n ? -ENAMETOOLONG : -ENOENT;
	text[n] = '\0';
	if (++w->links > MAX_LINKS || is_magic(link_fd, text))
		return -ELOOP;
	if ((size_t)snprintf(joined, sizeof(joined), "%s%s%s", text, *w->rest ? "/" : "", w->rest) >= sizeof(joined))
		return -ENAMETOOLONG;
	memcpy(w->rest, joined, strlen(joined) + 1);
	if (text[0] == '/')
		walk_pop(w, 0);
	return 0;
}

/*
 * How the walk ends: flags and mode of the last open, and what it may make: folders on the way
 * (mkdirs), the last part as a folder too (mkdir_last).
 */
struct walk_end {
	int flags;
	mode_t mode;
	bool mkdirs, mkdir_last;
	mode_t dir_mode;
};

static int walk_last(struct walk *w, const char *name, const struct walk_end *end)
{
	int fd = openat(w->dirs[w->depth], name, end->flags | O_NOFOLLOW | O_CLOEXEC, end->mode);

	return fd < 0 ? -errno : fd;
}

/* Returns a descriptor or -errno. */
static int walk_open(int root_fd, const char *path, const struct walk_end *end)
{
	__attribute__((cleanup(cleanup_walk))) struct walk w = { .dirs = { root_fd } };
	char name[NAME_MAX + 1];
	bool last, slash;
	int error;

	if (strlen(path) >= sizeof(w.rest))
		return -ENAMETOOLONG;
	memcpy(w.rest, path, strlen(path) + 1);
	while (walk_next(&w, name, &last, &slash, &error)) {
		cleanup_fd int fd = -1;
		struct stat st;
		int r;

		if (!strcmp(name, "."))
			continue;
		if (!strcmp(name, "..")) {
			walk_pop(&w, w.depth ? w.depth - 1 : 0);
			continue;
		}
		fd = openat(w.dirs[w.depth], name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT && (last ? end->mkdir_last : end->mkdirs)) {
			if (mkdirat(w.dirs[w.depth], name, end->dir_mode) < 0 && errno != EEXIST)
				return -errno;
			fd = openat(w.dirs[w.depth], name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		}
		if (fd < 0 && errno == ENOENT && last && !slash && (end->flags & O_CREAT))
			return walk_last(&w, name, end);
		if (fd < 0)
			return -errno;
		if (fstat(fd, &st) < 0)
			return -errno;
		if (S_ISLNK(st.st_mode) && !(last && !slash && (end->flags & O_NOFOLLOW))) {
			if (slash && last) { /* keeps "link/" a demand for a folder */
				w.rest[0] = '.';
				w.rest[1] = '\0';
			}
			r = walk_link(&w, fd);
			if (r < 0)
				return r;
			continue;
		}
		if (last && !slash && !S_ISDIR(st.st_mode))
			return walk_last(&w, name, end);
		if (!S_ISDIR(st.st_mode))
			return -ENOTDIR;
		if (w.depth + 1 == MAX_DEPTH)
			return -ENAMETOOLONG;
		w.dirs[++w.depth] = take_fd(&fd);
	}
	if (error)
		return error;
	/* A folder, held open: open it anew with the flags asked for. */
	error = openat(w.dirs[w.depth], ".", end->flags | O_NOFOLLOW | O_CLOEXEC, end->mode);
	return error < 0 ? -errno : error;
}

int path_open(int root_fd, const char *path, int flags, mode_t mode, int *ret_fd, struct err *e)
{
	struct walk_end end = { .flags = flags, .mode = mode };
	int fd = open_in_root(root_fd, path, flags, mode);

	if (fd == -ENOSYS)
		fd = walk_open(root_fd, path, &end);
	if (fd < 0)
		return err_set(e, -fd, "open \"%s\" inside the root", path);
	*ret_fd = fd;
	return 0;
}

int path_mkdirs(int root_fd, const char *path, mode_t mode, int *ret_fd, struct err *e)
{
	struct walk_end end = { .flags = O_PATH | O_DIRECTORY, .mkdirs = true, .mkdir_last = true, .dir_mode = mode };
	int fd = open_in_root(root_fd, path, O_PATH | O_DIRECTORY, 0);

	/* The usual case is that all is there; openat2 cannot make folders, the walk can. */
	if (fd == -ENOENT || fd == -ENOSYS)
		fd = walk_open(root_fd, path, &end);
	if (fd < 0)
		return err_set(e, -fd, "make folder \"%s\" inside the root", path);
	*ret_fd = fd;
	return 0;
}

int path_target(int root_fd, const char *path, bool dir, int *ret_fd, struct err *e)
{
	struct walk_end end = { .flags = O_RDONLY | O_CREAT | O_NONBLOCK | O_NOCTTY, .mode = 0644,
				.mkdirs = true, .dir_mode = 0755 };
	struct walk_end found = { .flags = O_PATH };
	cleanup_fd int fd = -1;
	struct stat st;

	if (dir)
		return path_mkdirs(root_fd, path, 0755, ret_fd, e);
	/* O_PATH first: a FIFO or device that stands there already is not opened. */
	for (int tries = 0; tries < 2 && fd < 0; tries++) {
		fd = open_in_root(root_fd, path, O_PATH, 0);
		if (fd == -ENOSYS)
			fd = walk_open(root_fd, path, &found);
		if (fd == -ENOENT && tries == 0) {
			cleanup_fd int made = walk_open(root_fd, path, &end);

			if (made < 0)
				return err_set(e, -made, "make file \"%s\" inside the root", path);
		}
	}
	if (fd < 0)
		return err_set(e, -fd, "open \"%s\" inside the root", path);
	if (fstat(fd, &st) < 0)
		return err_set(e, errno, "stat \"%s\" inside the root", path);
	if (S_ISDIR(st.st_mode))
		return err_set(e, EISDIR, "mount target \"%s\" inside the root", path);
	*ret_fd = take_fd(&fd);
	return 0;
}

int path_reopen(int fd, int flags)
{
	cleanup_fd int proc = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;
	char name[16];
	int again;

	if (proc < 0 || fstatfs(proc, &fs) < 0)
		return -errno;
	if (fs.f_type != PROC_SUPER_MAGIC)
		return -EXDEV;
	snprintf(name, sizeof(name), "%d", fd);
	again = openat(proc, name, flags | O_CLOEXEC);
	return again < 0 ? -errno : again;
}

char *path_join(const char *dir, const char *name)
{
	size_t n = strlen(dir);
	char *out;

	while (n && dir[n - 1] == '/')
		n--;
	name += strspn(name, "/");
	out = malloc(n + strlen(name) + 2);
	if (out)
		sprintf(out, "%.*s/%s", (int)n, dir, name);
	return out;
}

int path_clean(const char *path, char *buf, size_t size)
{
	size_t at = 0;

	if (path[0] != '/' || !size)
		return -EINVAL;
	for (const char *p = path + strspn(path, "/"); *p;) {
		size_t len = strcspn(p, "/");

		if (len == 2 && p[0] == '.' && p[1] == '.') {
			while (at && buf[--at] != '/')
				;
		} else if (!(len == 1 && p[0] == '.')) {
			if (at + len + 2 > size)
				return -ENAMETOOLONG;
			buf[at++] = '/';
			memcpy(buf + at, p, len);
			at += len;
		}
		p += len;
		p += strspn(p, "/");
	}
	if (!at) {
		if (size < 2)
			return -ENAMETOOLONG;
		buf[at++] = '/';
	}
	buf[at] = '\0';
	return 0;
}

bool path_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (n == 1) /* the root */
		return true;
	return !strncmp(path, dir, n) && (path[n] == '\0' || path[n] == '/');
}
