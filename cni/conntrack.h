/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forgets tracked connections: a translation outlives its rule as long as packets come, and one
 * that began before the rule keeps passing it by (UDP has no handshake to end it).
 */
#ifndef KOBAKO_CNI_CONNTRACK_H
#define KOBAKO_CNI_CONNTRACK_H

#include "addr.h"
#include "base/err.h"

/* Connections that were translated to this address. */
int conntrack_forget_pod(int fd, const struct ip *pod, struct err *e);
/* Connections of `protocol` to this destination port that were not translated. */
int conntrack_forget_port(int fd, int family, uint8_t protocol, uint16_t port, struct err *e);

#endif
