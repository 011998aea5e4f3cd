/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kobako-unpack: what the daemon does to files that hostile bytes describe, one process each.
 *
 *   kobako-unpack                      unpacks or settles a layer, sandboxed (request.h)
 *   kobako-unpack --remove DIR         removes a tree, never through a mount or a link
 *   kobako-unpack --usage DIR...       adds up what trees take on disk: one line each
 *   kobako-unpack --syncfs DIR [SUB...]  writes the file system of DIR to disk, then marks each DIR/SUB
 *                                      with the file `synced`, which is on disk too when this ends
 * Every answer is a line of JSON. Exit status: 0, or 1 with `"ok":false` as the answer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "unpack/erase.h"
#include "unpack/request.h"
#include "unpack/sandbox.h"
#include "unpack/settle.h"
#include "unpack/usage.h"

#define FS "fs"
#define PENDING "pending"

static int pull(void *ctx, const uint8_t **ret_data, size_t *ret_len, struct err *e)
{
	return stream_next(ctx, ret_data, ret_len, e);
}

static int verify(const struct request *q, struct stream *s, struct err *e)
{
	char digest[DIGEST_TEXT], diff_id[DIGEST_TEXT];

	stream_digests(s, digest, diff_id);
	if (strcmp(digest, q->digest) != 0)
		return err_set(e, EBADMSG, "layer has the digest %s, its descriptor says %.80s", digest, q->digest);
	if (strcmp(diff_id, q->diff_id) != 0)
		return err_set(e, EBADMSG, "layer unpacks to the diff id %s, the image config says %.80s", diff_id,
			       q->diff_id);
	return 0;
}

