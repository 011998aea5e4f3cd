/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel settings of a pod. Only names whose value belongs to a namespace that the pod has for itself
 * are written, found below a checked procfs, without links. Sources: namespaces(7), sysctl.d(5).
 */
#ifndef KOBAKO_MONITOR_SYSCTL_H
#define KOBAKO_MONITOR_SYSCTL_H

#include <stdbool.h>

#include "base/err.h"
#include "monitor/json_view.h"

/* Longest path below /proc/sys, with its 0. */
#define SYSCTL_PATH_MAX 256

/*
 * Pure: the path below /proc/sys of a name in either form (`net.ipv4.conf.eth0/1.x`, `net/ipv4/...`).
 * own_net, own_ipc: whether the pod has these namespaces for itself. EINVAL says which rule it breaks.
 */
int pod_sysctl_path(const char *name, const char *value, bool own_net, bool own_ipc, char ret[SYSCTL_PATH_MAX], struct err *e);

/* Writes it in the namespaces that the caller is in. */
int pod_sysctl_write(const char *path, const char *value, struct err *e);

/* All of an object of names and values (may be absent), in the caller's namespaces. The error names the one. */
int pod_sysctls(struct json_view sysctls, bool own_net, bool own_ipc, struct err *e);

#endif
