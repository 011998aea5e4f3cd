/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tar format as layers use it: ustar, GNU long names, PAX, base-256 numbers (POSIX.1-2017 pax;
 * GNU tar manual, "Basic Tar Format"). Where the formats leave room, entries are read as Go's
 * archive/tar reads them, because that is what built and checked nearly all images; what that reader
 * refuses is refused. Also refused: sparse files, entry types that a layer can't hold.
 *
 * Knows no files: names come out as they stand in the archive and are checked by who uses them.
 */
#ifndef KOBAKO_UNPACK_TAR_H
#define KOBAKO_UNPACK_TAR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/err.h"

/* PAX headers and GNU long names: more is refused without being read (as in Go). */
#define TAR_META_MAX (1 << 20)

enum tar_type {
	TAR_FILE = '0',
	TAR_HARDLINK = '1',
	TAR_SYMLINK = '2',
	TAR_CHAR = '3',
	TAR_BLOCK = '4',
	TAR_DIR = '5',
	TAR_FIFO = '6',
};

struct tar_xattr {
	const char *name; /* without "SCHILY.xattr." */
	const uint8_t *value;
	size_t size;
};

struct tar_entry {
	enum tar_type type;
	const char *name; /* as in the archive: may hold "..", "//", a leading or trailing slash */
	const char *link; /* target of TAR_HARDLINK and TAR_SYMLINK, else "" */
	uint64_t size;    /* bytes of content; 0 for everything but TAR_FILE */
	mode_t mode;      /* the low 12 bits */
	uid_t uid;
	gid_t gid;
	struct timespec mtime; /* never before 1970 */
	unsigned int major, minor;
	const struct tar_xattr *xattrs;
	size_t xattr_count;
};

/*
 * Where the bytes come from: the next piece of any length, valid until the next call; *ret_len 0 at
 * the end. Returns 0 or a negative errno with *e set.
 */
typedef int tar_pull_fn(void *ctx, const uint8_t **ret_data, size_t *ret_len, struct err *e);

struct tar;

int tar_open(tar_pull_fn *pull, void *ctx, struct tar **ret, struct err *e);

/*
 * Goes to the next entry; what is left of the one before is skipped. *ret points into the reader and
 * is valid until the next call.
 * Returns 1, or 0 at the end of the archive, or -EBADMSG (damaged, unsupported) or an error of `pull`.
 */
int tar_next(struct tar *t, const struct tar_entry **ret, struct err *e);

/* The next piece of the entry's content; *ret_len 0 at its end. Errors: EBADMSG when cut short. */
int tar_data(struct tar *t, const uint8_t **ret_data, size_t *ret_len, struct err *e);

/* After the end of the archive: reads on to the end of the source, so that all of it is hashed. */
int tar_drain(struct tar *t, struct err *e);

void tar_close(struct tar *t); /* NULL is fine */

#endif
