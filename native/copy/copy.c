/* SPDX-License-Identifier: Apache-2.0 */
#include "copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"

#define MODE_BITS 0777
/* Files of /proc and /sys say that they are empty; more than this none of them has to say. */
#define KERNEL_FILE_MAX (16u << 20)
#define PIECE (1u << 20)

struct copy {
	void (*left_out)(const char *path);
	char shown[PATH_MAX]; /* for messages */
};

static int copy_node(struct copy *c, int from, const char *from_name, int to, const char *to_name, int depth,
		     struct err *e);

static void cleanup_dir_func(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}
#define cleanup_dir __attribute__((cleanup(cleanup_dir_func)))

/* Bytes of [at, end) from one file to the other; a file that became shorter meanwhile ends early. */
static int copy_range(int from, int to, off_t at, off_t end, struct err *e)
{
	cleanup_free char *buf = NULL;
	bool by_kernel = true;

	while (at < end) {
		size_t want = end - at > PIECE ? PIECE : (size_t)(end - at);
		off_t in = at, out = at;
		ssize_t n = by_kernel ? copy_file_range(from, &in, to, &out, want, 0) : -1;

		if (n < 0 && by_kernel && errno != ENOSPC && errno != EDQUOT && errno != EIO) {
			by_kernel = false;
			buf = malloc(PIECE);
			if (!buf)
				return err_set(e, ENOMEM, "copy");
			continue;
		}
		if (!by_kernel) {
			n = pread(from, buf, want, at);
			if (n < 0 && errno == EINTR)
				continue;
			for (ssize_t done = 0; done < n;) {
				ssize_t w = pwrite(to, buf + done, (size_t)(n - done), at + done);

				if (w < 0 && errno == EINTR)
					continue;
				if (w <= 0)
					return err_set(e, w < 0 ? errno : EIO, "write");
				done += w;
			}
		}
		if (n < 0)
			return err_set(e, errno, "copy");
		if (n == 0)
			break;
		at += n;
	}
	return 0;
}

/* Holes stay holes: a file that claims to be larger than any disk costs what it holds. */
static int copy_data(int from, int to, off_t size, struct err *e)
{
	off_t at = 0;

	while (at < size) {
		off_t data = lseek(from, at, SEEK_DATA), end;

		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0)
			data = at; /* a filesystem that knows no holes */
		end = lseek(from, data, SEEK_HOLE);
		if (end < 0 || end > size)
			end = size;
		if (end <= data)
			break;
		if (copy_range(from, to, data, end, e) < 0)
			return -e->code;
		at = end;
	}
	return ftruncate(to, size) < 0 ? err_set(e, errno, "size") : 0;
}

static int copy_kernel_file(int from, int to, struct err *e)
{
	cleanup_free char *text = NULL;
	size_t len;

	if (io_read_all(from, KERNEL_FILE_MAX, &text, &len, e) < 0)
		return -e->code;
	return io_write_all(to, text, len, e);
}

/* A name that no other file of the folder has; the file is made, for us alone until it is whole. */
static int make_temporary(int dir, char ret[64], struct err *e)
{
	static unsigned int count;

	for (int i = 0; i < 1000; i++) {
		int fd;

		snprintf(ret, 64, ".kobako-copy-%d-%u", (int)getpid(), count++);
		fd = openat(dir, ret, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0 || errno != EEXIST)
			return fd >= 0 ? fd : err_set(e, errno, "make a file");
	}
	return err_set(e, EEXIST, "make a file");
}

/* What stands at the name is replaced, unless it is a folder: rename(2) says EISDIR. */
static int put_in_place(int dir, const char *temporary, const char *name, struct err *e)
{
	if (renameat(dir, temporary, dir, name) == 0)
		return 0;
	err_set(e, errno, "put in place");
	unlinkat(dir, temporary, 0);
	return -e->code;
}

