/* SPDX-License-Identifier: Apache-2.0 */
/* What a tree takes on disk. */
#ifndef KOBAKO_UNPACK_USAGE_H
#define KOBAKO_UNPACK_USAGE_H

#include <stdint.h>

#include "base/err.h"

struct usage {
	uint64_t bytes;  /* allocated; a file with several links counts once, as a share of each */
	uint64_t inodes;
};

/*
 * Adds up `path` and what is below it on the same file system, following no link. Holds two
 * descriptors and some twenty bytes per level. A tree that changes meanwhile gives a value in between.
 * Errors: those of open(2) for path itself; EBUSY when folders were moved under the scan.
 */
int usage_of(const char *path, struct usage *ret, struct err *e);

#endif
