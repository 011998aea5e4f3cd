/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of kobako-oci. Each returns its exit status, or -1 with *e set. */
#ifndef KOBAKO_RUNTIME_COMMANDS_H
#define KOBAKO_RUNTIME_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct options {
	const char *root;   /* --root */
	const char *log;    /* --log: errors go there as well; NULL: stderr alone */
	bool log_json;      /* --log-format json */
	bool systemd_cgroup; /* --systemd-cgroup */

	const char *id;
	const char *bundle, *console_socket, *pid_file, *process_file;
	const char *cwd, *user;
	const char *env[64];
	size_t env_count;
	bool tty, detach, force, all, no_new_privs;
	char **args; /* what follows the id, ended by NULL */
};

int command_create(const struct options *o, struct err *e);
int command_start(const struct options *o, struct err *e);
int command_run(const struct options *o, struct err *e);
int command_state(const struct options *o, struct err *e);
int command_kill(const struct options *o, struct err *e);
int command_delete(const struct options *o, struct err *e);
int command_exec(const struct options *o, struct err *e);
int command_features(const struct options *o, struct err *e);
int command_spec(const struct options *o, struct err *e);

/* For warnings of the library: a line on stderr. */
void command_warn(const char *text);

/* Waits for a child that is ours; its exit status as a shell gives it (128 + signal). */
int wait_for_exit(int pid);

/* Writes the decimal pid, in place as a whole. NULL path: nothing. */
int write_pid_file(const char *path, int pid, struct err *e);

/* Connects to --console-socket; -1 in *ret_fd without one. */
int console_connect(const char *path, int *ret_fd, struct err *e);

#endif
