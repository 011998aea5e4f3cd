/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can't be decided about a layer before the layers below it are there: a list of records, kept
 * in a file beside the layer between the two steps. Paths have no links in them.
 */
#ifndef KOBAKO_UNPACK_PENDING_H
#define KOBAKO_UNPACK_PENDING_H

#include <stddef.h>

#include "base/err.h"

enum pending_kind {
	PENDING_FOLDER = 'D', /* path: implied; from below come its attributes, or a link in its place */
	PENDING_LINK = 'L',   /* path: a hard link; target: a name that this layer does not have */
};

struct pending_record {
	enum pending_kind kind;
	const char *path, *target; /* target is "" for folders */
};

/* An in-memory list; all zero is empty. Records are text: kind, path, NUL, target, NUL. */
struct pending {
	char *text;
	size_t len, room;
	unsigned long count;
};

int pending_add(struct pending *p, const struct pending_record *record, struct err *e);

/* The record at *at, which is moved to the next one. Returns 1, 0 at the end, -EBADMSG when damaged. */
int pending_next(const struct pending *p, size_t *at, struct pending_record *ret, struct err *e);

/* The file `name` in dir_fd. Nothing is written for an empty list. */
int pending_save(const struct pending *p, int dir_fd, const char *name, struct err *e);
int pending_load(int dir_fd, const char *name, struct pending *ret, struct err *e);

void pending_clear(struct pending *p);

#endif
