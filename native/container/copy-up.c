/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tmpcopyup (config.md, "Linux mount options"): a tmpfs starts with what the image has at its place.
 * Everything is named by one part below a descriptor, and no link is followed: an image can't lead out.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "container/internal.h"

enum { DEPTH_MAX = 64 };

static int own(int dir, const char *name, const struct stat *st, struct err *e)
{
	if (fchownat(dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "tmpcopyup: owner of \"%s\"", name);
	return 0;
}

static int copy_file(int from, int to, const char *name, const struct stat *st, struct err *e)
{
	cleanup_fd int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	cleanup_fd int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat now;
	ssize_t n;

	if (in < 0 || out < 0 || fstat(in, &now) < 0)
		return err_set(e, errno, "tmpcopyup: open \"%s\"", name);
	if (!S_ISREG(now.st_mode))
		return err_set(e, EINVAL, "tmpcopyup: \"%s\" is no file any more", name);
	while ((n = sendfile(out, in, NULL, 1u << 20)) > 0)
		;
	if (n < 0)
		return err_set(e, errno, "tmpcopyup: copy \"%s\"", name);
	if (own(to, name, st, e) < 0)
		return -e->code;
	/* After the owner: chown(2) takes set-user-id away. */
	return fchmod(out, st->st_mode & 07777) < 0 ? err_set(e, errno, "tmpcopyup: mode of \"%s\"", name) : 0;
}

static int copy_link(int from, int to, const char *name, const struct stat *st, struct err *e)
{
	char target[4096];
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

	if (n < 0)
		return err_set(e, errno, "tmpcopyup: read the link \"%s\"", name);
	target[n] = '\0';
	if (symlinkat(target, to, name) < 0)
		return err_set(e, errno, "tmpcopyup: make the link \"%s\"", name);
	return own(to, name, st, e);
}

static int copy_folder(int from, int to, int depth, struct err *e);

static int copy_entry(int from, int to, const char *name, int depth, struct err *e)
{
	cleanup_fd int in = -1, out = -1;
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "tmpcopyup: look at \"%s\"", name);
	if (S_ISREG(st.st_mode))
		return copy_file(from, to, name, &st, e);
	if (S_ISLNK(st.st_mode))
		return copy_link(from, to, name, &st, e);
	if (!S_ISDIR(st.st_mode)) {
		if (mknodat(to, name, st.st_mode & (S_IFMT | 07777), st.st_rdev) < 0)
			return err_set(e, errno, "tmpcopyup: make \"%s\"", name);
		return own(to, name, &st, e);
	}
	if (mkdirat(to, name, 0700) < 0)
		return err_set(e, errno, "tmpcopyup: make the folder \"%s\"", name);
	in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (in < 0 || out < 0)
		return err_set(e, errno, "tmpcopyup: open the folder \"%s\"", name);
	if (copy_folder(in, out, depth + 1, e) < 0 || own(to, name, &st, e) < 0)
		return -e->code;
	return fchmod(out, st.st_mode & 07777) < 0 ? err_set(e, errno, "tmpcopyup: mode of \"%s\"", name) : 0;
}

static int copy_folder(int from, int to, int depth, struct err *e)
{
	int copy = fcntl(from, F_DUPFD_CLOEXEC, 3), r = 0;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;

	if (!dir) {
		r = err_set(e, errno, "tmpcopyup: list a folder");
		if (copy >= 0)
			close(copy);
		return r;
	}
	if (depth > DEPTH_MAX)
		r = err_set(e, ELOOP, "tmpcopyup: folders deeper than %d", DEPTH_MAX);
	while (r == 0 && (errno = 0, entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			r = copy_entry(from, to, entry->d_name, depth, e);
	}
	if (r == 0 && errno)
		r = err_set(e, errno, "tmpcopyup: list a folder");
	closedir(dir);
	return r;
}

int copy_up(int from, int to, struct err *e)
{
	cleanup_fd int in = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int out = openat(to, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (in < 0 || out < 0)
		return err_set(e, errno, "tmpcopyup: open");
	return copy_folder(in, out, 0, e);
}
