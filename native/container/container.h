/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bundled OCI runtime as a library: from a bundle to a process that waits, and from there on.
 *
 * Both callers, the monitor and the kobako-oci command, fork a child (the "runner") for each create
 * and each exec and call these functions in it: a spec is parsed in the runner and never grows the
 * caller's heap; the runner may leave its namespaces. The container's process is made with
 * CLONE_PARENT, so it is the CALLER's child, not the runner's: the caller reaps it.
 *
 *   caller                runner                         init (the container's PID 1 or first process)
 *     fork ------------->  container_create
 *                            parse, cgroups, clone -----> namespaces, mounts, devices, pivot
 *                            <-- sync socket: steps, errors --
 *                          reports struct container_created, exits
 *                                                         waits on the start socket
 *     container_start ---- start socket: 'S' -----------> drops, seccomp, execve
 *     <------------------- struct err, or end of file: the program runs
 */
#ifndef KOBAKO_CONTAINER_CONTAINER_H
#define KOBAKO_CONTAINER_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "spec/spec.h"

/*
 * A mount that the caller holds by descriptor (a detached tree of open_tree or fsmount) for one
 * destination: it takes the place of the source of the spec's mount there, whose options still
 * count; without such a mount it is put there last.
 */
struct container_tree {
	const char *destination;
	int fd;
};

/* What becomes of a create whose caller may not make cgroups (no root's rights, a cgroup filesystem that is read-only). */
enum container_cgroup_need {
	CGROUP_NEEDED,    /* it fails */
	CGROUP_OPTIONAL,  /* it goes on without, unless limits are asked for, and warns */
	CGROUP_BY_RIGHTS, /* optional for who is not root of the machine and does not ask systemd, else needed */
};

struct container_create {
	const char *id;
	const char *bundle;    /* absolute; relative paths of the spec (rootfs, bind sources) start here */
	const char *spec_path; /* absolute path of config.json */
	const struct spec *spec; /* what it holds, parsed by the caller; NULL: it is read here */
	int mntns_fd;          /* -1, or the mount namespace (made by the monitor, rootfs mounted in it) to
	                        * start from. It is the container's own: made into its root, not unshared again. */
	int userns_fd;         /* -1, or the user namespace to join, as if the spec named it by path */
	int stdio[3];          /* become 0, 1, 2 of the process; -1: /dev/null. Ignored with a console. */
	int console_sock;      /* process.terminal: a connected unix socket that is sent the pty's master; else -1 */
	int start_fd;          /* one end of a SOCK_SEQPACKET socketpair; the caller keeps the other end for container_start.
	                        * Or a listening SOCK_SEQPACKET socket: init waits for the one that connects. */
	int known_fd;          /* -1, or a socket: init waits for a byte from it before it waits for the start. Its end without
	                        * one means that the caller ended before anybody knew of init, which then ends too */
	bool find_at_start;    /* a missing program is start's error and not create's: with CRI the container has then
	                        * ended, and its restart policy counts; runc tells it at create */
	bool no_pivot;         /* the root is moved, not pivoted: for a rootfs on a ramdisk */
	bool no_new_keyring;   /* the process keeps the caller's session keyring */
	int preserve_fds;      /* descriptors 3 to 3 + N - 1 stay open for the process; the caller has opened them */
	const char *const *env; /* added to process.env, ended by NULL; or NULL */
	const struct container_tree *trees;
	size_t tree_count;
	bool systemd_cgroup;   /* cgroupsPath is "slice:prefix:name": systemd makes the cgroup (cgroup/systemd.h) */
	enum container_cgroup_need cgroup_need;
	bool rdt;              /* linux.intelRdt counts, else it is refused: the caller takes its groups away (container_rdt_remove) */
	bool systemd_annotations; /* annotations org.systemd.property.* count: only for a caller who may set any */
	const char *seccomp_cache; /* folder for compiled filters (made when missing); NULL: the default one */
	void (*warn)(const char *text); /* what was asked for and left out where that is allowed; NULL: not told */
	int (*claimed)(const void *arg, struct err *e); /* called in the runner when the cgroup is made and nobody is in it:
	                        * from then on all that is in it is the container's. NULL: not told */
	const void *claimed_arg;
};

/*
 * What an exec takes from its container, and may not go beyond. create knows it when it has read the spec: a caller
 * that keeps it spares each exec (a probe, every few seconds) the reading of all of it again. Flat, without pointers:
 * it goes from the runner of create to its caller and from there to the runners of execs.
 */
struct container_bound {
	bool usable; /* false: something of it had no room here; execs read the spec */
	bool has_capabilities, no_new_privileges, cgroup_namespace, user_namespace, has_seccomp, has_oom_score_adj;
	uint32_t uid, rlimit_count, seccomp_flags;
	int64_t oom_score_adj, personality, umask; /* umask -1: none asked for */
	uint64_t bounding, effective, inheritable, permitted, ambient;
	struct {
		int32_t resource;
		uint64_t soft, hard;
	} rlimits[16];
	char seccomp[80]; /* name of the compiled filter in the cache */
	char apparmor[128], selinux[256];
};

struct container_created {
	pid_t pid;              /* init, in the caller's PID namespace */
	char cgroup[2048];      /* cgroup path below each hierarchy's root (v1) or the unified root (v2); "" if none */
	struct container_bound bound;
};

/* In the runner. On failure nothing is left behind: no process, cgroup or mount. */
int container_create(const struct container_create *req, struct container_created *ret_created, struct err *e);

/*
 * In the caller: lets init run its program. Returns when execve(2) succeeded; an error of init
 * (not found, not executable, wrong architecture) arrives as *e, with the rootfs path in the step.
 */
int container_start(int start_fd, int timeout_ms, struct err *e);

/*
 * The same in two halves, for a caller with an event loop: asks; then, whenever start_fd is readable,
 * takes the answer. -EAGAIN: none yet.
 */
int container_start_ask(int start_fd, struct err *e);
int container_start_answer(int start_fd, struct err *e);
/* By whoever stands in for an init that is elsewhere: why the program does not run. Closing start_fd says that it does. */
int container_start_refuse(int start_fd, const struct err *why);

struct cgroup_join;
struct container_exec {
	const char *id;
	pid_t init_pid;
	int init_pidfd;         /* joined by descriptor: a reused pid is never entered */
	const char *bundle;     /* of the container, for a seccomp agent; NULL: the folder of spec_path */
	const char *spec_path;  /* the container's config.json: seccomp, capabilities bound, env defaults */
	const struct container_bound *bound; /* the same in short, as create gave it; NULL: spec_path is read */
	const char *container_cgroup; /* as create gave it; needed with bound, else NULL means that of the spec */
	const struct cgroup_join *join; /* the same, opened; NULL: it is opened here */
	const char *process_json; /* the OCI process object, len bytes */
	size_t process_len;
	bool trusted;           /* the caller may give more than the container has (the runtime as a command) */
	int preserve_fds;       /* as of container_create */
	const char *const *cgroups; /* existing cgroups below the container's to join, "[CONTROLLER[,CONTROLLER]:]PATH",
	                         * ended by NULL; or NULL */
	const char *cgroup;     /* sub-cgroup to make for the whole exec below the container's ("exec-N"), or NULL */
	int stdio[3];
	int console_sock;
	const char *seccomp_cache;
	void (*warn)(const char *text);
};

/*
 * In the runner, which is to end soon: what it has opened and allocated ends with it. Returns when the program was
 * exec'd, or why not: a missing program is ENOENT, one that is not executable EACCES. The process is the caller's child.
 */
int container_exec(const struct container_exec *req, pid_t *ret_pid, struct err *e);

/*
 * Undoes a create whose runner ended without an answer (killed in between): kills what is in the
 * container's cgroup and removes it. In a runner: the spec is parsed. May be called for what is not there.
 * claimed: the cgroup is the container's (see container_create); else it is removed only if nobody is in it.
 */
int container_discard(const char *id, const char *spec_path, bool systemd_cgroup, bool claimed, struct err *e);

/*
 * Other limits for a container (linux.resources, a checked object): for systemd, where it made the cgroup, and in the
 * cgroup itself. `cgroup` is the path that create gave. In a runner.
 */
struct jnode;
int container_update(const char *cgroup, bool systemd_cgroup, const struct jnode *resources, void (*warn)(const char *text),
		     struct err *e);

/* Removes the cgroup of a container whose processes have ended, and its unit. Waits timeout_ms at most for it to be empty. */
int container_cgroup_remove(const char *cgroup, bool systemd_cgroup, int timeout_ms, struct err *e);

/* Removes the groups of linux.intelRdt that are a container's alone. */
int container_rdt_remove(const char *spec_path, const char *id, struct err *e);
/* Other schemas for a container that has linux.intelRdt; NULL: as it is. */
int container_rdt_update(const char *spec_path, const char *id, const char *l3, const char *bandwidth, struct err *e);

/*
 * Runs the hooks of one kind ("poststart", "poststop") of a spec, in a runner as well: they may take
 * long, and the spec is parsed. prestart to startContainer are run by container_create and init.
 * pid: init's; 0 when it is gone. status: of the state that the hooks are given ("running", "stopped").
 */
int container_hooks(const char *spec_path, const char *kind, const char *id, const char *bundle, const char *status,
		    pid_t pid, struct err *e);

/*
 * Writes the maps of process pid, which waits in a new user namespace, from outside. None given: the caller's own ids
 * become 0.
 */
int userns_map(pid_t pid, const struct spec_idmaps *m, struct err *e);
/* A user namespace with these maps and nobody in it, for a mount. */
int userns_make(const struct spec_idmaps *m, int *ret_fd, struct err *e);

/* The names that linux.seccomp may use, by index; NULL after the last. */
const char *container_seccomp_action(size_t i);
const char *container_seccomp_operator(size_t i);
const char *container_seccomp_flag(size_t i);

/* Where compiled seccomp filters are kept unless the caller says otherwise. */
#define CONTAINER_SECCOMP_CACHE "/run/kobako/seccomp"

#endif
