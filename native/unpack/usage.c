/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/usage.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/sys.h"

#define DEPTH_MAX 1000000

struct linux_dirent64 {
	uint64_t d_ino;
	int64_t d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

/* A folder above the one being read: which it is, and where to go on in it. */
struct level {
	ino_t ino;
	off_t next;
};

struct scan {
	dev_t dev;
	int fd; /* the folder being read */
	ino_t ino;
	off_t next; /* behind the entry looked at last */
	struct level *above;
	size_t depth, room;
	double bytes, inodes; /* shares of linked files are fractions */
};

static void count(struct scan *s, const struct stat *st)
{
	double share = S_ISDIR(st->st_mode) || st->st_nlink < 2 ? 1 : 1 / (double)st->st_nlink;

	s->bytes += 512 * (double)st->st_blocks * share;
	s->inodes += share;
}

static int descend(struct scan *s, const char *name, struct err *e)
{
	struct stat st;
	int fd;

	if (s->depth == s->room) {
		size_t room = s->room * 2 + 64;
		struct level *above = room > DEPTH_MAX ? NULL : realloc(s->above, room * sizeof(*above));

		if (!above)
			return err_set(e, ENOMEM, "tree is too deep");
		s->above = above;
		s->room = room;
	}
	fd = openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : err_set(e, errno, "open a folder");
	if (fstat(fd, &st) < 0 || st.st_dev != s->dev) {
		close(fd); /* another file system is mounted here */
		return 0;
	}
	s->above[s->depth++] = (struct level){ s->ino, s->next };
	close(s->fd);
	s->fd = fd;
	s->ino = st.st_ino;
	s->next = 0;
	return 1;
}

static int ascend(struct scan *s, struct err *e)
{
	const struct level *up = &s->above[--s->depth];
	int fd = openat(s->fd, "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return err_set(e, errno, "open a folder");
	/* Somebody moved the folder: what is above it now may be anything. */
	if (fstat(fd, &st) < 0 || st.st_dev != s->dev || st.st_ino != up->ino) {
		close(fd);
		return err_set(e, EBUSY, "the tree changes");
	}
	close(s->fd);
	s->fd = fd;
	s->ino = up->ino;
	s->next = up->next;
	if (lseek(fd, up->next, SEEK_SET) < 0)
		return err_set(e, errno, "read a folder");
	return 0;
}

/* Counts the entries of one buffer up to the first folder, which is entered. Returns 1 then. */
static int read_entries(struct scan *s, const char *buf, long len, struct err *e)
{
	for (long at = 0; at < len;) {
		const struct linux_dirent64 *d = (const void *)(buf + at);
		struct stat st;
		int r;

		at += d->d_reclen;
		s->next = d->d_off;
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (fstatat(s->fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != s->dev)
			continue;
		count(s, &st);
		if (!S_ISDIR(st.st_mode))
			continue;
		r = descend(s, d->d_name, e);
		if (r)
			return r;
	}
	return 0;
}

static int scan(struct scan *s, struct err *e)
{
	char buf[16384] __attribute__((aligned(8)));

	for (;;) {
		long n = syscall(SYS_getdents64, s->fd, buf, sizeof(buf));
		int r;

		if (n < 0)
			return err_set(e, errno, "read a folder");
		if (n == 0) {
			if (!s->depth)
				return 0;
			r = ascend(s, e);
		} else {
			r = read_entries(s, buf, n, e);
		}
		if (r < 0)
			return r;
	}
}

int usage_of(const char *path, struct usage *ret, struct err *e)
{
	struct scan s = { .fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) };
	struct stat st;
	int r;

	if (s.fd < 0 || fstat(s.fd, &st) < 0) {
		r = err_set(e, errno, "open %s", path);
	} else {
		s.dev = st.st_dev;
		s.ino = st.st_ino;
		count(&s, &st);
		r = scan(&s, e);
	}
	if (s.fd >= 0)
		close(s.fd);
	free(s.above);
	if (r == 0)
		*ret = (struct usage){ (uint64_t)(s.bytes + 0.5), (uint64_t)(s.inodes + 0.5) };
	return r;
}
