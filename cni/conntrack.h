/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forgets tracked connections: a translation outlives its rule as long as packets come, and one
 * that began before the rule keeps passing it by (UDP has no handshake to end it).
 * A walk over the kernel's table takes some 10 ms, even of an empty one: only where it is needed.
 */
#ifndef KOBAKO_CNI_CONNTRACK_H
#define KOBAKO_CNI_CONNTRACK_H

#include <stddef.h>

#include "addr.h"
#include "base/err.h"

/* UDP and SCTP connections that were translated to this address. TCP ends them by itself. */
int conntrack_forget_pod(int fd, const struct ip *pod, struct err *e);
/* UDP connections, of either family, to one of these destination ports that were not translated. */
int conntrack_forget_ports(int fd, const uint16_t *ports, size_t count, struct err *e);

#endif
