/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes hostile layers without the sandbox around: what keeps them inside here is path resolution
 * alone. The canary is a folder beside the layer's root.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "unpack/erase.h"
#include "unpack/layer.h"
#include "unpack/settle.h"
#include "unpack/tar_build.h"
#include "unpack/usage.h"
#include "unpack/xattr.h"

static int failed;
static char dir[64]; /* holds "layer" and "canary" */

static void expect(int ok, const char *what)
{
	if (!ok) {
		printf("failed: %s\n", what);
		failed = 1;
	}
}

static const char *in(const char *name)
{
	static char path[4][300];
	static int next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static void write_file(const char *path, const char *content)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, content, strlen(content)) != (ssize_t)strlen(content))
		abort();
}

static int erase_all(void)
{
	cleanup_fd int tmp = open("/tmp", O_PATH | O_DIRECTORY);
	struct err e;

	return erase_at(tmp, dir + strlen("/tmp/"), &e);
}

static void fresh(void)
{
	if (erase_all() < 0 || mkdir(dir, 0700) < 0 || mkdir(in("layer"), 0755) < 0 ||
	    mkdir(in("canary"), 0700) < 0)
		abort();
	write_file(in("canary/secret"), "secret");
}

static void canary_holds(const char *what)
{
	struct usage u;
	struct stat st;
	struct err e;

	expect(usage_of(in("canary"), &u, &e) == 0 && u.inodes == 2, what);
	expect(stat(in("canary/secret"), &st) == 0 && st.st_size == 6 && st.st_nlink == 1 &&
	       (st.st_mode & 07777) == 0644, what);
	expect(stat(in("canary"), &st) == 0 && (st.st_mode & 07777) == 0700, what);
}

static int apply(struct archive *a, struct pending *pending)
{
	const struct layer_limits limits = { .entries = 10000 };
	cleanup_fd int root = open(in("layer"), O_RDONLY | O_DIRECTORY);
	struct layer_result result;
	struct tar *t;
	struct err e;
	int r;

	archive_end(a);
	a->at = 0;
	a->piece = 1000;
	if (tar_open(archive_pull, a, &t, &e) < 0)
		abort();
	r = layer_write(root, t, &limits, pending, &result, &e);
	tar_close(t);
	return r;
}

/* Each attack: a link `d` to the canary, then an entry that tries to go through or over it. */
static void attacks(void)
{
	static const struct {
		char type;
		const char *name, *link;
	} second[] = {
		{ '0', "d/x", "content" },   { '0', "d", "content" },	  { '0', "d/secret", "changed" },
		{ '5', "d/", "" },	     { '5', "d/new/", "" },	  { '5', "d/.", "" },
		{ '1', "d/h", "f" },	     { '1', "h", "d/secret" },	  { '2', "d/s", "x" },
		{ '0', "d/.wh.secret", "" }, { '0', "d/.wh..wh..opq", "" }, { '0', ".wh.d", "" },
		{ '6', "d/fifo", "" },	     { '0', "e/../d/x", "x" },	  { '0', "d/../canary/x", "x" },
		{ '1', "d", "f" },	     { '1', "h", "../canary/secret" },
	};

	for (size_t i = 0; i < sizeof(second) / sizeof(*second); i++) {
		for (int relative = 0; relative < 2; relative++) {
			static struct archive a;
			struct pending pending = { 0 };

			memset(&a, 0, sizeof(a));
			fresh();
			archive_add(&a, '0', "f", "f", 0777);
			archive_add(&a, '2', "d", relative ? "../canary" : in("canary"), 0777);
			archive_add(&a, second[i].type, second[i].name, second[i].link, 0777);
			apply(&a, &pending);
			canary_holds(second[i].name);
			pending_clear(&pending);
		}
	}
}

