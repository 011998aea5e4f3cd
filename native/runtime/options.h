/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of kobako-oci: runc's, by its rules. One or two dashes before a name, "--name value" or
 * "--name=value", flags also "--name=false"; options may stand behind the arguments, except for exec and ps, where
 * what follows the id belongs to the program. An option that is not known, or can't be honoured, is an error.
 */
#ifndef KOBAKO_RUNTIME_OPTIONS_H
#define KOBAKO_RUNTIME_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct option_list {
	const char **items;
	size_t count;
};

/* Texts are NULL when not given. Numbers stand as text until a command reads them. */
struct options {
	/* before the command */
	const char *root, *log, *log_format, *rootless, *trace;
	bool debug, systemd_cgroup, version;

	/* of the command */
	const char *bundle, *console_socket, *pidfd_socket, *pid_file, *preserve_fds;
	bool no_pivot, no_new_keyring, no_subreaper, detach, keep, force, all, quiet, stats;
	const char *format, *interval;
	bool help;

	const char *process_file, *cwd, *user, *process_label, *apparmor;
	struct option_list env, gids, caps, cgroups;
	bool tty, no_new_privs, no_new_privs_given, ignore_paused;

	const char *resources;
	const char *blkio_weight, *cpu_period, *cpu_quota, *cpu_burst, *cpu_share, *cpu_rt_period, *cpu_rt_runtime;
	const char *cpuset_cpus, *cpuset_mems, *cpu_idle, *memory, *memory_reservation, *memory_swap, *pids_limit;
	const char *kernel_memory, *kernel_memory_tcp, *l3_cache_schema, *mem_bw_schema;

	bool spec_rootless;

	const char *image_path, *work_path, *parent_path, *page_server, *status_fd, *cgroups_mode;
	const char *lsm_profile, *lsm_mount_context;
	struct option_list empty_ns;
	bool leave_running, tcp_established, tcp_skip_in_flight, link_remap, ext_unix_sk, shell_job, lazy_pages, file_locks;
	bool pre_dump, auto_dedup;

	const char *id;
	char **args;      /* what follows the id, ended by NULL */
	size_t arg_count;
};

/* One bit per command, for the options that it takes. */
enum command_bit {
	FOR_GLOBAL = 1 << 0,
	FOR_CREATE = 1 << 1,
	FOR_RUN = 1 << 2,
	FOR_EXEC = 1 << 3,
	FOR_KILL = 1 << 4,
	FOR_DELETE = 1 << 5,
	FOR_LIST = 1 << 6,
	FOR_PS = 1 << 7,
	FOR_UPDATE = 1 << 8,
	FOR_EVENTS = 1 << 9,
	FOR_SPEC = 1 << 10,
	FOR_CHECKPOINT = 1 << 11,
	FOR_RESTORE = 1 << 12,
	FOR_NONE = 1 << 13, /* a command without options of its own */
};

/*
 * Reads the options of `bit` out of argv (ended by NULL) into *o. in_order: ends at the first argument (exec, ps,
 * and what stands before the command); else arguments and options may be mixed. *ret_args: the arguments that are left, in place in
 * argv, *ret_count of them. EINVAL names the option.
 */
int options_parse(enum command_bit bit, bool in_order, char **argv, struct options *o, char ***ret_args,
		  size_t *ret_count, struct err *e);

/* The help lines of the options that a command takes. */
void options_help(enum command_bit bit, FILE *to);

/* A whole number in a range; the error names the option. NULL text leaves *ret. */
int option_number(const char *name, const char *text, int64_t min, int64_t max, int64_t *ret, struct err *e);

#endif
