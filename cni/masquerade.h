/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipMasq: what pods of a subnet send to the outside leaves with the node's address. One chain per
 * subnet, the same for all its pods, so nothing changes when pods come and go.
 */
#ifndef KOBAKO_CNI_MASQUERADE_H
#define KOBAKO_CNI_MASQUERADE_H

#include "addr.h"
#include "base/err.h"

/* Masquerades from each subnet to everything but the subnet itself and multicast. */
int masquerade_ensure(const char *table, const struct ip_net *subnets, size_t count, struct err *e);
/* -ENOENT when a chain is not as masquerade_ensure leaves it. */
int masquerade_check(const char *table, const struct ip_net *subnets, size_t count, struct err *e);

#endif
