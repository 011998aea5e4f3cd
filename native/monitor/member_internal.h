/* SPDX-License-Identifier: Apache-2.0 */
/* A member, between member.c (the table, its making), member_run.c (start and end) and member_control.c. */
#ifndef KOBAKO_MONITOR_MEMBER_INTERNAL_H
#define KOBAKO_MONITOR_MEMBER_INTERNAL_H

#include "monitor/member.h"

/* Refuses when something else happens to m, or when it is in another state than needed. */
bool member_refuse_unless(struct member *m, enum member_state needed, const char *what, struct reply *r);

/* The request that kept m busy is over. */
struct reply *member_not_busy(struct member *m);

/* The end of its init, as the kernel tells it. */
void member_exited(struct child *c, int status, int64_t at_ns);

#endif
