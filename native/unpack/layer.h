/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the entries of one layer into an empty folder (image-spec layer.md).
 * Enters: archive entries. Leaves: a tree in the form of an overlayfs lower folder (mounted with
 * `userxattr`), and what ties it to the layers below (pending.h).
 * Never: follows a link in the last part of a name, leaves the folder, reads what it wrote.
 */
#ifndef KOBAKO_UNPACK_LAYER_H
#define KOBAKO_UNPACK_LAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "unpack/pending.h"
#include "unpack/tar.h"

struct layer_limits {
	uint64_t entries;
	uint64_t reserve_bytes; /* of the file system, left free */
};

struct layer_result {
	uint64_t entries;
	uint64_t used_bytes;     /* on disk: content in whole blocks of 4 KiB, folders one block each */
	uint64_t inodes;
	uint64_t xattrs_skipped; /* not a layer's to set, or unknown to the file system */
	bool root_listed;        /* then the three below are its root's */
	mode_t root_mode;
	uid_t root_uid;
	gid_t root_gid;
	bool root_opaque;        /* nothing of the layers below is to be seen */
};

/*
 * Reads t to its end and writes its entries below root_fd (umask must be 0).
 * pending: gets what depends on the layers below.
 * Errors: EBADMSG the archive, EFBIG a limit, ENOSPC and EDQUOT, or what the system says.
 */
int layer_write(int root_fd, struct tar *t, const struct layer_limits *limits, struct pending *pending,
		struct layer_result *ret, struct err *e);

/* The folder or file `st` in blocks, as counted in used_bytes. */
uint64_t layer_blocks_of(mode_t mode, uint64_t size);

#endif
