/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/tree.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "unpack/name.h"
#include "unpack/xattr.h"

#define LINKS_MAX 255 /* as Go's path resolution for roots; the kernel's own limit is 40 */

/* A folder whose time is set at the end. Later ones win. */
struct dated {
	struct dated *next;
	struct timespec mtime;
	char path[];
};

struct tree {
	int root;
	struct dated *first, **last;
	void *implied; /* tsearch(3) tree of paths (char *): balanced, whatever names come */
	unsigned long implied_count, made;
	char cached[PATH_MAX]; /* the name that `dir` was resolved from */
	bool cache_valid;
	struct tree_dir dir;
};

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

int tree_open(int root_fd, struct tree **ret, struct err *e)
{
	struct tree *t = calloc(1, sizeof(*t));

	if (!t)
		return err_set(e, ENOMEM, "tree");
	t->root = root_fd;
	t->dir.fd = -1;
	t->last = &t->first;
	*ret = t;
	return 0;
}

static void forget(struct tree *t)
{
	t->cache_valid = false;
	if (t->dir.fd >= 0)
		close(t->dir.fd);
	t->dir.fd = -1;
}

void tree_close(struct tree *t)
{
	if (!t)
		return;
	forget(t);
	while (t->first) {
		struct dated *next = t->first->next;

		free(t->first);
		t->first = next;
	}
	while (t->implied) {
		char *path = *(char **)t->implied;

		tdelete(path, &t->implied, compare);
		free(path);
	}
	free(t);
}

bool stat_is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

int tree_join(const char *dir, const char *base, char ret[PATH_MAX], struct err *e)
{
	int n = snprintf(ret, PATH_MAX, "%s%s%s", dir, *dir ? "/" : "", base);

	if (n < 0 || n >= PATH_MAX)
		return err_set(e, EBADMSG, "a path is longer than %d bytes", PATH_MAX - 1);
	return 0;
}

static int add_dated(struct tree *t, const char *path, struct timespec mtime, struct err *e)
{
	size_t len = strlen(path) + 1;
	struct dated *d = malloc(sizeof(*d) + len);

	if (!d)
		return err_set(e, ENOMEM, "remember a folder");
	d->next = NULL;
	d->mtime = mtime;
	memcpy(d->path, path, len);
	*t->last = d;
	t->last = &d->next;
	return 0;
}

static int add_implied(struct tree *t, const char *path, struct err *e)
{
	char *copy = strdup(path);
	char **node = copy ? tsearch(copy, &t->implied, compare) : NULL;

	if (!node) {
		free(copy);
		return err_set(e, ENOMEM, "remember a folder");
	}
	if (*node == copy)
		t->implied_count++;
	else
		free(copy);
	return 0;
}

static void drop_implied(struct tree *t, const char *path)
{
	char **node = t->implied_count ? tfind(path, &t->implied, compare) : NULL;
	char *found;

	if (!node)
		return;
	found = *node;
	tdelete(path, &t->implied, compare);
	free(found);
	t->implied_count--;
}

int tree_listed(struct tree *t, const struct tree_dir *parent, const char *base, struct timespec mtime,
		struct err *e)
{
	char path[PATH_MAX];
	int r = tree_join(parent->path, base, path, e);

	if (r < 0)
		return r;
	drop_implied(t, path);
	return add_dated(t, path, mtime, e);
}

void tree_settled(struct tree *t, const struct tree_dir *parent, const char *base)
{
	char path[PATH_MAX];
	struct err ignored;

	if (tree_join(parent->path, base, path, &ignored) == 0)
		drop_implied(t, path);
}

/* A clean path without links, opened for reading. */
static int open_plain(struct tree *t, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};

	return sys_openat2(t->root, *path ? path : ".", &how);
}

/* A walk under way: the folder reached, and the parts still to go. */
struct walk {
	int fd;
	char path[PATH_MAX]; /* of fd, without links */
	char rest[2 * PATH_MAX];
	int links;
};

static int walk_to(struct tree *t, struct walk *w, struct err *e)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = open_plain(t, w->path);
	return w->fd < 0 ? err_set(e, errno, "open \"%.300s\"", w->path) : 0;
}

static int walk_up(struct tree *t, struct walk *w, struct err *e)
{
	char *slash = strrchr(w->path, '/');

	if (slash)
		*slash = '\0';
	else
		w->path[0] = '\0';
	return walk_to(t, w, e);
}

/* Puts the target of a link in front of what is left to go. */
static int walk_link(struct tree *t, struct walk *w, const char *part, struct err *e)
{
	char target[PATH_MAX], rest[sizeof(w->rest)];
	ssize_t n = readlinkat(w->fd, part, target, sizeof(target) - 1);

	if (n < 0)
		return err_set(e, errno, "read the link \"%.300s\"", part);
	target[n] = '\0';
	if (++w->links > LINKS_MAX)
		return err_set(e, EBADMSG, "\"%.300s\" goes through too many links", part);
	if ((size_t)n + 1 + strlen(w->rest) >= sizeof(rest))
		return err_set(e, EBADMSG, "the links of \"%.300s\" are too long", part);
	strcpy(rest, w->rest);
	strcpy(stpcpy(stpcpy(w->rest, target), "/"), rest);
	if (target[0] != '/')
		return 0;
	w->path[0] = '\0';
	return walk_to(t, w, e);
}