static void folders_and_times(void)
{
	static struct archive a;
	struct pending pending = { 0 };
	struct pending_record record;
	struct stat st;
	struct err e;
	size_t at = 0;

	fresh();
	archive_add(&a, '5', "listed/", "", 01750);
	archive_add(&a, '0', "listed/f", "", 0644);
	archive_add(&a, '0', "implied/deep/f", "content", 04755);
	archive_add(&a, '0', "late/f", "", 0644);
	archive_add(&a, '5', "late/", "", 0700);
	archive_add(&a, '1', "hard", "of/lower", 0644);
	archive_add(&a, '0', ".wh.gone", "", 0644);
	archive_add(&a, '5', "gone/", "", 0711);
	expect(apply(&a, &pending) == 0, "apply");
	expect(stat(in("layer/listed"), &st) == 0 && (st.st_mode & 07777) == 01750 && st.st_mtime == 1600000000,
	       "listed folder");
	expect(stat(in("layer/implied/deep"), &st) == 0 && (st.st_mode & 07777) == 0755 && st.st_mtime == 0,
	       "implied folder");
	expect(stat(in("layer/implied/deep/f"), &st) == 0 && (st.st_mode & 07777) == 04755 && st.st_size == 7,
	       "set-id file");
	expect(stat(in("layer/late"), &st) == 0 && (st.st_mode & 07777) == 0700, "folder listed late");
	expect(pending_next(&pending, &at, &record, &e) == 1 && record.kind == PENDING_LINK &&
	       strcmp(record.path, "hard") == 0 && strcmp(record.target, "of/lower") == 0, "pending link");
	expect(pending_next(&pending, &at, &record, &e) == 1 && record.kind == PENDING_FOLDER &&
	       strcmp(record.path, "implied") == 0, "implied");
	expect(pending_next(&pending, &at, &record, &e) == 1 && strcmp(record.path, "implied/deep") == 0,
	       "implied/deep");
	expect(pending_next(&pending, &at, &record, &e) == 0, "end of pending");
	expect(stat(in("layer/gone"), &st) == 0 && (st.st_mode & 07777) == 0711, "folder on a whiteout");
	{
		cleanup_fd int fd = open(in("layer/gone"), O_RDONLY | O_DIRECTORY);

		expect(xattr_is_opaque(fd), "folder on a whiteout is opaque");
	}
	pending_clear(&pending);
}

/* A hostile lower layer under a hostile upper one, settled without the sandbox. */
static void settling(void)
{
	static struct archive a;
	struct pending pending = { 0 };
	uint64_t bytes, inodes;
	struct stat st;
	struct err e;

	fresh();
	expect(mkdir(in("lower"), 0755) == 0 && symlink(in("canary"), in("lower/d")) == 0 &&
	       symlink("../../../canary", in("lower/e")) == 0 && symlink("loop", in("lower/loop")) == 0, "lower");
	archive_add(&a, '0', "d/secret", "hostile", 0777);
	archive_add(&a, '0', "e/.wh.secret", "", 0777);
	expect(apply(&a, &pending) == 0, "apply over links");
	{
		cleanup_fd int root = open(in("layer"), O_RDONLY | O_DIRECTORY);
		cleanup_fd int lower = open(in("lower"), O_RDONLY | O_DIRECTORY);
		char path[300];

		expect(settle(root, lower, &pending, &bytes, &inodes, &e) == 0, "settle over links");
		snprintf(path, sizeof(path), "layer%s/secret", in("canary"));
		expect(stat(in(path), &st) == 0 && st.st_size == 7, "content is inside");
		expect(stat(in("layer/canary/secret"), &st) == 0 && S_ISCHR(st.st_mode), "whiteout is inside");
		expect(stat(in("layer/d"), &st) < 0 && stat(in("layer/e"), &st) < 0, "links are not hidden");
		canary_holds("settling");
	}
	pending_clear(&pending);

	memset(&a, 0, sizeof(a));
	archive_add(&a, '0', "loop/f", "", 0644);
	expect(apply(&a, &pending) == 0, "apply over a loop");
	{
		cleanup_fd int root = open(in("layer"), O_RDONLY | O_DIRECTORY);
		cleanup_fd int lower = open(in("lower"), O_RDONLY | O_DIRECTORY);

		expect(settle(root, lower, &pending, &bytes, &inodes, &e) == -EBADMSG, "a loop below is refused");
	}
	pending_clear(&pending);
}

int main(void)
{
	if (geteuid() != 0) {
		printf("skipped: owners and nodes need root\n");
		return 0;
	}
	umask(0);
	snprintf(dir, sizeof(dir), "/tmp/kobako-layer-test-%d", (int)getpid());
	attacks();
	folders_and_times();
	settling();
	expect(erase_all() == 0, "erase");
	return failed;
}
