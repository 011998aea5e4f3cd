/* SPDX-License-Identifier: Apache-2.0 */
/* What settle.c (folders) and settle_link.c (hard links) share. Only they include it. */
#ifndef KOBAKO_UNPACK_SETTLE_INTERNAL_H
#define KOBAKO_UNPACK_SETTLE_INTERNAL_H

#include <limits.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "base/err.h"
#include "unpack/pending.h"

struct implied;

struct settle {
	int root, lower;               /* this layer; the layers below as one tree, -1: none */
	struct implied *first, **last; /* implied folders, each before what is in it */
	void *by_path;                 /* tsearch(3) tree of them */
	int links, depth;              /* followed so far, against loops */
	uint64_t bytes, inodes;        /* added on disk */
};

/*
 * The folder below that is merged with the folder `path` of this layer, or -1: none is. The folders
 * of `path` are settled, so each is a real one here; one that is opaque, or has something else below
 * it, ends the way down.
 */
int settle_below(struct settle *s, const char *path);

/*
 * The folder of a name as the layers together show it, all links followed; made in this layer where
 * it is missing. Returns its descriptor; ret_path has no links in it.
 */
int settle_folder_of(struct settle *s, const char *dir, char ret_path[PATH_MAX], struct err *e);

/* Owner, mode, extended attributes and time of a folder or file below onto one of this layer. */
int settle_copy_attributes(int from, int to, const char *path, struct err *e);

/* The folder's time before something is put into it, to be set again after. */
void settle_keep_time(int dir, struct timespec times[2]);

/* Makes one hard link that this layer alone could not. Errors: EBADMSG when nobody has the target. */
int settle_link(struct settle *s, const struct pending_record *record, struct err *e);

#endif
