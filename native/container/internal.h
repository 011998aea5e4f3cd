/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the container room share. Order of events: README.md. */
#ifndef KOBAKO_CONTAINER_INTERNAL_H
#define KOBAKO_CONTAINER_INTERNAL_H

#include <linux/filter.h>

#include "cgroup/cgroup.h"
#include "container/container.h"
#include "spec/mount-options.h"
#include "spec/spec.h"

/* --- sync.c: between runner and init, a SOCK_SEQPACKET pair ------------------------------------
 *
 *   init                          runner
 *     USER       ---------------->  only in a new user namespace: writes its maps
 *     <---------------- USER or error
 *     DEVICES    ---------------->  only with linux.netDevices: moves them
 *     <---------------- DEVICES or error
 *     WARN text  ---------------->  tells the caller; any number of times
 *     HOOKS      ---------------->  only with hooks for it or a seccomp agent: runs prestart and createRuntime
 *     <---------------- pid or error
 *     READY      ---------------->  created; init goes on to wait on the start socket
 *     ERROR      ---------------->  instead of any: init ends
 */
enum sync_type { SYNC_ERROR = 1, SYNC_WARN, SYNC_HOOKS, SYNC_READY, SYNC_USER, SYNC_DEVICES };
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
	bool notify;            /* an agent answers for some calls; then: */
	int agent;              /* its socket, connected; 0: not yet */
	char *message;          /* what it is told with the descriptor; NULL: not yet */
	int errors;             /* takes a struct sync_msg, should that fail */
};
/* The compiled form of linux.seccomp, from the cache or compiled into it. seccomp may be NULL. */
int seccomp_prepare(const json_t *seccomp, const char *cache_dir, struct seccomp_filter *ret, struct err *e);
/* The name of the compiled form of linux.seccomp in the cache. */
void seccomp_cache_name(const json_t *seccomp, char ret[80]);
/* What stands in the cache by that name. -ENOENT when there is none. */
int seccomp_cached(const char *cache_dir, const char *name, struct seccomp_filter *ret, struct err *e);
void seccomp_filter_free(struct seccomp_filter *f);
int seccomp_load_filter(const struct seccomp_filter *f, struct err *e);
/* The same as bytes of BPF as libseccomp has it, neither short nor kept. */
int seccomp_compile(const struct jnode *seccomp, char **ret_bpf, size_t *ret_len, struct err *e);

/* --- seccomp-shorten.c --------------------------------------------------------------------------- */
/* Makes a program that answers the same with fewer instructions, in place. One that is not understood stays as it is. */
void seccomp_shorten(struct sock_filter *program, size_t *len);

/* --- seccomp-notify.c ---------------------------------------------------------------------------- */
/* Whether the profile has an agent; one without listenerPath, and listenerMetadata without that, are refused. */
int seccomp_notify_check(const struct jnode *seccomp, bool *ret_notify, struct err *e);
/* In the runner, in the caller's mount namespace. Nothing without an agent, as the two below. */
int seccomp_notify_connect(const json_t *seccomp, struct seccomp_filter *f, struct err *e);
struct hook_state;
/* In the process that is to be filtered. pid: its own, as the runner sees it. */
int seccomp_notify_describe(const struct spec *s, const struct hook_state *state, pid_t pid, struct seccomp_filter *f,
			    struct err *e);
/* Loads the filter; when it returns, the agent has been sent its descriptor. */
int seccomp_notify_load(const struct seccomp_filter *f, struct err *e);

/* --- netdev.c ------------------------------------------------------------------------------------ */
/* A netlink socket of the caller's network namespace; nothing without linux.netDevices. Before it is left. */
int netdev_open(const struct spec *s, int *ret_sock, struct err *e);
/* Moves the devices from the namespace of socket `outside` to that of process pid. */
int netdev_move(const struct spec *s, int outside, pid_t pid, struct err *e);

/* --- rdt.c -------------------------------------------------------------------------------------- */
struct rdt {
	int root, group; /* of resctrl; the container's class of service. -1: not asked for */
	int tasks, monitor_tasks; /* where its init's pid goes */
	bool made, monitor_made;
};
#define RDT_NONE ((struct rdt){ .root = -1, .group = -1, .tasks = -1, .monitor_tasks = -1 })
/* In the runner: the container's groups, made and filled. Nothing without linux.intelRdt. rdt_close and rdt_undo after a failure, too. */
int rdt_prepare(const struct spec_rdt *r, const char *id, struct rdt *ret, struct err *e);
/* pid: as the caller sees it; 0 is the caller itself. */
int rdt_enter(const struct rdt *rdt, pid_t pid, struct err *e);
void rdt_close(struct rdt *rdt);
/* Removes what this create has made. */
void rdt_undo(const struct spec_rdt *r, const char *id, struct rdt *rdt);
/* Removes what is the container's alone; may be called for what is not there. */
int rdt_remove(const struct spec_rdt *r, const char *id, struct err *e);

