/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container as the monitor keeps it: a member of the pod.
 *
 *   (none) -> prepared -> created -> running -> exited
 *                |___________|__________|_________|____ delete, in any state
 *
 * One thing at a time happens to a member (`busy`); a request that comes meanwhile is refused.
 * The exit record is on disk before anybody is told of the exit.
 */
#ifndef KOBAKO_MONITOR_MEMBER_H
#define KOBAKO_MONITOR_MEMBER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "cgroup/cgroup.h"
#include "container/container.h"
#include "monitor/conn.h"
#include "monitor/cri_log.h"
#include "monitor/json_view.h"
#include "monitor/loop.h"
#include "monitor/runner.h"

#define MEMBER_ID_MAX 128
#define MEMBERS_MAX 512

enum member_state { MEMBER_NEW, MEMBER_PREPARED, MEMBER_CREATED, MEMBER_RUNNING, MEMBER_EXITED };
enum member_busy { BUSY_NOT, BUSY_PREPARING, BUSY_CREATING, BUSY_STARTING, BUSY_UPDATING, BUSY_FREEZING };

struct session;
struct member;

/* One output of the container, read into its log. */
struct output {
	struct watch watch;
	struct member *member;
	enum cri_stream stream;
};

/* The cgroup of one exec at a time. */
struct exec_cgroup {
	char *path; /* NULL: none */
	int fd;     /* to join it by; -1: it is still to be made or opened */
};

struct member {
	struct member *next;
	char id[MEMBER_ID_MAX + 1];
	enum member_state state;
	enum member_busy busy;

	char *bundle, *spec, *log_path, *log_root, *exit_file; /* of create */
	struct container_bound *bound; /* what its execs take from it; NULL: they read the spec */
	char *cgroup;             /* below each hierarchy's root; NULL or "": none */
	struct cgroup_join *join; /* what its execs enter; NULL: none yet */
	struct exec_cgroup spare; /* of an exec that has ended: the next one's */
	bool tty, stdin_once;
	bool shm;                 /* add the pod's /dev/shm */
	bool paused;              /* all its processes are frozen */

	int mntns_fd;             /* -1: none */
	struct watch start;       /* our end of the start socket */
	struct child child;
	pid_t pid;                /* of init; 0 before and after */
	int pidfd;
	char start_time[24];
	int64_t started_ns, finished_ns; /* 0: not yet */
	int exit_code, signal;
	bool oom_killed, dirty_exit; /* dirty_exit: the record could not be written */

	struct output out[2];     /* with a tty only the first: the pty's master */
	struct watch in;          /* container's stdin, for attach; -1: none */
	struct cri_log log;
	struct timer log_flush;   /* for what the log holds back */
	uint64_t log_flush_ms;
	uint64_t dropped_told;    /* of log.dropped_bytes, told in events */
	uint64_t fault_told_ms;

	/* With an external runtime. */
	bool recorded;            /* its program knows the container: it must be deleted there */
	bool forgetting;          /* that deletion is under way */
	bool ending;              /* sandboxed: its program is asked to end it */
	bool end_asked;           /* sandboxed: it was, for the deletion under way */
	struct err end_error;     /* what it said then; code 0: nothing */
	bool end_waits;           /* init ended while its start was under way */
	int end_status;
	int64_t end_ns;

	struct watch oom;
	struct timer oom_look;    /* v1: see member_oom.c */
	uint64_t oom_look_until_ms;
	uint64_t oom_kills;       /* told so far */
	uint64_t oom_kills_at_our_kill; /* at the begin, then at each SIGKILL of ours */

	bool external;            /* its processes are a shim's (shim.h): no pid, no cgroup */
	bool ended;               /* external: the shim has told its exit; the last output may still come */
	bool oom_told;            /* external: since the last SIGKILL of ours */
	unsigned int calls;       /* external: to its shim, under way */
	struct reply *settle_replies; /* who waits for their end */
	int disk_fd;              /* external: the loop device of its root filesystem; -1: none */
	bool stdin_closed;        /* external: the daemon has to tell the shim, too */
	struct timer output_wait; /* external: from its end to the end of its output */

	struct session *sessions; /* execs and attaches */
	unsigned int execs;       /* number of the last one */

	struct reply *reply;      /* of the request that made it busy */
	bool deleting;
	struct reply *delete_replies;
	struct timer delete_retry;
	uint64_t delete_deadline_ms, delete_wait_ms;
	unsigned int kills; /* of programs, for the deletion under way */
};

extern struct member *members;

struct member *member_find(const char *id);
const char *member_state_name(const struct member *m);

/* The requests of one container. Each ends `r`, at once or when its runner is done. */
void member_prepare(struct json_view params, struct reply *r);
void member_create(struct json_view params, struct reply *r);
void member_start(struct json_view params, struct reply *r);
void member_kill(struct json_view params, struct reply *r);
void member_update(struct json_view params, struct reply *r);
void member_pause(struct json_view params, struct reply *r);
void member_resume(struct json_view params, struct reply *r);
/* Only where its processes are no processes of the host. */
void member_usage(struct json_view params, struct reply *r);
void member_reopen_log(struct json_view params, struct reply *r);
/* r NULL: nobody waits (the pod is shut down). */
void member_delete(struct member *m, struct reply *r);

/* For its deletion: who is left in its cgroup is killed; the rest of it is given back. */
void member_kill_rest(struct member *m);
void member_free(struct member *m);
/* Begins the deletion of an ended container by its external runtime, once; true while that is under way. */
bool member_forget(struct member *m);

/* Looks again whether the deletion can go on: a session of the member has ended. */
void member_delete_step(struct member *m);

/* It has ended, and how is known: its output is read, its end recorded and told. */
void member_finish(struct member *m);

/* The JSON object of `state`. */
void member_describe(const struct member *m, struct text *t);

/* {"container":..,"exit_code":..,...}: the exit record and the exit event. */
void member_describe_exit(const struct member *m, struct text *t);

/* The id in params; answers r and returns NULL when there is no such container. */
struct member *member_of(struct json_view params, struct reply *r);

/* member_output.c */

/* No outputs yet. They are read from output_pause(m, false) on. */
void output_init(struct member *m);
/* Reads what is there now, as much as was written before the call. */
void output_drain(struct member *m);
/* Writes what the log holds back. */
void output_flush(struct member *m);
/* Stops and ends the log. */
void output_end(struct member *m);
/* Stops reading while an attached client takes no more, and goes on. */
void output_pause(struct member *m, bool pause);

/* Shared buffer for all pumping: used and done with in one call. Wiped in children. */
#define PUMP_MAX 65536
char *pump_buffer(void);
/* Gives its pages back, soon after the last large use. */
void pump_used(size_t bytes);

/* session.c */
void session_exec(struct json_view params, struct reply *r);
void session_attach(struct json_view params, struct reply *r);
/* Container output for those attached. */
void session_output(struct member *m, enum cri_stream stream, const char *bytes, size_t len);
/* Its init has ended and its output is read. */
void session_member_exited(struct member *m);
/* The member goes: ends its attaches; true while execs are left. */
bool session_member_deleted(struct member *m);
/* Standard input of an external member ends; the daemon is told, who tells the shim. */
void session_close_stdin(struct member *m);

/* session_external.c: execs whose process is a shim's */
void session_exec_io(struct json_view params, struct reply *r);
void session_external_exited(struct member *m, const char *exec, uint32_t code);
/* The ids of those whose client is gone, separated by commas. */
void session_describe_orphans(const struct member *m, struct text *t);

/* Called when the last member is gone; main.c. */
void pod_member_gone(void);

#endif
