/* SPDX-License-Identifier: Apache-2.0 */
/* Shared inside the cgroup room. */
#ifndef KOBAKO_CGROUP_INTERNAL_H
#define KOBAKO_CGROUP_INTERNAL_H

#include "cgroup/cgroup.h"

extern const char *const cgroup_controller_names[CG_CONTROLLERS]; /* the v1 names; v2 calls blkio io */

/* The hierarchy of a controller, or -1. v1 wins on hybrid hosts, where a controller is in one tree only. */
int cgroup_find(const struct cgroup_host *host, enum cgroup_controller c);

/* The index of the v2 tree, or -1. */
int cgroup_find_v2(const struct cgroup_host *host);

/* Opens the folder of the path in hierarchy i (O_PATH). Returns the descriptor or -errno. */
int cgroup_open(const struct cgroup_host *host, int i, const char *path);

/* v2: lets the children of `parent` have a controller ("+memory"), and its ancestors'. 0 or -errno. */
int cgroup_enable(const struct cgroup_host *host, int i, const char *path, enum cgroup_controller c);

/* The limits of one cgroup while they are applied: folders opened once, errors with file names. */
struct limits {
	const struct cgroup_host *host;
	const char *path;
	int dirs[CGROUP_HIERARCHIES]; /* -1: not opened yet */
	struct err *e;
};

/* The open folder of controller c; ENOTSUP with `what` in the text when there is none. */
int limits_dir(struct limits *l, enum cgroup_controller c, const struct jnode *what, bool *ret_v2);
/* Writes one file; in the error member `key` of `of` is named, or with NULL `of` itself. */
int limits_write(struct limits *l, int dir, const char *file, const struct jnode *of, const char *key,
		 const char *fmt, ...) __attribute__((format(printf, 6, 7)));

int limits_memory(struct limits *l, const struct jnode *resources);
/* See cgroup_check_usage. */
int limits_check_usage(struct limits *l, const struct jnode *resources);
/* See cgroup_complete; whole: a copy of the resources that gets the members. */
int limits_complete(struct limits *l, const struct jnode *resources, json_t *whole);
int limits_complete_member(struct limits *l, json_t *whole, const char *group, const char *key, int64_t value);
int limits_complete_memory(struct limits *l, const struct jnode *resources, json_t *whole);
int limits_complete_cpu(struct limits *l, const struct jnode *resources, json_t *whole);
int limits_cpu(struct limits *l, const struct jnode *resources);
int limits_pids(struct limits *l, const struct jnode *resources);
int limits_blkio(struct limits *l, const struct jnode *resources);
int limits_hugetlb(struct limits *l, const struct jnode *resources);
int limits_rdma(struct limits *l, const struct jnode *resources);
int limits_network(struct limits *l, const struct jnode *resources);
int limits_unified(struct limits *l, const struct jnode *resources);
int limits_devices(struct limits *l, const struct jnode *resources);

/* cpu.shares (2..262144) as cpu.weight (1..10000). */
uint64_t cgroup_weight(uint64_t shares);

/* One rule of a device list. type 'a', 'b' or 'c'; major, minor -1: any; access: bits of BPF_DEVCG_ACC_*. */
struct device_rule {
	bool allow;
	char type;
	int64_t major, minor;
	int access;
};

/* The rules of resources.devices, and after them those that always hold. free() the list. */
int device_rules_parse(const struct jnode *resources, struct device_rule **ret, size_t *ret_count, struct err *e);

/* Loads the rules as a v2 device program and puts it on the cgroup folder, in place of older ones. 0 or -errno. */
int device_program_attach(int cgroup_fd, const struct device_rule *rules, size_t count, const char **ret_step);

#endif
