/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timeline of a command (kobako-oci --trace FILE, docs/oci-runtime.md): a line of JSON for each step that has
 * ended. The command opens the file; its runner, keeper and init inherit it, so it costs them no word to each other.
 * Who did not ask pays one comparison per step: trace_fd is -1, always so in the monitor.
 *
 * The descriptor is close-on-exec and for writing at the end only: no program, container's or hook's, ever has it.
 */
#ifndef KOBAKO_BASE_TRACE_H
#define KOBAKO_BASE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

extern int trace_fd;

/* The caller's file, made when missing; now is the timeline's zero. what: of its first line ("create ID"). */
int trace_open(const char *path, const char *what, struct err *e);

/* After fork or clone: whose steps follow ("runner", "init"). The first one begins now. */
void trace_as(const char *who);

/* For one whose memory another process borrows (sys_clone3_run): what it was before that one wrote its steps. */
struct trace_place {
	const char *who;
	int64_t last_us;
};
struct trace_place trace_here(void);
void trace_back(struct trace_place place);

/* Use the two below. */
void trace_write(const char *step, const char *what, bool failed);

/*
 * What has taken the time since this process's step before: `step`, a name of the documentation's, and the object that
 * it was about, or NULL.
 */
static inline void trace_step(const char *step, const char *what)
{
	if (trace_fd >= 0)
		trace_write(step, what, false);
}

/* The same for a step with a result, which is passed on: negative is a failure. */
static inline int traced(const char *step, int result)
{
	if (trace_fd >= 0)
		trace_write(step, NULL, result < 0);
	return result;
}

#endif
