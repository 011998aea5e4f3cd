/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups of version 1, version 2 and both at once (hybrid), by the filesystem.
 *
 * Enters: a cgroup path ("/kubepods/pod1/c1", from each hierarchy's mount point on) and the OCI
 * linux.resources object. Kept: nothing, every call looks at the kernel; only where the hierarchies
 * are mounted is read once per process. Never: touches a cgroup above the path except to make missing
 * parents and to switch controllers on for them (v2). systemd.h is beside it: who has systemd make the folder.
 *
 * One path stands for a folder in every hierarchy. On a hybrid host the container has its folder in
 * the v2 tree as well: cgroup.kill there is atomic.
 *
 * Joining costs: writing a pid to cgroup.procs waits for an RCU grace period (7 to 14 ms measured on
 * 6.18) because it must stop all forks of the machine. A single-threaded process that writes "0" to
 * `tasks` needs no such lock (since 5.4), nor does clone3(CLONE_INTO_CGROUP): these are used here.
 */
#ifndef KOBAKO_CGROUP_CGROUP_H
#define KOBAKO_CGROUP_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"

#define CGROUP_PATH_MAX 2048
#define CGROUP_HIERARCHIES 16

enum cgroup_controller { CG_CPU, CG_CPUACCT, CG_CPUSET, CG_MEMORY, CG_DEVICES, CG_FREEZER, CG_BLKIO, CG_PIDS,
			 CG_HUGETLB, CG_RDMA, CG_NET_CLS, CG_NET_PRIO, CG_PERF, CG_MISC, CG_CONTROLLERS };

struct cgroup_hierarchy {
	char mount[256];      /* where it is mounted */
	char device[16];      /* "0:29": of its superblock */
	bool v2;
	bool named;           /* a v1 hierarchy without controllers ("name=systemd") */
	uint32_t controllers; /* bit N: enum cgroup_controller */
};

struct cgroup_host {
	struct cgroup_hierarchy list[CGROUP_HIERARCHIES];
	int count;
};

/* What cgroup_create made, so that a failure takes it away again: how long the path of the uppermost
 * new folder is, per hierarchy; 0: nothing is new. */
struct cgroup_made {
	uint16_t length[CGROUP_HIERARCHIES];
};

/* Descriptors to join with; -1: none. */
struct cgroup_join {
	int tasks[CGROUP_HIERARCHIES]; /* v1 */
	int v2;                        /* the folder, for CLONE_INTO_CGROUP */
};

/*
 * The hierarchies of this machine, read at the first call (from /proc/self/mountinfo) and kept: a
 * caller that forks should call it once before. NULL with *e set when there is no cgroup filesystem.
 */
const struct cgroup_host *cgroup_host(struct err *e);

/* For tests: another mountinfo. */
int cgroup_host_parse(const char *mountinfo, struct cgroup_host *ret);

/*
 * The path for linux.cgroupsPath: "/a/b" as it is, "a/b" as "/a/b", "slice:prefix:name" as systemd
 * would place it, NULL as "/<id>". EINVAL for "..", empty parts, "/" and what is too long.
 */
int cgroup_path(const char *cgroups_path, const char *id, char ret[CGROUP_PATH_MAX], struct err *e);

/*
 * Makes the folder in every hierarchy, with missing parents; existing ones are taken over. Where v2 has the
 * controllers they are let down to it, all that can be: usage is counted without a limit, too.
 */
int cgroup_create(const char *path, struct cgroup_made *ret_made, struct err *e);

/*
 * For who is to be alone in it, after cgroup_create: EBUSY when somebody is in a folder that was there before, or when
 * it is frozen, by itself or from above: who is cloned into it would stand still. made NULL: all were there before.
 */
int cgroup_check_free(const char *path, const struct cgroup_made *made, struct err *e);

/* Removes the empty folders that cgroup_create made, parents included. */
void cgroup_undo(const char *path, const struct cgroup_made *made);

/*
 * Applies linux.resources (value NULL: only the default device rules). A limit that is asked for
 * without its controller is ENOTSUP naming it; hugetlb alone is then left out.
 * cgroup_update does the same without devices, to a running container; cgroup_complete before it.
 */
int cgroup_apply(const char *path, const struct jnode *resources, struct err *e);
int cgroup_update(const char *path, const struct jnode *resources, struct err *e);

/* Whether a limit for huge pages other than 0 (which kubelets always send) is asked for that no controller here holds. */
bool cgroup_leaves_hugepages(const struct jnode *resources);

/*
 * Before an update. With memory.checkBeforeUpdate: EBUSY for a memory limit below what is in use, as v1's kernel answers
 * by itself; v2's takes it and kills for it. File pages do not count: they are given back first. What is used can grow
 * until the limit is written, so this saves from most such ends, not from all.
 */
int cgroup_check_usage(const char *path, const struct jnode *resources, struct err *e);

/*
 * An update as a whole, with what is in force: a CPU quota and its period, of which one was given; on v2, which limits swap
 * alone, the memory limit for `swap`, and for a memory limit the `swap` (memory and swap together) that it then still has.
 * *ret: the resources with these members in them, json_decref() it. EINVAL for a memory limit above that `swap`.
 */
int cgroup_complete(const char *path, const struct jnode *resources, json_t **ret, struct err *e);

/* Opens what is needed to join; the descriptors are close-on-exec. */
int cgroup_join_open(const char *path, struct cgroup_join *ret, struct err *e);
/*
 * Changes j to join, below the container's cgroup, one that is there already: "CONTROLLER[,CONTROLLER]:PATH", on
 * machines with v2 alone "PATH". "/" is the container's own. EINVAL for ".." and for what can't be meant.
 */
int cgroup_join_below(const char *path, const char *asked, struct cgroup_join *j, struct err *e);
/* fork(2) with the child in the folder of v2; it enters those of v1 by cgroup_join_self. Not for raise(3): it has its parent's tid. */
pid_t cgroup_fork(const struct cgroup_join *j);
/* Moves the calling process, which must have one thread, in the hierarchies of v1. */
int cgroup_join_self(const struct cgroup_join *j, struct err *e);
void cgroup_join_close(struct cgroup_join *j);

/*
 * For those who will have a program write pids to cgroup.procs: that wait begins now, while they go on. When it is over
 * the machine stays ready for about as long again (rcu_sync_exit). Who waits is a child: it moves itself to `path`,
 * where the caller is already, so that nothing else comes of it, and ends; it is the caller's to reap.
 */
int cgroup_await_moves(const char *path, struct err *e);
/*
 * The same for a caller who has a program move several processes, one after the other: the child keeps the machine ready,
 * for a second at most, and ends with the caller.
 */
int cgroup_hold_moves(const char *path, struct err *e);

/*
 * Makes a folder below a container's cgroup for one exec, in one hierarchy only: where kill is
 * atomic (v2), else in the freezer. j is changed to join it there.
 */
int cgroup_create_sub(const char *path, const char *name, struct cgroup_join *j, struct err *e);

/* Removes that folder; path: with its name. EBUSY: somebody is still in it. */
int cgroup_remove_sub(const char *path, struct err *e);

/* Opens that folder to join it again (cgroup_join.v2). -1: there is no v2, or it is gone. */
int cgroup_open_sub(const char *path);

/* Whether it is as it was made: nobody in it or below, and not frozen. */
bool cgroup_sub_idle(int fd);

/*
 * SIGKILLs every process at and below the path. v2: cgroup.kill (5.14). v1: freeze, kill, thaw: a
 * frozen process dies when thawed. Where there is neither: kills until none is left.
 * A path that does not exist is success. The processes may still be dying on return.
 */
int cgroup_kill_all(const char *path, struct err *e);

/* Freezes or thaws everything at and below the path; waits at most timeout_ms for frozen. */
int cgroup_freeze(const char *path, bool frozen, int timeout_ms, struct err *e);

/* Whether the cgroup was asked to freeze. A path that does not exist is not frozen. */
int cgroup_frozen(const char *path, bool *ret_frozen, struct err *e);

/* Removes the folders at and below the path, children first. EBUSY is retried for at most timeout_ms:
 * the last process may still be on its way out. A path that does not exist is success. */
int cgroup_remove(const char *path, int timeout_ms, struct err *e);

/*
 * A descriptor that becomes readable when the memory limit was hit (v1: eventfd; v2: inotify on
 * memory.events; read it empty). On v1 also when the cgroup goes: compare cgroup_oom_kills.
 */
int cgroup_oom_open(const char *path, int *ret_fd, struct err *e);

/* How many processes the kernel has killed for the limit of this cgroup. */
int cgroup_oom_kills(const char *path, uint64_t *ret_count, struct err *e);

/* The pids at and below the path (in the caller's PID namespace), allocated; free() them. */
int cgroup_pids(const char *path, pid_t **ret, size_t *ret_count, struct err *e);

#endif
