/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/erase.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/sys.h"

struct erase {
	int top;               /* the folder whose content goes */
	unsigned long counter; /* names for folders that are moved up */
};

static void cleanup_dir_func(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}
#define cleanup_dir __attribute__((cleanup(cleanup_dir_func)))

static int open_folder(int dir_fd, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};

	return sys_openat2(dir_fd, name, &how);
}

/* Removes a file or an empty folder. Returns 0 or -errno; -ENOTEMPTY for a folder with content. */
static int remove_one(int dir_fd, const char *name)
{
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0)
		return 0;
	return errno == EEXIST ? -ENOTEMPTY : errno == ENOTDIR ? -EPERM : -errno;
}

static int move_up(struct erase *t, int dir_fd, const char *name)
{
	char to[32];

	for (;;) {
		snprintf(to, sizeof(to), ".e%lu", t->counter++);
		if (renameat(dir_fd, name, t->top, to) == 0)
			return 0;
		if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR && errno != EISDIR)
			return -errno;
	}
}

static int flatten(struct erase *t, const char *name);

/*
 * Goes once over a folder and removes or moves up what it can. *ret_done: how many; *ret_kept: how
 * many had to stay, *ret_why: the reason of the last.
 */
static int pass(struct erase *t, DIR *dir, unsigned long *ret_done, unsigned long *ret_kept, int *ret_why)
{
	const bool at_top = dirfd(dir) == t->top;

	*ret_done = *ret_kept = 0;
	rewinddir(dir);
	for (;;) {
		struct dirent *entry;
		int r;

		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return -errno;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		r = remove_one(dirfd(dir), entry->d_name);
		if (r == -ENOTEMPTY)
			r = at_top ? flatten(t, entry->d_name) : move_up(t, dirfd(dir), entry->d_name);
		if (r < 0) {
			(*ret_kept)++;
			*ret_why = r;
		} else {
			(*ret_done)++;
		}
	}
}

/* Empties a folder as far as it goes. Entries may be missed while others go, so it looks again. */
static int empty(struct erase *t, DIR *dir)
{
	unsigned long done, kept;
	int why = 0, r;

	do
		r = pass(t, dir, &done, &kept, &why);
	while (r == 0 && done);
	return r < 0 ? r : kept ? why : 0;
}

/* Empties the folder `name` of the top one into the top one, and removes it. */
static int flatten(struct erase *t, const char *name)
{
	cleanup_dir DIR *dir = NULL;
	cleanup_fd int fd = open_folder(t->top, name);
	int r;

	if (fd < 0)
		return errno == EXDEV ? -EBUSY : -errno;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	fd = -1; /* the stream owns it */
	r = empty(t, dir);
	if (r < 0)
		return r;
	return unlinkat(t->top, name, AT_REMOVEDIR) == 0 ? 0 : -errno;
}

int erase_at(int dir_fd, const char *name, struct err *e)
{
	cleanup_dir DIR *dir = NULL;
	cleanup_fd int fd = -1;
	struct erase t = { 0 };
	int r = remove_one(dir_fd, name);

	if (r == 0)
		return 0;
	if (r != -ENOTEMPTY)
		return err_set(e, -r, "remove \"%.300s\"", name);
	fd = open_folder(dir_fd, name);
	if (fd < 0)
		return err_set(e, errno == EXDEV ? EBUSY : errno, "open the folder \"%.300s\"", name);
	dir = fdopendir(fd);
	if (!dir)
		return err_set(e, errno, "read the folder \"%.300s\"", name);
	fd = -1;
	t.top = dirfd(dir);
	r = empty(&t, dir);
	if (r < 0)
		return err_set(e, -r, "remove what is in \"%.300s\"", name);
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_set(e, errno, "remove the folder \"%.300s\"", name);
	return 0;
}
