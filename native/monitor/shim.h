/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a monitor does beside a containerd shim: it starts the shim's program, owns the FIFOs of its containers
 * and execs, and takes its events. Their processes are the shim's: a member is `external`, without pid or cgroup.
 *
 *   daemon                      monitor                           shim
 *     run {argv: start}  ------->  in a cgroup of its own  ------>  (its parent ends: it is ours to reap)
 *     create_io          ------->  FIFOs, log
 *     call {Create, ..}   ------>  by a runner, to its end ----->
 *     other calls        ---------------------------------------->
 *                                                          <------  TaskStart, TaskExit
 *     <---- exit (when the output is read to its end, and the record is on disk)
 */
#ifndef KOBAKO_MONITOR_SHIM_H
#define KOBAKO_MONITOR_SHIM_H

#include "base/err.h"
#include "monitor/json_view.h"
#include "monitor/member.h"

/* Opens the events socket. Called once, when the pod has a shim. */
int shim_begin(struct err *e);

/* Kills what the shim's program left, and removes its cgroup. Waits, for a short while: the pod ends. */
void shim_end(void);

/* The requests of a pod with a shim. Each ends `r`, at once or later. */
void shim_run(struct json_view params, struct reply *r);
void shim_create_io(struct json_view params, struct reply *r);
/* The container's first process is one of this host, in the cgroup that was asked for. */
void shim_created(struct json_view params, struct reply *r);
void shim_started(struct json_view params, struct reply *r);
void shim_exited(struct json_view params, struct reply *r);
void shim_killing(struct json_view params, struct reply *r);

/* Attaches an image to a loop device, which lives as long as the container, or the pod: shim_disk.c. */
void shim_disk(struct json_view params, struct reply *r);
void shim_disk_close(int *fd);
void shim_disk_end(void);

/* A call that outlives the daemon, and waiting for those of a container: shim_call.c. */
void shim_call(struct json_view params, struct reply *r);
void shim_settle(struct json_view params, struct reply *r);
/* Answers who waits: no call is under way, or the member goes. */
void shim_settled(struct member *m);

/* The member is deleted: nothing of its files stays that its shim or we made outside of its bundle. */
void shim_forget(struct member *m);

/* What shims make of a signal that ended a process: 128 and its number. 0: none. */
int exit_signal(int code);

/* One output of an external member has ended: the last thing that its exit waits for. */
void shim_output_ended(struct member *m);

/*
 * Opens the FIFOs `<folder>/<name>-{in,out,err}` for a process: our ends in ret_fds (-1: none), made anew.
 * Of a terminal there is no err. fifos_remove takes the names away.
 */
int fifos_open(const char *folder, const char *name, bool tty, bool with_stdin, int ret_fds[3], struct err *e);
void fifos_remove(const char *folder, const char *name);
/* "stdin":"<path>",..., for an answer; "" for those that are none. */
void fifos_describe(struct text *t, const char *folder, const char *name, bool tty, bool with_stdin);

#endif
