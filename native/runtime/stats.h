/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KOBAKO_RUNTIME_STATS_H
#define KOBAKO_RUNTIME_STATS_H

#include <jansson.h>

#include "base/err.h"

/*
 * Usage and limits of a cgroup in the form of `runc events`: members with the same names and units (times in
 * nanoseconds, sizes in bytes), what is 0 or not counted here left out as there. NULL: *e is set.
 */
json_t *stats_read(const char *cgroup, struct err *e);

#endif
