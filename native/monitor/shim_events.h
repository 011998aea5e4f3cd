/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The events socket beside a containerd shim: a ttrpc server of one method, Forward.
 *
 *   shim                                      monitor
 *     Forward(TaskExit) ------------------->    exit record on disk, event to the daemon
 *                       <-------------------    {}
 *
 * A shim repeats what was not answered. At most SHIM_PEERS connections, of uid 0 only; an event that is larger than
 * SHIM_EVENT_MAX (a creation's, with its mounts) is passed over unread and answered.
 */
#ifndef KOBAKO_MONITOR_SHIM_EVENTS_H
#define KOBAKO_MONITOR_SHIM_EVENTS_H

#include "base/err.h"
#include "monitor/shim_message.h"

#define SHIM_PEERS 16
#define SHIM_EVENT_MAX 16384

/* Listens on `name` in folder dir, 0600. `take` is called for each event before it is answered. */
int shim_events_listen(const char *dir, const char *name, void (*take)(const struct shim_event *event), struct err *e);

void shim_events_close(void);

#endif