static int copy_file(int node, const struct stat *st, int to, const char *to_name, struct err *e)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };
	cleanup_fd int in = path_reopen(node, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	cleanup_fd int out = -1;
	char temporary[64];
	int r;

	if (in < 0)
		return err_set(e, -in, "open");
	out = make_temporary(to, temporary, e);
	if (out < 0)
		return out;
	r = st->st_size ? copy_data(in, out, st->st_size, e) : copy_kernel_file(in, out, e);
	if (r == 0 && (fchmod(out, st->st_mode & MODE_BITS) < 0 || futimens(out, times) < 0))
		r = err_set(e, errno, "set mode and time");
	if (r < 0) {
		unlinkat(to, temporary, 0);
		return r;
	}
	return put_in_place(to, temporary, to_name, e);
}

static int copy_link(int node, int to, const char *to_name, struct err *e)
{
	char target[PATH_MAX], temporary[64];
	ssize_t n = readlinkat(node, "", target, sizeof(target) - 1);
	int fd;

	if (n < 0)
		return err_set(e, errno, "read link");
	target[n] = '\0';
	fd = make_temporary(to, temporary, e); /* finds a free name */
	if (fd < 0)
		return fd;
	close(fd);
	unlinkat(to, temporary, 0);
	if (symlinkat(target, to, temporary) < 0)
		return err_set(e, errno, "make link");
	return put_in_place(to, temporary, to_name, e);
}

/* Each name of an open folder. */
static int copy_entries(struct copy *c, int node, int to, int depth, struct err *e)
{
	cleanup_dir DIR *dir = NULL;
	int fd = path_reopen(node, O_RDONLY | O_DIRECTORY);
	struct dirent *entry;

	if (fd < 0)
		return err_set(e, -fd, "open folder");
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return err_set(e, ENOMEM, "open folder");
	}
	while (errno = 0, (entry = readdir(dir))) {
		size_t before = strlen(c->shown);

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(c->shown + before, sizeof(c->shown) - before, "/%s", entry->d_name);
		if (copy_node(c, dirfd(dir), entry->d_name, to, entry->d_name, depth + 1, e) < 0)
			return -e->code;
		c->shown[before] = '\0';
	}
	return errno ? err_set(e, errno, "read folder") : 0;
}

static int copy_folder(struct copy *c, int node, const struct stat *st, int to, const char *to_name, int depth,
		       struct err *e)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };
	cleanup_fd int made = -1;
	bool is_new = mkdirat(to, to_name, 0700) == 0;

	if (depth >= COPY_DEPTH_MAX)
		return err_set(e, ELOOP, "folders deeper than %d", COPY_DEPTH_MAX);
	if (!is_new && errno != EEXIST)
		return err_set(e, errno, "make folder");
	/* What others made meanwhile, or before, must be a folder: a link is not followed. */
	made = openat(to, to_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (made < 0)
		return err_set(e, errno, "open the new folder");
	if (copy_entries(c, node, made, depth, e) < 0)
		return -e->code;
	if (is_new && (fchmod(made, st->st_mode & MODE_BITS) < 0 || futimens(made, times) < 0))
		return err_set(e, errno, "set mode and time");
	return 0;
}

static int copy_node(struct copy *c, int from, const char *from_name, int to, const char *to_name, int depth,
		     struct err *e)
{
	cleanup_fd int node = openat(from, from_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (node < 0 || fstat(node, &st) < 0)
		return err_set(e, errno, "open");
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return copy_file(node, &st, to, to_name, e);
	case S_IFDIR:
		return copy_folder(c, node, &st, to, to_name, depth, e);
	case S_IFLNK:
		return copy_link(node, to, to_name, e);
	default:
		c->left_out(c->shown);
		return 0;
	}
}