static int walk_into(struct walk *w, const char *part, struct err *e)
{
	char path[PATH_MAX];
	int fd, r = tree_join(w->path, part, path, e);

	if (r < 0)
		return r;
	fd = openat(w->fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "open \"%.300s\"", path);
	close(w->fd);
	w->fd = fd;
	strcpy(w->path, path);
	return 0;
}

static int walk_make(struct tree *t, struct walk *w, const char *part, bool on_whiteout, struct err *e)
{
	int r;

	if (on_whiteout && unlinkat(w->fd, part, 0) < 0)
		return err_set(e, errno, "replace the whiteout \"%.300s\"", part);
	if (mkdirat(w->fd, part, 0755) < 0)
		return err_set(e, errno, "make the folder \"%.300s\"", part);
	t->made++;
	r = walk_into(w, part, e);
	if (r == 0)
		r = on_whiteout ? xattr_set_opaque(w->fd, e) : add_implied(t, w->path, e);
	/* Without a time of its own it gets none of the clock's: equal layers unpack to equal trees. */
	return r < 0 ? r : add_dated(t, w->path, (struct timespec){ 0 }, e);
}

static int walk_part(struct tree *t, struct walk *w, const char *part, bool make, struct err *e)
{
	struct stat st;

	if (strcmp(part, "..") == 0)
		return walk_up(t, w, e);
	if (strlen(part) > NAME_MAX)
		return err_set(e, EBADMSG, "a name of %zu bytes is longer than a file system takes", strlen(part));
	if (fstatat(w->fd, part, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		const char *after = name_after_back(w->rest);

		if (errno != ENOENT)
			return err_set(e, errno, "look at \"%.300s\"", part);
		if (after) {
			memmove(w->rest, after, strlen(after) + 1);
			return 0;
		}
		return make ? walk_make(t, w, part, false, e) : err_set(e, ENOENT, "\"%.300s\"", part);
	}
	if (S_ISDIR(st.st_mode))
		return walk_into(w, part, e);
	if (S_ISLNK(st.st_mode))
		return walk_link(t, w, part, e);
	if (stat_is_whiteout(&st))
		return make ? walk_make(t, w, part, true, e) : err_set(e, ENOENT, "\"%.300s\"", part);
	return err_set(e, EBADMSG, "\"%.300s\" is used as a folder and is none", part);
}

static int walk(struct tree *t, struct walk *w, bool make, struct err *e)
{
	for (;;) {
		char part[PATH_MAX], *p = w->rest + strspn(w->rest, "/");
		size_t n = strcspn(p, "/");
		int r;

		if (!n)
			return 0;
		if (n >= sizeof(part))
			return err_set(e, EBADMSG, "a name of %zu bytes is longer than a file system takes", n);
		memcpy(part, p, n);
		part[n] = '\0';
		memmove(w->rest, p + n, strlen(p + n) + 1);
		if (strcmp(part, ".") == 0)
			continue;
		r = walk_part(t, w, part, make, e);
		if (r < 0)
			return r;
	}
}

int tree_resolve(struct tree *t, const char *name, bool make, const struct tree_dir **ret, struct err *e)
{
	struct walk w = { .fd = -1 };
	int r;

	*ret = &t->dir;
	if (t->cache_valid && strcmp(t->cached, name) == 0)
		return 0;
	forget(t);
	/* Nearly always the folder is there and no link in its name: one call finds it. */
	t->dir.fd = open_plain(t, name);
	if (t->dir.fd >= 0) {
		strcpy(t->dir.path, name);
	} else if (errno == ENOENT || errno == ELOOP || errno == ENOTDIR) {
		strcpy(w.rest, name);
		r = walk_to(t, &w, e);
		if (r == 0)
			r = walk(t, &w, make, e);
		if (r < 0) {
			if (w.fd >= 0)
				close(w.fd);
			return r;
		}
		t->dir.fd = w.fd;
		strcpy(t->dir.path, w.path);
	} else {
		return err_set(e, errno, "open \"%.300s\"", name);
	}
	strcpy(t->cached, name);
	t->cache_valid = true;
	return 0;
}

int tree_finish(struct tree *t, struct err *e)
{
	for (struct dated *d = t->first; d; d = d->next) {
		const struct timespec times[2] = { d->mtime, d->mtime };
		cleanup_fd int fd = open_plain(t, d->path);

		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
			continue; /* a later entry replaced it */
		if (fd < 0 || futimens(fd, times) < 0)
			return err_set(e, errno, "set the time of \"%.300s\"", d->path);
	}
	return 0;
}

/* twalk(3) hands nothing on to its visitor (musl has no twalk_r), so the one walk under way is here. */
static struct visit {
	int (*fn)(void *ctx, const char *path, struct err *e);
	void *ctx;
	struct err *e;
	int r;
} *visiting;

static void visit_node(const void *node, VISIT order, int depth)
{
	struct visit *v = visiting;

	(void)depth;
	if ((order == postorder || order == leaf) && v->r == 0) /* that is: in order of the paths */
		v->r = v->fn(v->ctx, *(char *const *)node, v->e);
}

int tree_each_implied(struct tree *t, int (*visit)(void *ctx, const char *path, struct err *e), void *ctx,
		      struct err *e)
{
	struct visit v = { visit, ctx, e, 0 };

	visiting = &v;
	twalk(t->implied, visit_node);
	visiting = NULL;
	return v.r;
}

unsigned long tree_implied_count(const struct tree *t)
{
	return t->implied_count;
}

unsigned long tree_made(const struct tree *t)
{
	return t->made;
}
