/* SPDX-License-Identifier: Apache-2.0 */
/* host-local for callers inside this program: the bridge plugin allocates without an exec. */
#ifndef KOBAKO_CNI_HOST_LOCAL_H
#define KOBAKO_CNI_HOST_LOCAL_H

#include "result.h"

/*
 * Gives the pod one address of each range set, with routes and dns of the configuration.
 * ret->dns is a new document when set: the caller drops it. All or nothing.
 */
int host_local_add(struct cni_call *call, struct result *ret, struct err *e);
/* Gives all addresses of the pod's interface back; none is success. */
int host_local_del(struct cni_call *call, struct err *e);
int host_local_check(struct cni_call *call, struct err *e);
int host_local_gc(struct cni_call *call, struct err *e);

#endif
