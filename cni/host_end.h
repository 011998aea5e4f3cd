/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's end of a pod's veth pair. Its name and MAC come from a hash of pod and interface, so that
 * it is found again when the pod's namespace is gone, and never taken for another pod's.
 */
#ifndef KOBAKO_CNI_HOST_END_H
#define KOBAKO_CNI_HOST_END_H

#include <net/if.h>
#include <stdint.h>

#include "plugin.h"

#define HOST_END_ATTEMPTS 4 /* a 32-bit name is taken once in a lifetime */

struct host_end {
	char name[IFNAMSIZ];
	uint8_t mac[6];
};

/* Names for one pod's interface: attempt 0, and others when that is taken. Pure. */
struct host_end host_end(const struct cni_call *call, unsigned int attempt);

/*
 * Removes host ends of this pod's interface that are left, whatever became of the namespace; or only
 * switches them off. None is success. fd: rtnetlink.
 */
int host_ends_remove(int fd, const struct cni_call *call, bool only_off, struct err *e);

#endif
