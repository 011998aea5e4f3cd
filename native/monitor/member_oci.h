/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of a container that an external runtime makes: which runs of its program they are, each in a runner.
 * What is the same for the linked runtime (states, logs, exits, deletion) is member.c's and its neighbours'.
 *
 *   create   create --bundle --pid-file [--console-socket]   in the container's mount namespace
 *   start    start
 *   exec     exec --detach --process --pid-file [--console-socket]
 *   update   update --resources;  pause, resume
 *   (exit)   delete                begun at once, so that a deletion finds it done
 * Signals go to the process itself: it is a child of the monitor, as with the linked runtime.
 *
 * A sandboxed runtime (gVisor) shows no process. A stand-in is the container's init to the monitor: forked by create,
 * told to start as an init is, it runs `start` with the container's stdio, then `wait`, and ends as that says. Signals
 * go by `kill`, an exec is the program itself, which ends with it; what it uses is asked by `events --stats`. All but
 * that run in the pod's cgroup.
 */
#ifndef KOBAKO_MONITOR_MEMBER_OCI_H
#define KOBAKO_MONITOR_MEMBER_OCI_H

#include "monitor/member_create.h"
#include "monitor/oci.h"

/* How long a runner may take: it outlives the program's own time, so that it can clean up after it. */
uint64_t oci_limit_ms(void);

/*
 * Starts the runner of create. `stdio`: the ends of the process; no console. The master comes with the report.
 * start_fd: with a sandboxed runtime the other end of the start socket, else -1.
 */
int oci_create_begin(struct member *m, struct json_view params, const struct stdio *stdio, int start_fd,
		     runner_done done, struct err *e);
int oci_start_begin(struct member *m, runner_done done, struct err *e);
/* verb: "pause" or "resume". */
int oci_freeze_begin(struct member *m, const char *verb, runner_done done, struct err *e);
int oci_update_begin(struct member *m, struct json_view resources, runner_done done, struct err *e);
/* A signal for a container that is no process of the host. `owner` is the callback's. */
int oci_kill_begin(const struct member *m, int sig, bool all, runner_done done, void *owner, struct err *e);
/* What such a container uses: the report's body is {"text": what the program says}. `owner` is the callback's. */
int oci_usage_begin(struct member *m, runner_done done, void *owner, struct err *e);
/* SIGKILL for an exec in such a container. */
void oci_kill_exec(const struct member *m, unsigned int number);
/* Ends and removes everything that the program may have left of m, also half made. */
int oci_clean_up_begin(struct member *m, runner_done done, struct err *e);

/*
 * The program's own end of a container whose init is gone. What it can't do is done without it; it fails only in a
 * sandbox, where nobody else can end what may still run.
 */
int oci_delete_begin(struct member *m, runner_done done, struct err *e);

struct oci_exec {
	struct member *m;
	unsigned int number; /* of this exec: names its files */
	struct json_view process;
	int stdio[3];
	bool tty;
};
/* In a runner: report->pid is the process, *ret_master its terminal. */
int oci_exec(const struct oci_exec *exec, struct runner_report *report, int *ret_master);

/* SIGKILL for a process of m and everything that came of it: its session and its descendants. */
void oci_kill_tree(const struct member *m, pid_t pid);

#endif
