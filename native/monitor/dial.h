/* SPDX-License-Identifier: Apache-2.0 */
/* TCP connections to the loopback of whatever network namespace the caller is in. */
#ifndef KOBAKO_MONITOR_DIAL_H
#define KOBAKO_MONITOR_DIAL_H

#include <stdint.h>

#include "base/err.h"

/*
 * Connects to 127.0.0.1:port, then to [::1]:port where that fails at once; waits, timeout_ms at most
 * for both. *ret_fd is non-blocking. ECONNREFUSED: nobody listens at either; ETIMEDOUT: somebody
 * listens and does not take it.
 */
int dial_loopback(uint16_t port, int timeout_ms, int *ret_fd, struct err *e);

#endif
