/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kobako-oci keeps of a container: <root>/<id>/ (0700) with state.json, config.json (as it was at
 * create) and start.sock, on which init waits. The folder is there from create to delete.
 */
#ifndef KOBAKO_RUNTIME_STATE_H
#define KOBAKO_RUNTIME_STATE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct state {
	char id[256];
	char dir[PATH_MAX];    /* <root>/<id> */
	char config[PATH_MAX + 16]; /* <dir>/config.json */
	char bundle[PATH_MAX];
	char cgroup[2048];
	bool systemd;          /* the cgroup is a unit of systemd's */
	char created[40];      /* RFC 3339 */
	pid_t pid;
	uint64_t start_time;   /* field 22 of /proc/PID/stat: tells a reused pid */
};

enum status { STATUS_CREATED, STATUS_RUNNING, STATUS_STOPPED };

/* Paths of an id; EINVAL for an id that is no plain name. Touches no disk. */
int state_open(const char *root, const char *id, struct state *s, struct err *e);
/* Makes the folder; EEXIST when the id is taken. */
int state_make(const char *root, struct state *s, struct err *e);
int state_save(struct state *s, struct err *e);
/* ENOENT when there is no such container. */
int state_load(const char *root, const char *id, struct state *s, struct err *e);
/* Removes the folder and what is in it. */
int state_remove(struct state *s, struct err *e);

enum status state_status(const struct state *s);
const char *status_name(enum status status);

/* Start time of a live process that is no zombie; 0: there is none. */
uint64_t process_start_time(pid_t pid);

/* The state as JSON (runtime.md, "State"), allocated. */
char *state_text(const struct state *s);

/* A listening (server) or connected socket at <dir>/start.sock. */
int state_socket(const struct state *s, bool server, int *ret_fd, struct err *e);

#endif
