/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths inside a tree that somebody hostile may write to (a rootfs, a layer, a volume).
 *
 * Every function works below a root descriptor as chroot(2) would: an absolute path or link starts at
 * the root again, ".." ends there. What comes back is a descriptor; the caller goes on with that and
 * never with the path. openat2(RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS) does it where the kernel has it
 * and a seccomp filter lets it pass; else a walk made by hand with the same answers.
 */
#ifndef KOBAKO_BASE_PATH_H
#define KOBAKO_BASE_PATH_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Opens `path` below root_fd with flags (O_CLOEXEC is added) and mode (for O_CREAT).
 * The last part is followed too unless O_NOFOLLOW is given.
 */
int path_open(int root_fd, const char *path, int flags, mode_t mode, int *ret_fd, struct err *e);

/* The directory at `path` as an O_PATH descriptor; missing folders on the way are made with mode. */
int path_mkdirs(int root_fd, const char *path, mode_t mode, int *ret_fd, struct err *e);

/*
 * A mount target at `path` as an O_PATH descriptor: a directory, or any other kind of file when !dir.
 * A missing one is made (folders 0755 on the way, an empty file 0644); the wrong kind is ENOTDIR or EISDIR.
 */
int path_target(int root_fd, const char *path, bool dir, int *ret_fd, struct err *e);

/*
 * Opens again, with other flags, what an O_PATH descriptor stands for. Needs /proc, and checks that
 * it is procfs. Nothing is resolved: the inode is the same. Returns the descriptor or -errno.
 */
int path_reopen(int fd, int flags);

/* "a/b" of "a" and "b", allocated; NULL: no memory. One slash between, whatever they bring. */
char *path_join(const char *dir, const char *name);

/*
 * The shortest equal of an absolute path by its text alone: no "//", ".", "..", trailing slash.
 * Writes to buf; returns 0 or -ENAMETOOLONG, -EINVAL when not absolute.
 */
int path_clean(const char *path, char *buf, size_t size);

/* True when `path` is `dir` or below it; both cleaned. */
bool path_below(const char *path, const char *dir);

/* For tests: pretend that the kernel has no openat2(2). */
void path_force_walk(bool on);

#endif
