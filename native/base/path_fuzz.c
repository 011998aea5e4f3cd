/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: path resolution in a tree that somebody hostile made. The input makes the tree (folders, files,
 * links with any text), then asks for one path in all ways. The walk by hand must find what openat2(2) finds,
 * and nothing may be found or made outside of the root.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fuzz.h"
#include "base/path.h"

enum { MAX_ENTRIES = 12 };

static char top[200], root_path[220];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

static int fresh_root(void)
{
	int fd;

	snprintf(root_path, sizeof(root_path), "%s/root", fuzz_folder(top, sizeof(top)));
	nftw(root_path, remove_one, 32, FTW_DEPTH | FTW_PHYS);
	FUZZ_HOLDS(mkdir(root_path, 0755) == 0, "make %s: %s", root_path, strerror(errno));
	fd = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	FUZZ_HOLDS(fd >= 0, "open %s", root_path);
	return fd;
}

/* What stands beside the root is counted: it is alone, always. */
static void check_alone(void)
{
	DIR *list = opendir(top);
	int count = 0;

	FUZZ_HOLDS(list, "open %s", top);
	for (struct dirent *d; (d = readdir(list)); )
		count++;
	closedir(list);
	FUZZ_HOLDS(count == 3, "something was made beside the root");
}

/* The name of an entry: below the root by its text; the tree's maker has no other way in. */
static bool entry_name(const char *text, char *ret, size_t size)
{
	char slashed[300], clean[300];

	snprintf(slashed, sizeof(slashed), "/%s", text);
	if (path_clean(slashed, clean, sizeof(clean)) < 0 || !clean[1])
		return false;
	snprintf(ret, size, "%s", clean + 1);
	return true;
}

/* An entry whose parents are folders; the tree's maker uses no links to make more. */
static void make_entry(int root, uint8_t kind, const char *name, const char *text)
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

static void check_inside(int fd, const char *what, const char *path)
{
	char link[32], where[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, where, sizeof(where) - 1);
	FUZZ_HOLDS(n > 0, "readlink %s", link);
	where[n] = '\0';
	FUZZ_HOLDS(path_below(where, root_path), "%s \"%s\" leads to %s", what, path, where);
}

/* Returns the descriptor or -errno. */
static int ask(int root, const char *path, int flags, bool walk)
{
	struct err e = { 0 };
	int fd = -1, r;

	path_force_walk(walk);
	r = path_open(root, path, flags, 0644, &fd, &e);
	path_force_walk(false);
	FUZZ_HOLDS(r == 0 || e.code == -r, "error %d without a number", r);
	if (r == 0)
		check_inside(fd, walk ? "walk" : "openat2", path);
	return r < 0 ? r : fd;
}

static void compare(int root, const char *path, int flags)
{
	struct stat a = { 0 }, b = { 0 };
	int by_kernel = ask(root, path, flags, false), by_hand = ask(root, path, flags, true);

	if (by_kernel >= 0 && by_hand >= 0) {
		fstat(by_kernel, &a);
		fstat(by_hand, &b);
		FUZZ_HOLDS(a.st_ino == b.st_ino && a.st_dev == b.st_dev, "\"%s\" is %lu by openat2 and %lu by hand", path,
			   (unsigned long)a.st_ino, (unsigned long)b.st_ino);
	} else {
		FUZZ_HOLDS(by_kernel < 0 && by_hand < 0, "\"%s\" is %d by openat2 and %d by hand (flags %o)", path, by_kernel,
			   by_hand, (unsigned int)flags);
	}
	if (by_kernel >= 0)
		close(by_kernel);
	if (by_hand >= 0)
		close(by_hand);
}

static void make(int root, const char *path, bool walk)
{
	struct err e = { 0 };
	int fd;

	path_force_walk(walk);
	if (path_target(root, path, false, &fd, &e) == 0) {
		check_inside(fd, "target", path);
		close(fd);
	}
	if (path_mkdirs(root, path, 0755, &fd, &e) == 0) {
		check_inside(fd, "folder", path);
		close(fd);
	}
	path_force_walk(false);
}

static void check_clean(const char *path)
{
	char once[400], twice[400];

	if (path_clean(path, once, sizeof(once)) < 0)
		return;
	FUZZ_HOLDS(once[0] == '/' && !strstr(once, "//") && !strstr(once, "/../") && !strstr(once, "/./"), "\"%s\"", once);
	FUZZ_HOLDS(path_clean(once, twice, sizeof(twice)) == 0 && !strcmp(once, twice), "\"%s\" is cleaned twice", path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	char name[300], text[300], path[300];
	int root = fresh_root(), count = fuzz_byte(&in) % MAX_ENTRIES;

	for (int i = 0; i < count && in.len; i++) {
		uint8_t kind = fuzz_byte(&in);

		fuzz_text(&in, text, sizeof(text));
		if (!entry_name(text, name, sizeof(name)))
			continue;
		make_entry(root, kind, name, kind % 4 == 3 ? fuzz_text(&in, text, sizeof(text)) : "");
	}
	fuzz_text(&in, path, sizeof(path));
	check_clean(path);
	compare(root, path, O_PATH);
	compare(root, path, O_PATH | O_NOFOLLOW);
	compare(root, path, O_PATH | O_DIRECTORY);
	make(root, path, fuzz_byte(&in) & 1);
	check_alone();
	close(root);
	return 0;
}