static int open_root(struct err *e)
{
	int fd;

	if (mkdir(FS, 0755) < 0 && errno != EEXIST)
		return err_set(e, errno, "make the folder " FS);
	fd = open(FS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_set(e, errno, "open the folder " FS) : fd;
}

static int unpack(const struct request *q, struct err *e)
{
	cleanup_fd int root = open_root(e);
	struct pending pending = { 0 };
	struct layer_result result;
	struct stream *s = NULL;
	struct tar *t = NULL;
	uint64_t bytes = 0, inodes = 0;
	int r = root < 0 ? root : stream_open(STDIN_FILENO, q->compression, &q->stream, &s, e);

	if (r == 0)
		r = tar_open(pull, s, &t, e);
	if (r == 0)
		r = layer_write(root, t, &q->layer, &pending, &result, e);
	if (r == 0)
		r = verify(q, s, e);
	if (r == 0 && q->base)
		r = settle(root, -1, &pending, &bytes, &inodes, e);
	else if (r == 0)
		r = pending_save(&pending, AT_FDCWD, PENDING, e);
	if (r == 0)
		dprintf(STDOUT_FILENO,
			"{\"ok\":true,\"tar_bytes\":%llu,\"entries\":%llu,\"used_bytes\":%llu,\"inodes\":%llu,"
			"\"xattrs_skipped\":%llu,\"pending\":%lu,\"root_opaque\":%s,"
			"\"root\":{\"listed\":%s,\"mode\":%u,\"uid\":%u,\"gid\":%u}}\n",
			(unsigned long long)stream_output_bytes(s), (unsigned long long)result.entries,
			(unsigned long long)(result.used_bytes + bytes), (unsigned long long)(result.inodes + inodes),
			(unsigned long long)result.xattrs_skipped, pending.count, result.root_opaque ? "true" : "false",
			result.root_listed ? "true" : "false", result.root_mode, result.root_uid, result.root_gid);
	pending_clear(&pending);
	tar_close(t);
	stream_close(s);
	return r;
}

static int settle_layer(const struct request *q, struct err *e)
{
	cleanup_fd int root = open_root(e), lower = -1;
	struct pending pending = { 0 };
	uint64_t bytes = 0, inodes = 0;
	int r = root < 0 ? root : pending_load(AT_FDCWD, PENDING, &pending, e);

	if (r == 0 && q->parent_count) {
		lower = open(SANDBOX_LOWER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (lower < 0)
			r = err_set(e, errno, "open the lower layers");
	}
	if (r == 0)
		r = settle(root, lower, &pending, &bytes, &inodes, e);
	if (r == 0 && unlink(PENDING) < 0)
		r = err_set(e, errno, "remove the file " PENDING);
	if (r == 0)
		dprintf(STDOUT_FILENO, "{\"ok\":true,\"used_bytes\":%llu,\"inodes\":%llu}\n",
			(unsigned long long)bytes, (unsigned long long)inodes);
	pending_clear(&pending);
	return r;
}

/* In the sandbox. */
static int serve(void *ctx)
{
	struct request *q = ctx;
	struct err e = { 0 };

	if ((q->op == OP_UNPACK ? unpack(q, &e) : settle_layer(q, &e)) == 0)
		return 0;
	answer_error(&e);
	return 1;
}

static int serve_request(void)
{
	struct request q;
	struct sandbox box;
	struct err e = { 0 };
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* without the daemon nobody wants the layer */
	r = request_read(STDIN_FILENO, &q, &e);
	if (r == 0) {
		box = (struct sandbox){ q.dir, q.parents, q.parent_count };
		r = sandbox_run(&box, serve, &q, &e);
		request_clear(&q);
	}
	if (r < 0)
		answer_error(&e);
	return r != 0;
}

static int remove_tree(const char *path)
{
	const char *slash = strrchr(path, '/');
	cleanup_free char *dir = NULL;
	cleanup_fd int fd = -1;
	struct err e = { 0 };
	int r = 0;

	if (!slash || !slash[1])
		r = err_set(&e, EINVAL, "\"%.300s\" is not an absolute path of a folder", path);
	dir = r < 0 ? NULL : strndup(path, (size_t)(slash - path) + 1);
	if (dir) {
		fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		r = fd >= 0 ? erase_at(fd, slash + 1, &e) : errno == ENOENT ? 0 : err_set(&e, errno, "open %s", dir);
	}
	if (r < 0)
		answer_error(&e);
	else
		dprintf(STDOUT_FILENO, "{\"ok\":true}\n");
	return r != 0;
}

static int usages(char **paths)
{
	int failed = 0;

	for (; *paths; paths++) {
		struct err e = { 0 };
		struct usage u;

		if (usage_of(*paths, &u, &e) < 0) {
			answer_error(&e);
			failed = 1;
		} else {
			dprintf(STDOUT_FILENO, "{\"ok\":true,\"used_bytes\":%llu,\"inodes\":%llu}\n",
				(unsigned long long)u.bytes, (unsigned long long)u.inodes);
		}
	}
	return failed;
}

static int mark(int dir_fd, const char *sub, struct err *e)
{
	cleanup_fd int at = openat(dir_fd, sub, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), fd = -1;

	if (at < 0)
		return errno == ENOENT ? 0 : err_set(e, errno, "open %.300s", sub); /* removed meanwhile */
	fd = openat(at, "synced", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	return fd < 0 ? err_set(e, errno, "mark %.300s as synced", sub) : 0;
}

/* The mark is made after the first sync and synced itself: where it stands, all before it is on disk. */
static int sync_fs(const char *path, char **subs)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err e = { 0 };
	int r = 0;

	if (fd < 0 || syncfs(fd) < 0)
		r = err_set(&e, errno, "sync the file system of %.300s", path);
	for (char **sub = subs; r == 0 && *sub; sub++)
		r = mark(fd, *sub, &e);
	if (r == 0 && *subs && syncfs(fd) < 0)
		r = err_set(&e, errno, "sync the file system of %.300s", path);
	if (r < 0)
		answer_error(&e);
	else
		dprintf(STDOUT_FILENO, "{\"ok\":true}\n");
	return r != 0;
}

#ifdef __SANITIZE_ADDRESS__
const char *__asan_default_options(void);
/* The search for leaks needs ptrace(2) and /proc; the sandbox has neither. */
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

int main(int argc, char **argv)
{
	struct err e;

	if (io_open_stdio(&e) < 0)
		return 1;
	if (argc == 1)
		return serve_request();
	if (argc == 3 && strcmp(argv[1], "--remove") == 0)
		return remove_tree(argv[2]);
	if (argc >= 3 && strcmp(argv[1], "--usage") == 0)
		return usages(argv + 2);
	if (argc >= 3 && strcmp(argv[1], "--syncfs") == 0)
		return sync_fs(argv[2], argv + 3);
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts(KOBAKO_VERSION);
		return 0;
	}
	fputs("usage: kobako-unpack [--remove DIR | --usage DIR... | --syncfs DIR [SUB...] | --version]\n", stderr);
	return 2;
}
