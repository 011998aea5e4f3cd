/* SPDX-License-Identifier: Apache-2.0 */
/* Paths stay inside their root, with openat2(2) and with the walk; both give the same answers. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"

static int failed;

#define CHECK(cond, ...)                                                  \
	do {                                                              \
		if (!(cond)) {                                            \
			printf("path_test:%d: ", __LINE__);               \
			printf(__VA_ARGS__);                              \
			printf("\n");                                     \
			failed = 1;                                       \
		}                                                         \
	} while (0)

static char top[64]; /* holds "root" and beside it the canary "out" */
static int root_fd;

static void put_file(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		abort();
	close(fd);
}

static void set_up(void)
{
	int fd;

	strcpy(top, "/tmp/path_test.XXXXXX");
	if (!mkdtemp(top) || chdir(top) || mkdir("root", 0755) || mkdir("out", 0755))
		abort();
	fd = open("out", O_RDONLY);
	put_file(fd, "secret", "secret");
	close(fd);
	root_fd = open("root", O_RDONLY | O_DIRECTORY);
	if (mkdirat(root_fd, "a", 0755) || mkdirat(root_fd, "a/b", 0755) || mkdirat(root_fd, "usr", 0755) ||
	    mkdirat(root_fd, "usr/lib", 0755) || mkdirat(root_fd, "etc", 0755))
		abort();
	put_file(root_fd, "a/b/file", "inside");
	put_file(root_fd, "etc/passwd", "root-of-the-rootfs");
	symlinkat("usr/lib", root_fd, "lib");
	symlinkat("/etc", root_fd, "abs");
	symlinkat("../../../../../../../../etc/passwd", root_fd, "up");
	symlinkat("../../out", root_fd, "a/escape");
	symlinkat("loop2", root_fd, "loop1");
	symlinkat("loop1", root_fd, "loop2");
	symlinkat("/run", root_fd, "dangling");
	symlinkat("/proc/self/root", root_fd, "magic");
	symlinkat("b/file", root_fd, "a/tofile");
	if (mkfifoat(root_fd, "fifo", 0644))
		abort();
}

static int open_path(const char *path, int flags)
{
	struct err e = { 0 };
	int fd = -1, r = path_open(root_fd, path, flags, 0644, &fd, &e);

	return r < 0 ? r : fd;
}

static void expect_text(const char *path, const char *want)
{
	char buf[64] = "";
	int fd = open_path(path, O_RDONLY);

	CHECK(fd >= 0, "%s: %s", path, strerror(-fd));
	if (fd < 0)
		return;
	if (read(fd, buf, sizeof(buf) - 1) < 0)
		abort();
	CHECK(!strcmp(buf, want), "%s: read \"%s\", expected \"%s\"", path, buf, want);
	close(fd);
}

static void expect_error(const char *path, int flags, int want)
{
	int fd = open_path(path, flags);

	CHECK(fd == -want, "%s: %d (%s), expected %s", path, fd, strerror(-fd), strerror(want));
	if (fd >= 0)
		close(fd);
}

