/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a monitor holds for its whole pod: namespaces by descriptor, the network namespace's pin (the
 * one mount on the host), the pod's /dev/shm, and the reaping PID 1 of a shared PID namespace.
 * Enters: the start request. Never: leaves a pin, a process or a cgroup of the pod behind on failure.
 */
#ifndef KOBAKO_MONITOR_POD_H
#define KOBAKO_MONITOR_POD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "monitor/json_view.h"
#include "spec/spec.h"

enum ns_mode { NS_HOST, NS_POD, NS_CONTAINER };

struct pod {
	char *id;
	char *run_dir;        /* absolute */
	char *socket;         /* name in run_dir */
	char *netns_pin;      /* NULL with the host's network */
	char *hostname;       /* "" leaves the host's name */
	char *monitor_cgroup; /* path below each hierarchy's root */
	char *shim_cgroup;    /* of the shim that this monitor stands beside; NULL: it has none */
	char *pod_cgroup;     /* of the pause process; NULL: it stays in the monitor's */
	bool systemd_cgroup;  /* these, and the containers', are units of systemd's */
	enum ns_mode network, ipc, uts, pid;
	bool own_user;        /* a user namespace with id_map, for users and groups; it owns the others */
	struct spec_idmap id_map;
	uint64_t shm_bytes;
	int64_t oom_score_adj;
	struct json_view sysctls; /* in the request's text */

	bool pinned; /* netns_pin is ours */
	int net_fd, ipc_fd, uts_fd, pid_fd; /* -1: the host's, or (pid) one for each container */
	int shm_fd;      /* mount namespace whose root is the pod's /dev/shm */
	int net_dev_fd;  /* /proc/net/dev as the pod sees it; a descriptor of it stays with its namespace */
	int user_fd;     /* -1: the host's user namespace */
	pid_t pause_pid; /* 0: none */
	pid_t waiter;    /* holds the scope of pod_cgroup while nobody else is in it; 0: none */
	char start_time[24]; /* of the monitor: field 22 of /proc/pid/stat */
};

extern struct pod pod;

/* Reads a start request. EINVAL names the field. The strings are copies, `sysctls` points into the text. */
int pod_parse(struct pod *p, const char *text, size_t len, struct err *e);

/*
 * Begins to make the namespaces, the pin and /dev/shm, in a child that the caller reaps. What it has
 * made comes over *ret_sock, to whichever process calls pod_finish: that is the monitor, which is
 * itself being made meanwhile (a network namespace takes the kernel longer than all else).
 */
int pod_begin(const struct pod *p, int *ret_sock, pid_t *ret_child, struct err *e);

/* Takes over what the child made, and starts pause. Closes sock. On failure nothing is left. */
int pod_finish(struct pod *p, int sock, struct err *e);

/* Ends pause (killed and reaped here unless it was reaped), gives the pin and the pod's cgroup back. */
void pod_give_back(struct pod *p);

/*
 * Makes pod_cgroup. A scope of systemd's lives as long as a process is in it: that is p->waiter, to be ended when there
 * are others (systemd_end_waiter) or, at last, by pod_give_back.
 */
int pod_make_cgroup(struct pod *p, struct err *e);

/* In a runner: enters the pod's namespaces; what it makes then inherits them. */
int pod_enter(const struct pod *p, struct err *e);

/*
 * Another program makes the pod's containers, and is going to move a process to a container's cgroups: what that waits
 * for begins now (cgroup.h), and meanwhile nobody on this machine can make or remove a cgroup. A sandboxed runtime moves
 * nothing, the linked one no pid. Before the caller enters a container's mount namespace.
 */
void pod_await_moves(void);
/* In a runner that has a shim make a container: it moves more than one, seldom at once. As long as the runner lives. */
void pod_hold_moves(void);

/*
 * In a runner: the pod's /dev/shm as a tree of its own, a clone of the root of the namespace that holds it. Then back
 * to the host's mounts, where a container's sources are.
 */
int pod_clone_shm(int *ret_tree, struct err *e);

/*
 * Unmounts and removes a network namespace's pin. A missing one is success.
 * Anything but an empty regular file, or a namespace mounted on one, is refused (EINVAL).
 */
int pod_unpin(const char *path, struct err *e);

/* Field 22 of /proc/<pid>/stat, which with the pid names one process for ever. "" on failure. */
void process_start_time(pid_t pid, char ret[24]);

#endif