/* The parts of the above, for a root that the caller has opened. */
int rdt_open(int *ret_root, struct err *e);
/* The first mount point of resctrl in the text of a mountinfo, which is cut. False: none. */
bool rdt_mount_point(char *mountinfo, char *ret, size_t size);
int rdt_make(int root, const struct spec_rdt *r, const char *id, struct rdt *ret, struct err *e);
/* ours: the schemas are written; else they must be what the group has. */
int rdt_configure(int root, int group, bool ours, const struct spec_rdt *r, struct err *e);
int rdt_remove_from(int root, const struct spec_rdt *r, const char *id, struct err *e);

/* --- bound.c ------------------------------------------------------------------------------------ */
/* seccomp_flags: of the filter that seccomp_prepare gave for the spec. */
void bound_from_spec(const struct spec *s, unsigned int seccomp_flags, struct container_bound *ret);
/* The parts of a spec that an exec looks at. The strings are b's; free with spec_free. */
int bound_to_spec(const struct container_bound *b, struct spec *ret, struct err *e);

/* --- process.c: from the runtime's identity to the process's ------------------------------------ */
struct identity {
	const struct spec_process *process;
	struct seccomp_filter *seccomp;
	void (*warn)(void *arg, const char *text);
	void *warn_arg;
	bool foreign_ok; /* binfmt_misc may know programs of other machines */
	bool keep_keyring; /* the session keyring stays the caller's */
	bool no_setgroups; /* the user namespace denies it */
	mode_t umask;    /* the caller's: kept when the specification says none */
	const char **env; /* by process_environment */
};
/*
 * In the runner, inherited by its child: oom_score_adj. Capabilities that nobody here can give are taken
 * out and told. own_user_ns: all are there, inside.
 */
int process_before_clone(struct spec_process *p, bool own_user_ns, void (*warn)(void *, const char *), void *arg,
			 struct err *e);
/* All that is permitted becomes effective. */
int process_raise_capabilities(struct err *e);
/* Own session, new keyring. */
int process_session(const struct identity *id, struct err *e);
/* The working folder, made when missing and asked for; checked to lie inside the root. After pivot_root. */
int process_chdir(const struct spec_process *p, bool make, struct err *e);
/* The environment that the program gets, never given back. In the container's root. */
int process_environment(struct identity *id, struct err *e);
/* The folder of the user in etc/passwd below `root`, else "/". size: at least 2. */
void environment_home(int root, uint32_t uid, char *ret, size_t size);
/* stdio becomes 0..2; pipes and terminals change owner; the controlling terminal is taken. */
int process_stdio(const int stdio[3], const struct spec_process *p, struct err *e);
/* Limits, scheduler, groups, user, capabilities, no_new_privs. */
int process_become(const struct identity *id, struct err *e);
/* args[0] as a path, by the process's own PATH and rights; the program's format is looked at too. */
int process_find_program(const struct identity *id, char *ret_path, size_t size, struct err *e);
/* seccomp and execve(2). Returns only on failure. */
int process_exec(const struct identity *id, const char *path, struct err *e);
/* Closes every descriptor above 2 that is neither one of the `preserved` that follow nor in keep (-1 entries are
 * skipped; the array is sorted) nor the trace's. */
void process_close_others(int preserved, int *keep, size_t count);

/* --- placement.c -------------------------------------------------------------------------------- */
/* Scheduler and I/O priority. */
int process_schedule(const struct spec_process *p, struct err *e);
/* NUMA memory policy; survives execve. */
int process_memory_policy(const struct spec_memory_policy *policy, struct err *e);
/* execCPUAffinity: the runner before it joins the cgroup; the process when it has. */
int process_initial_cpus(const struct spec_process *p, struct err *e);
int process_cpus(const struct spec_process *p, struct err *e);

/* --- labels.c ----------------------------------------------------------------------------------- */
/* Refuses labels that this machine can't apply. In the runner. */
int labels_check(const struct spec *s, const struct spec_process *p, struct err *e);
/* Sets the labels that the next execve takes. proc: O_PATH of a verified /proc. */
int labels_apply(const struct spec_process *p, int proc, struct err *e);
/* Whether a new filesystem of this type is given a label for all its files, as context= (mount(8)). */
bool labels_by_context(const char *type);
/* Labels the root of a detached mount of a type that takes a label as any file does (mqueue). */
int labels_file(int mount, const char *label, struct err *e);

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
/* The state (runtime.md, "State"), a new reference; NULL: no memory. */
json_t *hooks_state(const struct spec *s, const struct hook_state *state);
int hooks_run(const struct spec *s, enum spec_hook_kind kind, const struct hook_state *state, struct err *e);

