/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The systemd driver: a container's cgroup is a transient scope that systemd makes and delegates.
 *
 * systemd is the one writer of its tree: the scope is asked for over D-Bus (systemd's private socket, else the system
 * bus; never a user's instance), with the limits as properties so that systemd does not take them back; files that no property stands for are written into the delegated cgroup afterwards (cgroup_apply).
 * A scope begins with a process: the caller gives one that only waits, and ends it when the container's is there.
 * Every call opens its own connection and waits 30 s at most. Source: org.freedesktop.systemd1(5).
 */
#ifndef KOBAKO_CGROUP_SYSTEMD_H
#define KOBAKO_CGROUP_SYSTEMD_H

#include "cgroup/cgroup.h"

#define SYSTEMD_NAME_MAX 256

struct systemd_unit {
	char name[SYSTEMD_NAME_MAX];  /* "kobako-ID.scope" */
	char slice[SYSTEMD_NAME_MAX]; /* "system.slice" */
	char path[CGROUP_PATH_MAX];   /* where it is below each hierarchy's root */
};

/*
 * The unit for linux.cgroupsPath "slice:prefix:name" (slice "": system.slice); NULL: system.slice:kobako:ID.
 * EINVAL for every other form.
 */
int systemd_unit(const char *cgroups_path, const char *id, struct systemd_unit *ret, struct err *e);

/* The unit whose cgroup the path is: ".../a-b.slice/NAME.scope" is NAME.scope in a-b.slice. */
int systemd_unit_of_path(const char *path, struct systemd_unit *ret, struct err *e);

/* 0, or what to do instead: ENOTSUP where systemd is not PID 1's program, EPERM for a caller who is not root. */
int systemd_running(struct err *e);

/*
 * Starts the unit with `member` in it and waits until it is there. A failed unit of the name is cleared away first,
 * a living one is EEXIST. resources NULL: no limits, of devices neither. annotations (an object or NULL): org.systemd.property.NAME are properties too.
 */
int systemd_start(const struct systemd_unit *u, const struct jnode *resources, const json_t *annotations, pid_t member,
		  struct err *e);

/*
 * As systemd_start with a new process of the caller's, which only waits and dies with the caller: *ret_waiter.
 * It is to be ended when the unit has others, or is given up.
 */
int systemd_begin(const struct systemd_unit *u, const struct jnode *resources, const json_t *annotations,
		  pid_t *ret_waiter, struct err *e);
void systemd_end_waiter(pid_t *waiter);

/* Gives a running unit other limits. */
int systemd_update(const char *name, const struct jnode *resources, struct err *e);

/* Stops a unit and waits for it. One that is not there is success. */
int systemd_stop(const char *name, struct err *e);

#endif
