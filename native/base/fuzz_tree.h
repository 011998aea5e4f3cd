/* SPDX-License-Identifier: Apache-2.0 */
/* For *_fuzz.c: trees that somebody hostile made, and a canary beside them that nothing may lead to. */
#ifndef KOBAKO_BASE_FUZZ_TREE_H
#define KOBAKO_BASE_FUZZ_TREE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fuzz.h"
#include "base/path.h"

enum { FUZZ_MAX_ENTRIES = 12 };

static inline int fuzz_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

/* An empty folder `name` of `top`, opened for reading. */
static inline int fuzz_fresh(const char *top, const char *name)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", top, name);
	nftw(path, fuzz_remove, 32, FTW_DEPTH | FTW_PHYS);
	FUZZ_HOLDS(mkdir(path, 0755) == 0, "make %s: %s", path, strerror(errno));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FUZZ_HOLDS(fd >= 0, "open %s", path);
	return fd;
}

static inline int fuzz_count(const char *path)
{
	DIR *list = opendir(path);
	int count = 0;

	FUZZ_HOLDS(list, "open %s", path);
	for (struct dirent *d; (d = readdir(list)); )
		count += strcmp(d->d_name, ".") && strcmp(d->d_name, "..");
	closedir(list);
	return count;
}

/* The name of an entry: below the root by its text; the tree's maker has no other way in. */
static inline bool fuzz_entry_name(const char *text, char *ret, size_t size)
{
	char slashed[300], clean[300];

	snprintf(slashed, sizeof(slashed), "/%s", text);
	if (path_clean(slashed, clean, sizeof(clean)) < 0 || !clean[1])
		return false;
	snprintf(ret, size, "%s", clean + 1);
	return true;
}

/* An entry whose parents are folders; the tree's maker uses no links to make more. */
static inline void fuzz_make_entry(int root, uint8_t kind, const char *name, const char *text)
{
	char parent[300];
	char *slash;
	int dir = dup(root), next;

	snprintf(parent, sizeof(parent), "%s", name);
	for (char *part = parent; (slash = strchr(part, '/')); part = slash + 1) {
		*slash = '\0';
		mkdirat(dir, part, 0755);
		next = openat(dir, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(dir);
		if (next < 0)
			return;
		dir = next;
	}
	name = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	switch (kind % 4) {
	case 0: mkdirat(dir, name, 0755); break;
	case 1: mknodat(dir, name, S_IFREG | 0644, 0); break;
	case 2: mknodat(dir, name, S_IFIFO | 0644, 0); break;
	default: (void)!symlinkat(text, dir, name);
	}
	close(dir);
}

/* Up to FUZZ_MAX_ENTRIES entries below root, as the input says. */
static inline void fuzz_make_tree(int root, struct fuzz_input *in)
{
	char name[300], text[300];
	int count = fuzz_byte(in) % FUZZ_MAX_ENTRIES;

	for (int i = 0; i < count && in->len; i++) {
		uint8_t kind = fuzz_byte(in);

		fuzz_text(in, text, sizeof(text));
		if (fuzz_entry_name(text, name, sizeof(name)))
			fuzz_make_entry(root, kind, name, kind % 4 == 3 ? fuzz_text(in, text, sizeof(text)) : "");
	}
}

/* `top`/canary with one file in it. */
static inline void fuzz_canary(const char *top)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/canary", top);
	if (mkdir(path, 0700) < 0 && errno == EEXIST)
		return;
	snprintf(path, sizeof(path), "%s/canary/secret", top);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FUZZ_HOLDS(fd >= 0 && write(fd, "secret", 6) == 6, "make %s", path);
	close(fd);
}

static inline void fuzz_canary_holds(const char *top)
{
	char path[300], text[16] = "";
	struct stat folder, file;
	int fd;

	snprintf(path, sizeof(path), "%s/canary", top);
	FUZZ_HOLDS(fuzz_count(path) == 1 && lstat(path, &folder) == 0, "the canary is not alone");
	FUZZ_HOLDS((folder.st_mode & 07777) == 0700, "the canary's folder has another mode");
	snprintf(path, sizeof(path), "%s/canary/secret", top);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	FUZZ_HOLDS(fd >= 0 && fstat(fd, &file) == 0 && read(fd, text, sizeof(text)) == 6 && !memcmp(text, "secret", 6),
		   "the canary's file changed");
	FUZZ_HOLDS((file.st_mode & 07777) == 0600 && file.st_nlink == 1, "the canary's file has another mode or link");
	close(fd);
}

#endif
