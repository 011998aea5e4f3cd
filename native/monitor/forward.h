/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port-forward: a connection of the control socket becomes one TCP connection to the pod's loopback.
 *
 *   client               monitor               runner
 *     port_forward  --->   fork  ------------->  enters the pod's network namespace
 *                                                connects to 127.0.0.1, else to ::1
 *                          <--- the socket ----  _exit
 *     <--- {}
 *     frames 0 and 1 <--> the socket
 *
 * A socket belongs to the namespace it was made in, so the monitor itself stays where it is. The runner ends when
 * its client goes.
 */
#ifndef KOBAKO_MONITOR_FORWARD_H
#define KOBAKO_MONITOR_FORWARD_H

#include "monitor/conn.h"

void forward_begin(struct json_view params, struct reply *r);

#endif