/* --- userns.c ----------------------------------------------------------------------------------- */
/* In init, mapped: becomes 0:0 of the namespace (or the process's own ids where 0 is not mapped). */
int userns_become_root(const struct spec_process *p, bool no_setgroups, struct err *e);
/* In init: whether a joined namespace has the lines that the configuration says. */
int userns_check_maps(const struct spec_idmaps *m, int proc, struct err *e);
/* Whether setgroups(2) is allowed in the user namespace of a process. proc: O_PATH of its folder in /proc. */
bool process_may_setgroups(int proc);
/* Whether they have the same lines in the same order. */
bool userns_same_maps(const struct spec_idmaps *a, const struct spec_idmaps *b);

/* --- ns.c --------------------------------------------------------------------------------------- */
/* Opens a namespace by path and checks that it is one of this kind. */
int ns_open(enum spec_ns_kind kind, const char *path, int *ret_fd, struct err *e);
/*
 * A new time namespace with the offsets of the specification, entered by the caller, who must have one
 * thread. proc: O_PATH of a verified /proc.
 */
int ns_new_time(const struct spec *s, int proc, struct err *e);
/* Brings `lo` up in the calling process's network namespace. */
int ns_loopback_up(struct err *e);

/* --- mounts.c, rootfs.c, devices.c, console.c, cgroup-mount.c ------------------------------------ */
struct mounts {
	const struct spec *spec;
	const char *cgroup;     /* the container's cgroup path */
	const struct container_tree *trees; /* held by the caller, one per destination */
	size_t tree_count;
	int *sources;           /* per mount of the spec: a detached clone of its bind source, a filesystem on a device, or -1 */
	bool late;              /* init opens the sources: the runner may not (it is not root) */
	bool user_ns;           /* the container is in another user namespace than the runtime */
	bool bind_nodes;        /* no device nodes can be made: the host's are bound */
	int rootfs_tree;        /* with a user namespace: the rootfs, cloned by the runner; else -1 */
	const char *bundle;
	void (*warn)(void *arg, const char *text);
	void *warn_arg;
	int null;               /* the host's /dev/null, verified, a detached mount */
	int proc;               /* O_PATH of the host's /proc, verified */
	int root;               /* the rootfs mount: everything is resolved below it */
	char rootfs[4096];      /* absolute */
};
/*
 * In the runner, still in the caller's mount namespace (or in init, when late): clones what is bound, and mounts block devices,
 * which the container's device rules keep from init.
 */
int mounts_open_sources(struct mounts *m, const struct spec *s, struct err *e);
void mounts_close(struct mounts *m);
/* In init: all mounts of the spec below m->root. */
int mounts_apply(struct mounts *m, struct err *e);
/*
 * A new filesystem as a detached mount. data: options ended by NULL; label: linux.mountLabel or NULL, for the types that
 * take it; attrs: MOUNT_ATTR_*.
 */
int mount_new_fs(const char *type, const char *source, const char *const *data, const char *label, uint64_t attrs, int *ret_fd,
		 struct err *e);
/* Whether the filesystem lies on a block device. */
bool mount_is_of_device(const char *source);
/* Whether something of it is longer than mount_new_fs takes (255 bytes). */
bool mount_has_long_value(const char *source, const char *const *data);
/* As mount_new_fs, for values of any length in 4095 bytes of options. In init, whose mounts show nowhere else. */
int mount_new_fs_by_page(const char *type, const char *source, const char *const *data, const char *label, uint64_t attrs, int *ret_fd,
			 struct err *e);
/* Changes the options of the filesystem that fspick(2) gave. */
int mount_reconfigure(int fs, const char *const *data, struct err *e);
/* copy-up.c: what is below `from` (O_PATH of a folder) into the empty tree `to`. Nothing is followed. */
int copy_up(int from, int to, struct err *e);
/* Clones what `fd` (O_PATH, attached) shows into a detached mount. */
int mount_clone(int fd, bool recursive, int *ret_fd, struct err *e);
int mount_set(int fd, uint64_t set, uint64_t clear, unsigned long propagation, bool recursive, struct err *e);
/* Tells of the options that belong to a filesystem ("size=1m", "sync") where that is there already. kind: "bind". */
void mounts_warn_data(const struct mounts *m, const char *destination, const struct mount_options *o, const char *kind);
/* destination: absolute and clean. */
int cgroup_mount(struct mounts *m, const char *destination, const struct mount_options *o, struct err *e);

/* In the runner: the rootfs as a detached mount, for an init that may not reach it by its path. */
int rootfs_clone(struct mounts *m, struct err *e);
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
	bool user_new; /* in a new user namespace: waits for its maps */
	bool user_joined;
	int sync;      /* to the runner */
	int stdio[3];
};
/* The life of init up to execve(2). Never returns. */
void init_main(struct init *in) __attribute__((noreturn));

#endif
