/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `prepare`, in a runner: a container's mount namespace with its root filesystem in it, and the user
 * looked up inside. Enters: the request's params. Leaves: the namespace by descriptor, JSON numbers.
 * The namespace is unshared from the host's as it is now, so volumes mounted since the pod began are
 * seen; it receives mounts and gives none back, so nothing of it shows on the host, and all of it
 * ends with its last process and descriptor.
 */
#ifndef KOBAKO_MONITOR_PREPARE_H
#define KOBAKO_MONITOR_PREPARE_H

#include <limits.h>

#include "base/err.h"
#include "monitor/json_view.h"
#include "monitor/runner.h"

/* Most layers below the upper folder. Source: fs/overlayfs/super.c, OVL_MAX_STACK. */
#define PREPARE_LAYERS_MAX 500

/* A runner's work; arg: struct json_view * of the params. */
int prepare_work(void *params, struct runner_report *report, int *fd, struct text *body);

/* A string that is an absolute path. EINVAL names the member. */
int prepare_path(struct json_view v, const char *what, char ret[PATH_MAX], struct err *e);

/*
 * Pure: whether an overlay option may be asked for: lower-case words, "=" and a word. Paths come as
 * members of their own, so nothing with a separator is an option.
 */
int prepare_option_ok(const char *option);

#endif
