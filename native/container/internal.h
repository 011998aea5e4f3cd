/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the container room share. Order of events: README.md. */
#ifndef KOBAKO_CONTAINER_INTERNAL_H
#define KOBAKO_CONTAINER_INTERNAL_H

#include <linux/filter.h>

#include "cgroup/cgroup.h"
#include "container/container.h"
#include "spec/spec.h"

/* --- sync.c: between runner and init, a SOCK_SEQPACKET pair ------------------------------------
 *
 *   init                          runner
 *     WARN text  ---------------->  tells the caller; any number of times
 *     HOOKS      ---------------->  only with hooks: runs prestart and createRuntime
 *     <---------------- pid or error
 *     READY      ---------------->  created; init goes on to wait on the start socket
 *     ERROR      ---------------->  instead of any: init ends
 */
enum sync_type { SYNC_ERROR = 1, SYNC_WARN, SYNC_HOOKS, SYNC_READY };
struct sync_msg {
	int type;
	pid_t pid; /* runner to init: init's own, as the runner sees it */
	struct err err;
};
int sync_send(int fd, const struct sync_msg *m, struct err *e);
/* 0 with *m filled; -EPIPE when the other side is gone. */
int sync_recv(int fd, struct sync_msg *m, struct err *e);

/* --- seccomp.c --------------------------------------------------------------------------------- */
struct seccomp_filter {
	struct sock_fprog prog; /* len 0: none */
	unsigned int flags;     /* SECCOMP_FILTER_FLAG_* */
	bool needed;
};
/* The compiled form of linux.seccomp, from the cache or compiled into it. seccomp may be NULL. */
int seccomp_prepare(const json_t *seccomp, const char *cache_dir, struct seccomp_filter *ret, struct err *e);
/* The name of the compiled form of linux.seccomp in the cache. */
void seccomp_cache_name(const json_t *seccomp, char ret[80]);
/* What stands in the cache by that name. -ENOENT when there is none. */
int seccomp_cached(const char *cache_dir, const char *name, struct seccomp_filter *ret, struct err *e);
void seccomp_filter_free(struct seccomp_filter *f);
int seccomp_load_filter(const struct seccomp_filter *f, struct err *e);

/* --- bound.c ------------------------------------------------------------------------------------ */
/* seccomp_flags: of the filter that seccomp_prepare gave for the spec. */
void bound_from_spec(const struct spec *s, unsigned int seccomp_flags, struct container_bound *ret);
/* The parts of a spec that an exec looks at. The strings are b's; free with spec_free. */
int bound_to_spec(const struct container_bound *b, struct spec *ret, struct err *e);

/* --- process.c: from the runtime's identity to the process's ------------------------------------ */
struct identity {
	const struct spec_process *process;
	const struct seccomp_filter *seccomp;
	void (*warn)(void *arg, const char *text);
	void *warn_arg;
	bool foreign_ok; /* binfmt_misc may know programs of other machines */
	bool keep_keyring; /* the session keyring stays the caller's */
};
/* In the runner, inherited by its child: oom_score_adj, and that the capabilities asked for are there. */
int process_before_clone(const struct spec_process *p, void (*warn)(void *, const char *), void *arg, struct err *e);
/* Own session, new keyring. */
int process_session(const struct identity *id, struct err *e);
/* The working folder, made when missing; checked to lie inside the root. After pivot_root. */
int process_chdir(const struct spec_process *p, struct err *e);
/* stdio becomes 0..2; pipes and terminals change owner; the controlling terminal is taken. */
int process_stdio(const int stdio[3], const struct spec_process *p, struct err *e);
/* Limits, scheduler, groups, user, capabilities, no_new_privs. */
int process_become(const struct identity *id, struct err *e);
/* args[0] as a path, by the process's own PATH and rights; the program's format is looked at too. */
int process_find_program(const struct identity *id, char *ret_path, size_t size, struct err *e);
/* seccomp and execve(2). Returns only on failure. */
int process_exec(const struct identity *id, const char *path, struct err *e);
/* Closes every descriptor above 2 that is neither one of the `preserved` that follow nor in keep (-1 entries are
 * skipped; the array is sorted). */
void process_close_others(int preserved, int *keep, size_t count);

