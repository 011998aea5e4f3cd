/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settles what a layer left open (pending.h), now that the layers below it are there: the same
 * outcome as if it had been unpacked on top of them.
 *   implied folder   a folder below: owner, mode, attributes, time come from it
 *                    a link below:   the content moves to where the link leads (`lib -> usr/lib`)
 *   hard link        the file below is copied into this layer, then linked
 */
#ifndef KOBAKO_UNPACK_SETTLE_H
#define KOBAKO_UNPACK_SETTLE_H

#include <stdint.h>

#include "base/err.h"
#include "unpack/pending.h"

/*
 * root_fd: the layer. lower_fd: a read-only view of all layers below it, as one tree; -1: there are
 * none. *ret_bytes, *ret_inodes: what was added on disk.
 * Errors: EBADMSG for a hard link to nothing, or a name through a file; ENOSPC.
 */
int settle(int root_fd, int lower_fd, const struct pending *pending, uint64_t *ret_bytes, uint64_t *ret_inodes,
	   struct err *e);

#endif
