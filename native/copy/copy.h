/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies files and folders between two trees, either of which somebody hostile may change meanwhile
 * (a container's root). Enters: two descriptors, two paths. Leaves: the copy, each file put in place as a whole.
 *
 * Every path is resolved below its root (base/path.h); from there on each step is one name below a
 * descriptor, links not followed, and what is opened is what was looked at. Owners are the caller's,
 * set-user-ID and set-group-ID bits are never brought along. Devices, FIFOs and sockets are left out.
 */
#ifndef KOBAKO_COPY_COPY_H
#define KOBAKO_COPY_COPY_H

#include "base/err.h"

/* Deepest folder, below the one that is named: each level holds two descriptors. */
#define COPY_DEPTH_MAX 256

/*
 * Copies `from` of one root to `to` of the other. A folder that exists at `to` gets it as a child of
 * its own name, unless `from` ends in "/." (then its contents). `left_out` is called with each path
 * that is neither file, folder nor link.
 */
int copy_path(int from_root, const char *from, int to_root, const char *to, void (*left_out)(const char *path),
	      struct err *e);

#endif
