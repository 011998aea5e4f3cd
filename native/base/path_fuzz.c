/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: path resolution in a tree that somebody hostile made. The input makes the tree (folders, files,
 * links with any text), then asks for one path in all ways. The walk by hand must find what openat2(2) finds,
 * and nothing may be found or made outside of the root.
 */
#include <limits.h>

#include "base/fuzz_tree.h"

static char top[200], root_path[220];

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
	char path[300];
	int root;

	snprintf(root_path, sizeof(root_path), "%s/root", fuzz_folder(top, sizeof(top)));
	root = fuzz_fresh(top, "root");
	fuzz_make_tree(root, &in);
	fuzz_text(&in, path, sizeof(path));
	check_clean(path);
	compare(root, path, O_PATH);
	compare(root, path, O_PATH | O_NOFOLLOW);
	compare(root, path, O_PATH | O_DIRECTORY);
	make(root, path, fuzz_byte(&in) & 1);
	FUZZ_HOLDS(fuzz_count(top) == 1, "something was made beside the root");
	close(root);
	return 0;
}
