/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OCI runtime configuration (runtime-spec 1.3, config.json) as C values.
 *
 * Enters: the JSON text. Leaves: a struct spec, every member checked for type and range; what needs
 * the kernel (does a path exist, may a limit be raised) is not looked at here.
 * Strings and JSON nodes belong to the document that the struct holds: spec_free() ends them all.
 * Never: opens a file other than config.json, or changes the process it runs in.
 */
#ifndef KOBAKO_SPEC_SPEC_H
#define KOBAKO_SPEC_SPEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"

/* A configuration is written by the daemon; this much is never reached by an honest one. */
#define SPEC_MAX_BYTES (16u << 20)

enum spec_ns_kind { NS_MOUNT, NS_PID, NS_NETWORK, NS_IPC, NS_UTS, NS_CGROUP, NS_USER, NS_TIME, NS_KINDS };

struct spec_ns {
	bool present;     /* not the caller's one */
	const char *path; /* join this; NULL: a new one */
};

/* Type name in the specification, flag of clone(2), name under /proc/PID/ns. Indexed by kind. */
struct spec_ns_name {
	const char *type;
	int flag;
	const char *proc;
};
extern const struct spec_ns_name spec_ns_names[NS_KINDS];

/* One line of a user namespace's map: `size` ids from `inside` on are those from `outside` on. */
struct spec_idmap {
	uint32_t inside, outside, size;
};

/* uidMappings and gidMappings; both empty: none given. */
struct spec_idmaps {
	struct spec_idmap *uids, *gids;
	size_t uid_count, gid_count;
};

struct spec_mount {
	const char *destination, *type, *source;
	const char **options; /* ended by NULL */
	struct spec_idmaps idmaps; /* inside: id in the source; outside: id that it is shown as */
};

struct spec_device {
	const char *path;
	mode_t type; /* S_IFCHR, S_IFBLK, S_IFIFO */
	mode_t mode;
	int64_t major, minor;
	uint32_t uid, gid;
};

struct spec_rlimit {
	const char *name; /* RLIMIT_NOFILE */
	int resource;
	uint64_t soft, hard;
};

struct spec_pair {
	const char *name, *value;
};

struct spec_hook {
	const char *path;
	const char **args, **env; /* ended by NULL; env empty means empty */
	int64_t timeout_s;        /* 0: none asked for */
};

enum spec_hook_kind { HOOK_PRESTART, HOOK_CREATE_RUNTIME, HOOK_CREATE_CONTAINER, HOOK_START_CONTAINER,
		      HOOK_POSTSTART, HOOK_POSTSTOP, HOOK_KINDS };
extern const char *const spec_hook_names[HOOK_KINDS];

struct spec_hooks {
	struct spec_hook *list;
	size_t count;
};

struct spec_caps {
	bool present;
	uint64_t bounding, effective, inheritable, permitted, ambient; /* bit N: capability N */
	const char *unknown; /* a name that is no capability here: told as a warning; NULL: all are known */
};

/* CPUs or memory nodes by number, as "0-3,7" lists them. */
#define SPEC_SET_BITS 1024
struct spec_set {
	bool present;
	unsigned long bits[SPEC_SET_BITS / (8 * sizeof(unsigned long))];
};

struct spec_scheduler {
	bool present;
	uint32_t policy; /* SCHED_* */
	int32_t nice, priority;
	uint64_t flags;
	uint64_t runtime, deadline, period; /* ns */
};

struct spec_memory_policy {
	bool present;
	int mode; /* MPOL_* with MPOL_F_* */
	struct spec_set nodes;
};

/* linux.intelRdt; NULL: not given. */
struct spec_rdt {
	bool present, monitoring;
	const char *clos, *l3, *bandwidth;
	const char **schemata; /* ended by NULL */
};

enum spec_clock { CLOCK_OF_MONOTONIC, CLOCK_OF_BOOTTIME, SPEC_CLOCKS };
extern const char *const spec_clock_names[SPEC_CLOCKS];

struct spec_time_offset {
	bool present;
	int64_t secs;
	uint32_t nanosecs;
};

struct spec_process {
	bool terminal;
	uint32_t console_width, console_height; /* 0: not asked for */
	uint32_t uid, gid;
	uint32_t *groups; /* additional gids */
	size_t group_count;
	int64_t umask; /* -1: not asked for */
	const char **args, **env;
	const char *cwd;
	struct spec_caps caps;
	struct spec_rlimit *rlimits;
	size_t rlimit_count;
	bool no_new_privileges;
	bool has_oom_score_adj;
	int64_t oom_score_adj;
	const char *apparmor_profile, *selinux_label; /* NULL: none */
	struct spec_scheduler scheduler;
	struct {
		bool present;
		int class; /* IOPRIO_CLASS_* */
		int64_t level;
	} io_priority;
	struct spec_set exec_cpus_initial, exec_cpus_final; /* execCPUAffinity */
};

enum { PERSONALITY_NONE = -1 };

struct spec {
	json_t *doc;
	const char *oci_version;
	const char *hostname, *domainname; /* NULL: none */
	const char *rootfs;
	bool rootfs_readonly;
	bool has_process;
	struct spec_process process;
	struct spec_mount *mounts;
	size_t mount_count;
	struct spec_hooks hooks[HOOK_KINDS];
	const json_t *annotations; /* an object or NULL */

	struct spec_ns ns[NS_KINDS];
	struct spec_idmaps idmaps; /* of the user namespace */
	struct spec_time_offset time_offsets[SPEC_CLOCKS];
	struct spec_pair *net_devices; /* name outside, name inside */
	size_t net_device_count;
	struct spec_memory_policy memory_policy;
	struct spec_rdt rdt;
	const char *cgroups_path; /* NULL: none given */
	const json_t *resources;  /* linux.resources, checked by the cgroup room; NULL: none */
	const json_t *seccomp;    /* linux.seccomp; NULL: none */
	struct spec_device *devices;
	size_t device_count;
	struct spec_pair *sysctls;
	size_t sysctl_count;
	const char **masked_paths, **readonly_paths;
	const char *mount_label;
	unsigned long rootfs_propagation; /* MS_SHARED|MS_SLAVE|MS_PRIVATE|MS_UNBINDABLE, MS_REC; 0: none asked for */
	long personality;
};

/* Reads and parses a config.json. On failure *s is empty and errors name the JSON path. */
int spec_load(const char *path, struct spec *s, struct err *e);

/* Parses a configuration text. */
int spec_parse(const char *text, size_t len, struct spec *s, struct err *e);

/* Frees what spec_load made; an empty spec is fine. */
void spec_free(struct spec *s);

/* Parses one process object (of exec); the strings live as long as the node's document. */
int spec_process_parse(const struct jnode *n, struct spec_process *p, struct err *e);
void spec_process_free(struct spec_process *p);

/* 7 -> "RLIMIT_NOFILE"; NULL when unknown. */
const char *spec_rlimit_name(int resource);

/* True when the process is given a namespace of this kind that is not the caller's. */
static inline bool spec_ns_new(const struct spec *s, enum spec_ns_kind kind)
{
	return s->ns[kind].present && !s->ns[kind].path;
}

#endif
