/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a pod: every container, pause, the namespaces, the pin, the socket; then the monitor. */
#ifndef KOBAKO_MONITOR_SHUTDOWN_H
#define KOBAKO_MONITOR_SHUTDOWN_H

#include <stdbool.h>

#include "monitor/conn.h"

/* r is answered when all is given back; NULL: nobody asked (SIGTERM). May be called again. */
void shutdown_begin(struct reply *r);
bool shutdown_under_way(void);

#endif
