/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRIU as a program: found, asked for its version, run with a list of arguments, its log read when it fails.
 * $KOBAKO_CRIU, an absolute path, comes before what the search path has. Nothing of the caller's environment reaches
 * it, nor do configuration files: what it does is what the arguments say.
 */
#ifndef KOBAKO_RUNTIME_CRIU_H
#define KOBAKO_RUNTIME_CRIU_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "cgroup/cgroup.h"

enum { CRIU_MAX_ARGS = 2048 };

struct criu {
	char path[4096];
	char *args[CRIU_MAX_ARGS + 1]; /* allocated, ended by NULL */
	size_t count;
	bool full;                     /* an argument did not fit, or there was no memory */
	const struct cgroup_join *join; /* what it enters first; NULL: stays where we are */
	const char *root_from, *root_at; /* bound there, in a mount namespace of its own; NULL: neither */
};

/* Finds it and checks that it is new enough: ENOENT, or ENOTSUP naming its path, its version and the least one. */
int criu_find(struct criu *c, struct err *e);
void criu_add(struct criu *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Runs it to its end. log: the file that it writes; the error has its last complaint and its path. */
int criu_run(struct criu *c, const char *what, const char *log, struct err *e);
void criu_free(struct criu *c);
#define cleanup_criu __attribute__((cleanup(criu_free)))

#endif
