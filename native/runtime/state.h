/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kobako-oci keeps of a container: <root>/<id>/ (0700) with state.json, config.json (as it was at
 * create), claimed (which driver made the cgroup, from when it is the container's alone) and start.sock, on which
 * init waits. The folder is there from create to delete; state.json from the moment that create has succeeded.
 *
 * Whoever changes a container (create, start, update, delete) holds a lock (flock) on its folder. The kernel gives it
 * back when the holder dies, however it dies: a half-made or half-removed container never blocks the next command.
 */
#ifndef KOBAKO_RUNTIME_STATE_H
#define KOBAKO_RUNTIME_STATE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "spec/spec.h"

struct state {
	char id[256];
	char dir[PATH_MAX];    /* <root>/<id> */
	char config[PATH_MAX + 16]; /* <dir>/config.json */
	char bundle[PATH_MAX];
	char rootfs[PATH_MAX]; /* absolute */
	char cgroup[2048];
	bool systemd;          /* the cgroup is a unit of systemd's */
	char created[40];      /* RFC 3339 */
	char oci_version[32];
	char *annotations;     /* a JSON object as text, allocated; NULL: none */
	unsigned int hooks;    /* bit N: there are hooks of enum spec_hook_kind N */
	bool rdt;              /* linux.intelRdt: there may be groups to remove */
	bool own_pids;         /* a PID namespace of its own: its init's end is everybody's end */
	pid_t pid;
	uint64_t start_time;   /* field 22 of /proc/PID/stat: tells a reused pid, but not within one tick (10 ms) */
	uint64_t pidfd_inode;  /* inode of its pidfd, one process's for as long as the machine runs (pidfs, Linux 6.9); 0: no such */
	int lock;              /* -1, or the folder, locked */
};

enum status { STATUS_CREATED, STATUS_RUNNING, STATUS_PAUSED, STATUS_STOPPED };

/* Paths of an id; EINVAL for an id that is no plain name. Touches no disk. */
int state_open(const char *root, const char *id, struct state *s, struct err *e);
/* Frees and unlocks; may be called for what state_open left, more than once. */
void state_close(struct state *s);
#define cleanup_state __attribute__((cleanup(state_close)))

/* Makes the folder and locks it; EEXIST when the id is taken. */
int state_make(const char *root, struct state *s, struct err *e);
/* What is known of a configuration before anything runs. */
int state_describe(struct state *s, const struct spec *spec, struct err *e);
int state_save(struct state *s, struct err *e);
/* From now on all that is in the configuration's cgroup is the container's: to be killed when it is removed without a state. */
int state_claim(const struct state *s, bool systemd, struct err *e);
/* Whether that was said, and by which driver; *ret_systemd is left alone when it was not. */
bool state_claimed(const struct state *s, bool *ret_systemd);
/* ENOENT when there is no such container. */
int state_load(const char *root, const char *id, struct state *s, struct err *e);
/* Waits until nobody else changes the container. ENOENT: it is gone; ETIMEDOUT. Reads nothing again. */
int state_lock(struct state *s, int timeout_ms, struct err *e);
/* state_load under the lock: what is read stays true. */
int state_load_locked(const char *root, const char *id, struct state *s, struct err *e);
/* Removes the folder and what is in it. Only with the lock, or nobody else could know which folder goes. */
int state_remove(struct state *s, struct err *e);

enum status state_status(const struct state *s);
const char *status_name(enum status status);

/* Start time of a live process that is no zombie; 0: there is none. */
uint64_t process_start_time(pid_t pid);

/* From now on pid, a live process, is the container's init. */
void state_set_init(struct state *s, pid_t pid);
/* The init process as a pidfd, if it still is that process; else -1. */
int state_open_init(const struct state *s);

/* The state (runtime.md, "State", and what runc adds) as JSON; NULL: no memory. owner: of the folder. */
json_t *state_json(const struct state *s, const char *owner);

/* Now, as RFC 3339 in UTC with nanoseconds, without zeros at the end. */
void state_now(char *buf, size_t size);

/* A listening (server) or connected socket at <dir>/start.sock. */
int state_socket(const struct state *s, bool server, int *ret_fd, struct err *e);

#endif