static int canary_count(void)
{
	DIR *d = opendir("out");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_open(void)
{
	expect_text("a/b/file", "inside");
	expect_text("/a/b/file", "inside");
	expect_text("//a/./b//file", "inside");
	expect_text("../../a/b/../b/file", "inside");
	expect_text("abs/passwd", "root-of-the-rootfs");
	expect_text("up", "root-of-the-rootfs");
	expect_text("a/tofile", "inside");
	expect_error("a/escape/secret", O_RDONLY, ENOENT);
	expect_error("loop1", O_RDONLY, ELOOP);
	expect_error("a/b/file/x", O_RDONLY, ENOTDIR);
	expect_error("a/b/file/", O_RDONLY, ENOTDIR);
	expect_error("up", O_RDONLY | O_NOFOLLOW, ELOOP);
	expect_error("nothing", O_RDONLY, ENOENT);
	expect_error("magic/etc/passwd", O_RDONLY, ENOENT); /* /proc of the rootfs is none */
}

static void test_create(void)
{
	struct err e = { 0 };
	struct stat st;
	int fd;

	fd = open_path("lib/new", O_WRONLY | O_CREAT);
	CHECK(fd >= 0 && fstatat(root_fd, "usr/lib/new", &st, 0) == 0, "lib/new does not land in usr/lib");
	close(fd);
	unlinkat(root_fd, "usr/lib/new", 0);
	CHECK(path_mkdirs(root_fd, "dangling/secrets/x", 0700, &fd, &e) == 0, "through a dangling link: %s", e.step);
	CHECK(fstatat(root_fd, "run/secrets/x", &st, 0) == 0 && S_ISDIR(st.st_mode), "run/secrets/x was not made");
	close(fd);
	unlinkat(root_fd, "run/secrets/x", AT_REMOVEDIR);
	unlinkat(root_fd, "run/secrets", AT_REMOVEDIR);
	unlinkat(root_fd, "run", AT_REMOVEDIR);
	CHECK(path_mkdirs(root_fd, "../../out/made", 0755, &fd, &e) == 0, "%s", e.step);
	CHECK(fstatat(root_fd, "out/made", &st, 0) == 0, "../../out/made was not made inside");
	close(fd);
	unlinkat(root_fd, "out/made", AT_REMOVEDIR);
	unlinkat(root_fd, "out", AT_REMOVEDIR);
	CHECK(path_mkdirs(root_fd, "a/b/file/x", 0755, &fd, &e) == -ENOTDIR, "a folder below a file");
	CHECK(path_mkdirs(root_fd, "loop1/x", 0755, &fd, &e) == -ELOOP, "a folder below a loop");
}

static void test_target(void)
{
	struct err e = { 0 };
	struct stat st;
	int fd = -1;

	CHECK(path_target(root_fd, "new/dir/file", false, &fd, &e) == 0, "%s", e.step);
	CHECK(fstat(fd, &st) == 0 && S_ISREG(st.st_mode), "no file was made");
	close(fd);
	unlinkat(root_fd, "new/dir/file", 0);
	unlinkat(root_fd, "new/dir", AT_REMOVEDIR);
	unlinkat(root_fd, "new", AT_REMOVEDIR);
	/* Must not hang on a FIFO. */
	CHECK(path_target(root_fd, "fifo", false, &fd, &e) == 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode), "fifo");
	close(fd);
	CHECK(path_target(root_fd, "a", false, &fd, &e) == -EISDIR, "a folder as target of a file");
	CHECK(path_target(root_fd, "a/b/file", true, &fd, &e) == -ENOTDIR, "a file as target of a folder");
}

static void test_clean(void)
{
	static const char *const cases[][2] = { { "/", "/" }, { "//a//b/", "/a/b" }, { "/a/./b/../c", "/a/c" },
						{ "/../../x", "/x" }, { "/a/..", "/" }, { "/.../..a", "/.../..a" } };
	char buf[32];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK(path_clean(cases[i][0], buf, sizeof(buf)) == 0 && !strcmp(buf, cases[i][1]), "%s gives %s",
		      cases[i][0], buf);
	CHECK(path_clean("a", buf, sizeof(buf)) == -EINVAL, "a relative path");
	CHECK(path_clean("/0123456789", buf, 8) == -ENAMETOOLONG, "a small buffer");
	CHECK(path_below("/a/b", "/a") && path_below("/a", "/a") && !path_below("/ab", "/a") && path_below("/x", "/"),
	      "path_below");
}

/* What stands for a descriptor or a namespace of ours is never followed, and its names are not made either. */
static void test_magic(void)
{
	cleanup_fd int top_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err e = { 0 };
	int fd = -1;

	for (int n = 0; n < 64; n++) {
		char name[32];
		int r;

		snprintf(name, sizeof(name), "/proc/self/fd/%d", n);
		r = path_mkdirs(top_fd, name, 0755, &fd, &e);
		CHECK(r == -ELOOP || r == -ENOENT || r == -EPERM, "%s: %d", name, r);
	}
	CHECK(path_open(top_fd, "/proc/self/root/etc", O_PATH, 0, &fd, &e) == -ELOOP, "/proc/self/root");
	CHECK(path_open(top_fd, "/proc/self/ns/net", O_RDONLY, 0, &fd, &e) == -ELOOP, "/proc/self/ns/net");
	CHECK(path_open(top_fd, "/proc/mounts", O_RDONLY, 0, &fd, &e) == 0, "/proc/mounts: %s", e.step);
	close(fd);
}

static void test_reopen(void)
{
	struct err e = { 0 };
	char buf[8] = "";
	int fd = -1, again;

	CHECK(path_open(root_fd, "a/b/file", O_PATH, 0, &fd, &e) == 0, "%s", e.step);
	again = path_reopen(fd, O_RDONLY);
	CHECK(again >= 0 && read(again, buf, 6) == 6 && !strcmp(buf, "inside"), "reopen: %d", again);
	close(fd);
	close(again);
}

int main(void)
{
	char command[128];
	int before;

	set_up();
	before = canary_count();
	for (int walk = 0; walk < 2; walk++) {
		path_force_walk(walk);
		test_open();
		test_create();
		test_target();
		test_magic();
	}
	test_clean();
	test_reopen();
	CHECK(canary_count() == before, "something new stands beside the root");
	snprintf(command, sizeof(command), "rm -rf %s", top);
	if (system(command))
		failed = 1;
	return failed;
}