/* "a/b/" is "b"; of ".", ".." and "/" nothing: then the copy needs a name of its own. */
static int last_name(const char *path, char ret[NAME_MAX + 1], struct err *e)
{
	size_t end = strlen(path), begin;

	while (end && path[end - 1] == '/')
		end--;
	begin = end;
	while (begin && path[begin - 1] != '/')
		begin--;
	if (end == begin || end - begin > NAME_MAX || !strncmp(path + begin, ".", end - begin) ||
	    (end - begin == 2 && !strncmp(path + begin, "..", 2)))
		return err_set(e, EINVAL, "\"%s\" ends in no name", path);
	memcpy(ret, path + begin, end - begin);
	ret[end - begin] = '\0';
	return 0;
}

/* The folder that `path` lies in. */
static int open_parent(int root, const char *path, int *ret_fd, struct err *e)
{
	cleanup_free char *parent = strdup(path);
	size_t end;

	if (!parent)
		return err_set(e, ENOMEM, "path");
	end = strlen(parent);
	while (end && parent[end - 1] == '/')
		end--;
	while (end && parent[end - 1] != '/')
		end--;
	parent[end] = '\0';
	return path_open(root, end ? parent : ".", O_PATH | O_DIRECTORY, 0, ret_fd, e);
}

static bool names_contents(const char *path)
{
	size_t n = strlen(path);

	return (n == 1 && path[0] == '.') || (n >= 2 && path[n - 1] == '.' && path[n - 2] == '/');
}

/* Where it goes: the folder and the name in it. */
static int open_target(int root, const char *to, const char *name, int *ret_dir, char ret_name[NAME_MAX + 1],
		       struct err *e)
{
	struct err ignored;

	if (path_open(root, to, O_PATH | O_DIRECTORY, 0, ret_dir, &ignored) == 0) {
		strcpy(ret_name, name);
		return 0;
	}
	if (to[0] && to[strlen(to) - 1] == '/')
		return err_set(e, ignored.code, "folder \"%s\"", to);
	if (last_name(to, ret_name, e) < 0 || open_parent(root, to, ret_dir, e) < 0)
		return -e->code;
	return 0;
}

int copy_path(int from_root, const char *from, int to_root, const char *to, void (*left_out)(const char *path),
	      struct err *e)
{
	struct copy c = { .left_out = left_out };
	char name[NAME_MAX + 1] = "", to_name[NAME_MAX + 1];
	cleanup_fd int node = -1;
	cleanup_fd int dir = -1;
	struct stat st;
	int r;

	snprintf(c.shown, sizeof(c.shown), "%s", from);
	/* As cp does: a link that is named itself is followed, those below it are copied as links. */
	if (path_open(from_root, from, O_PATH, 0, &node, e) < 0)
		return -e->code;
	if (fstat(node, &st) < 0)
		return err_set(e, errno, "stat \"%s\"", from);
	if (S_ISDIR(st.st_mode) && names_contents(from)) {
		/* A missing folder is made, in one that is there. */
		if (path_open(to_root, to, O_PATH | O_DIRECTORY, 0, &dir, e) < 0) {
			if (e->code != ENOENT || last_name(to, to_name, e) < 0 || open_parent(to_root, to, &dir, e) < 0)
				return -e->code;
			r = copy_folder(&c, node, &st, dir, to_name, 0, e);
		} else {
			r = copy_entries(&c, node, dir, 0, e);
		}
		return r < 0 ? err_wrap(e, "copy \"%s\"", c.shown) : 0;
	}
	if (last_name(from, name, e) < 0 || open_target(to_root, to, name, &dir, to_name, e) < 0)
		return -e->code;
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		r = copy_file(node, &st, dir, to_name, e);
		break;
	case S_IFDIR:
		r = copy_folder(&c, node, &st, dir, to_name, 0, e);
		break;
	default:
		r = err_set(e, EINVAL, "it is neither a file nor a folder");
		break;
	}
	return r < 0 ? err_wrap(e, "copy \"%s\"", c.shown) : 0;
}
