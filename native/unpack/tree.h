/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of a layer while it is written: how names become folders.
 *
 * Every name is resolved below the root as in a chroot, part by part, by descriptors. Links are
 * followed in the folders of a name, never in its last part. Folders that the layer implies but has
 * not listed (yet) are made and remembered: their attributes, and whether they are folders at all,
 * may depend on the layers below.
 */
#ifndef KOBAKO_UNPACK_TREE_H
#define KOBAKO_UNPACK_TREE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

#include "base/err.h"

/* A folder of the tree. `path` has no links in it; "" is the root. */
struct tree_dir {
	int fd; /* opened for reading; owned by the tree, valid until the next tree_ call */
	char path[PATH_MAX];
};

struct tree;

/* root_fd: a folder opened for reading; stays the caller's and must live as long as the tree. */
int tree_open(int root_fd, struct tree **ret, struct err *e);
void tree_close(struct tree *t);

/*
 * The folder with the clean name `name`. When `make` is set missing parts are made, and a whiteout in
 * the way becomes a fresh opaque folder. Without it a missing part is ENOENT.
 * Errors: EBADMSG when a part is neither folder nor link, or too many links; ENOSPC.
 */
int tree_resolve(struct tree *t, const char *name, bool make, const struct tree_dir **ret, struct err *e);

/* A folder that the layer lists: its time is set by tree_finish, and it is implied no longer. */
int tree_listed(struct tree *t, const struct tree_dir *parent, const char *base, struct timespec mtime,
		struct err *e);

/* A folder that needs nothing from below (it stands on a whiteout of this very layer). */
void tree_settled(struct tree *t, const struct tree_dir *parent, const char *base);

/* Sets the times of all folders, as nothing will be written to them any more. */
int tree_finish(struct tree *t, struct err *e);

/* The implied folders that are left, each before what is in it. Stops at the first negative answer. */
int tree_each_implied(struct tree *t, int (*visit)(void *ctx, const char *path, struct err *e), void *ctx,
		      struct err *e);

unsigned long tree_implied_count(const struct tree *t);
/* How many folders were made on the way: they count like entries. */
unsigned long tree_made(const struct tree *t);

/* Overlayfs's whiteout: a character device 0:0. */
bool stat_is_whiteout(const struct stat *st);

/* "dir/base" or "base"; ENAMETOOLONG as -EBADMSG with *e set. */
int tree_join(const char *dir, const char *base, char ret[PATH_MAX], struct err *e);

#endif