/* --- labels.c ----------------------------------------------------------------------------------- */
/* Refuses labels that this machine can't apply. In the runner. */
int labels_check(const struct spec *s, const struct spec_process *p, struct err *e);
/* Sets the labels that the next execve takes. proc: O_PATH of a verified /proc. */
int labels_apply(const struct spec_process *p, int proc, struct err *e);

/* --- sysctl.c ----------------------------------------------------------------------------------- */
int sysctl_check(const struct spec *s, struct err *e);
int sysctl_apply(const struct spec *s, int proc, struct err *e);
/* "net.ipv4.ip_forward" or "net/ipv4/ip_forward" -> the latter; -EINVAL for anything odd. */
int sysctl_path(const char *name, char *buf, size_t size);

/* --- hooks.c ------------------------------------------------------------------------------------ */
struct hook_state {
	const char *id, *bundle, *status;
	pid_t pid;
};
int hooks_run(const struct spec *s, enum spec_hook_kind kind, const struct hook_state *state, struct err *e);

/* --- ns.c --------------------------------------------------------------------------------------- */
/* Opens a namespace by path and checks that it is one of this kind. */
int ns_open(enum spec_ns_kind kind, const char *path, int *ret_fd, struct err *e);
/* Brings `lo` up in the calling process's network namespace. */
int ns_loopback_up(struct err *e);

/* --- mounts.c, rootfs.c, devices.c, console.c, cgroup-mount.c ------------------------------------ */
struct mounts {
	const struct spec *spec;
	const char *cgroup;     /* the container's cgroup path */
	const struct container_tree *trees; /* held by the caller, one per destination */
	size_t tree_count;
	int *sources;           /* per mount of the spec: a detached clone of its bind source, or -1 */
	int null;               /* the host's /dev/null, verified, a detached mount */
	int proc;               /* O_PATH of the host's /proc, verified */
	int root;               /* the rootfs mount: everything is resolved below it */
	char rootfs[4096];      /* absolute */
};
/* In the runner, still in the caller's mount namespace: clones what is bound. */
int mounts_open_sources(struct mounts *m, const char *bundle, struct err *e);
void mounts_close(struct mounts *m);
/* In init: all mounts of the spec below m->root. */
int mounts_apply(struct mounts *m, struct err *e);
/* A new filesystem as a detached mount. data: options ended by NULL; attrs: MOUNT_ATTR_*. */
int mount_new_fs(const char *type, const char *source, const char *const *data, uint64_t attrs, int *ret_fd,
		 struct err *e);
/* Clones what `fd` (O_PATH, attached) shows into a detached mount. */
int mount_clone(int fd, bool recursive, int *ret_fd, struct err *e);
int mount_set(int fd, uint64_t set, uint64_t clear, unsigned long propagation, bool recursive, struct err *e);
int cgroup_mount(struct mounts *m, const struct spec_mount *mount, bool own_ns, struct err *e);

/* In init, in its mount namespace: makes it receive only and opens the rootfs as m->root. */
int rootfs_open(struct mounts *m, struct err *e);
/* Masked and read-only paths, the read-only root. */
int rootfs_protect(struct mounts *m, struct err *e);
/* pivot_root into m->root and lets the old root go; without pivot m->root is moved over it. */
int rootfs_pivot(struct mounts *m, bool pivot, struct err *e);

/* Default and extra device nodes and links; nothing when /dev was bound from the host. */
int devices_make(struct mounts *m, struct err *e);

/* A new pty of the container's devpts below `root`; *ret_slave becomes stdio. The master goes to sock. */
int console_open(int root, const struct spec_process *p, int sock, int *ret_slave, struct err *e);
/* Puts the pty on /dev/console. */
int console_mount(struct mounts *m, int slave, struct err *e);

/* --- init.c ------------------------------------------------------------------------------------- */
struct init {
	const struct spec *spec;
	const struct container_create *req;
	struct mounts *mounts;
	struct cgroup_join *cgroup;
	struct identity identity;
	int mntns;     /* to enter, or -1: init was cloned with a new one */
	int cgroupns;  /* to enter, or -1 */
	pid_t pid;     /* as the runner sees it; known with hooks only */
	int sync;      /* to the runner */
	int stdio[3];
};
/* The life of init up to execve(2). Never returns. */
void init_main(struct init *in) __attribute__((noreturn));

#endif
