/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where hostile bytes are read: a process that has one folder for its root, no network, no other
 * process in sight, six capabilities and some forty system calls.
 */
#ifndef KOBAKO_UNPACK_SANDBOX_H
#define KOBAKO_UNPACK_SANDBOX_H

#include <stddef.h>

#include "base/err.h"

/* Relative to the folder: the view of the lower layers, and what it is put together from. */
#define SANDBOX_LOWER "lower/view"

struct sandbox {
	const char *dir;            /* absolute: becomes the root */
	const char *const *parents; /* absolute folders of the layers below, the highest first */
	size_t parent_count;        /* 0: no view is mounted */
};

/*
 * Runs fn(ctx) in a child inside the sandbox: init's user namespace, own mount, network, IPC, UTS
 * and PID namespaces, `dir` as "/", the working directory there. Descriptors above 2 are closed.
 * Returns what fn returned (0..255: the exit status), or -errno with *e set when the sandbox could
 * not be made or the child was killed (EIO; its signal is in *e).
 */
int sandbox_run(const struct sandbox *box, int (*fn)(void *ctx), void *ctx, struct err *e);

#endif
