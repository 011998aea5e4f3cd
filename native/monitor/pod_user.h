/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod's user namespace: made first, so that it owns the pod's other namespaces and its root may do in them what
 * root does (user_namespaces(7), "Interaction of user namespaces and other types of namespaces").
 */
#ifndef KOBAKO_MONITOR_POD_USER_H
#define KOBAKO_MONITOR_POD_USER_H

#include "monitor/pod.h"

/*
 * In the child that makes the namespaces: a user namespace with the pod's map and new ones of `flags` in it. The caller
 * enters these, not the user namespace: it keeps its rights outside. The pod's sysctls are written from inside: a range
 * of groups means those of the pod. *ret_user: the user namespace, by descriptor.
 */
int pod_user_make(const struct pod *p, int flags, int *ret_user, struct err *e);

/* Becomes root of the user namespace that the caller is in. */
int pod_user_become_root(struct err *e);

#endif
