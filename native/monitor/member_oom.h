/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who was killed for memory. The notices of the kernel are only a hint: v1's also comes when the
 * cgroup is removed, and a limit can be hit without a kill. What counts is the counter of kills.
 */
#ifndef KOBAKO_MONITOR_MEMBER_OOM_H
#define KOBAKO_MONITOR_MEMBER_OOM_H

#include "monitor/member.h"

/* Watches the container's memory cgroup; each kill is told as an `oom` event. Without one: nothing. */
void oom_watch(struct member *m);
/* May be called for what is not watched. */
void oom_unwatch(struct member *m);

/* Processes that the kernel killed for this container's limit; 0 when nobody counts. */
uint64_t oom_count(const struct member *m);

/*
 * At the exit of init: sets oom_killed when init ended by SIGKILL (or its shell says 137) and the
 * kernel killed for memory, and not merely before a SIGKILL of ours that explains the end.
 */
void oom_decide(struct member *m);

#endif
