/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipMasq: what pods of a network send to the outside leaves with the node's address. One chain per
 * network, the same for all its pods, so nothing changes when pods come and go.
 */
#ifndef KOBAKO_CNI_MASQUERADE_H
#define KOBAKO_CNI_MASQUERADE_H

#include "addr.h"
#include "base/err.h"

/* Masquerades from each subnet to everything but the subnet itself and multicast. */
int masquerade_ensure(const char *table, const char *network, const struct ip_net *subnets, size_t count, struct err *e);
/* -ENOENT when the chain is not as masquerade_ensure leaves it. */
int masquerade_check(const char *table, const char *network, const struct ip_net *subnets, size_t count, struct err *e);
/* Removes the network's chain; one that isn't there is success. */
int masquerade_remove(const char *table, const char *network, struct err *e);

#endif
