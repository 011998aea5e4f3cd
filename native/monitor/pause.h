/* SPDX-License-Identifier: Apache-2.0 */
/* The reaping PID 1 of a pod whose containers share a PID namespace. */
#ifndef KOBAKO_MONITOR_PAUSE_H
#define KOBAKO_MONITOR_PAUSE_H

#include "monitor/pod.h"

/* Starts it in the pod's namespaces and its cgroup; fills pause_pid and pid_fd. On failure pod_give_back undoes. */
int pause_start(struct pod *p, struct err *e);

#endif
