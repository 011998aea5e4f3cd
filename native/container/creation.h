/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A create under way, as the files that carry it out share it: create.c (from the specification to an init that is
 * ready), resources.c (its cgroup) and keeper.c (who stays outside of joined namespaces).
 */
#ifndef KOBAKO_CONTAINER_CREATION_H
#define KOBAKO_CONTAINER_CREATION_H

#include "container/internal.h"

/* Everything that a failed create has to give back. */
struct creation {
	struct spec spec;
	struct mounts mounts;
	struct seccomp_filter seccomp;
	char cgroup[CGROUP_PATH_MAX];
	struct cgroup_made made;
	struct cgroup_join join;
	bool cgroup_made;
	bool unit_made;
	pid_t waiter; /* what a scope begins with; 0: none */
	const char **env, **given_env; /* process.env with the caller's additions (NULL: none), and without */
	mode_t umask; /* the caller's */
	bool late;    /* without the rights of root: what needs rights is done inside the user namespace */
	int ns[NS_KINDS]; /* namespaces to join, by descriptor */
	char user_path[32]; /* of the user namespace that the caller holds */
	struct rdt rdt;
	int link_sock; /* netlink of the caller's network namespace; -1: no devices to move */
	int sync, sync_init; /* our end; init's, until it has it */
	pid_t pid;
	int pidfd;
};

/* --- create.c ------------------------------------------------------------------------------------ */
/* arg: the struct container_create. */
void creation_warn(void *arg, const char *text);
/*
 * All but the mount, the cgroup (init's join_cgroup) and the user namespace are joined here, before init exists; it inherits
 * them. The caller ends soon; of the PID and time namespaces only its children become members (pid_namespaces(7)).
 */
int creation_enter(const struct creation *c, struct err *e);
int creation_clone(struct creation *c, const struct container_create *req, struct err *e);
/* Until init is ready or gives up. It ends by itself when we do: its next send fails. */
int creation_attend(struct creation *c, const struct container_create *req, struct err *e);
/* Init is the caller's child and reaped there; here only that it is dead is waited for. */
void creation_give_back(struct creation *c, const struct container_create *req);

/* --- resources.c --------------------------------------------------------------------------------- */
int creation_make_cgroup(struct creation *c, const struct container_create *req, struct err *e);
/* After init's end. */
void creation_drop_cgroup(struct creation *c);

/* --- keeper.c ------------------------------------------------------------------------------------ */
/* creation_enter, creation_clone and creation_attend, with somebody who stays outside. */
int creation_inside(struct creation *c, const struct container_create *req, struct err *e);

#endif
