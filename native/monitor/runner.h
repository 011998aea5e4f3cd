/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runners: forked children that do what must not happen in the monitor: parse large JSON, wait for
 * disks, enter namespaces. Each does one thing and reports once.
 *
 *   monitor                     runner
 *     fork ------------------->  work()
 *                                  may make a process (CLONE_PARENT: it is the monitor's child)
 *     <-- struct runner_report, a descriptor, `body` --
 *     done()                     _exit
 *
 * Reaping lives here too, because of one race: a process made by a runner may end before the runner
 * could report its pid. So while a runner is under way only children that are known are waited for.
 */
#ifndef KOBAKO_MONITOR_RUNNER_H
#define KOBAKO_MONITOR_RUNNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "monitor/loop.h"
#include "monitor/text.h"

/* The kinds of RuntimeError; the order is runner.c's table of names. */
enum error_kind {
	KIND_INTERNAL,
	KIND_INVALID_ARGUMENT,
	KIND_NOT_FOUND,
	KIND_ALREADY_EXISTS,
	KIND_FAILED_PRECONDITION,
	KIND_RESOURCE_EXHAUSTED,
	KIND_UNAVAILABLE,
	KIND_DEADLINE_EXCEEDED,
	KIND_UNIMPLEMENTED,
};
const char *error_kind_name(enum error_kind kind);

/* What a failure of the kernel is to the caller when nobody knows better. */
enum error_kind error_kind_of(int code);

#define RUNNER_CGROUP_MAX 2048

struct runner_report {
	struct err e;         /* code 0: done */
	enum error_kind kind; /* of e */
	bool broken;          /* the runner ended in the middle: it has taken nothing back */
	bool killed;          /* it, or the program that it ran, by somebody else: nobody has said no */
	pid_t pid;            /* a process that was made; 0: none */
	char cgroup[RUNNER_CGROUP_MAX];
	uint32_t body_len;    /* bytes that follow: JSON, or of create a struct container_bound */
};

/* A child of the monitor. Known from child_add() until `exited` was called, once. */
struct child {
	pid_t pid;
	void (*exited)(struct child *c, int status, int64_t at_ns); /* status as of waitpid(2); CLOCK_REALTIME */
	struct child *next;
};

void child_add(struct child *c, pid_t pid, void (*exited)(struct child *c, int status, int64_t at_ns));
void child_forget(struct child *c);

/* Reaps what has ended. Called on SIGCHLD, and after a runner reported a pid. */
void children_reap(void);

/* Number of known children. */
int children_count(void);

struct runner;

/* In the child. Fills report (e too, when it returns a negative number), may set *fd and body. */
typedef int (*runner_work)(void *arg, struct runner_report *report, int *fd, struct text *body);

/* In the monitor, once. fd: what was sent, or -1; the callee's. body: the callee's for the call. */
typedef void (*runner_done)(void *owner, const struct runner_report *report, int fd, const struct text *body);

/*
 * Starts a runner. It keeps stdio and the descriptors of `keep` (each -1 or above 2), loses all
 * others, and has default signal handling. Killed after limit_ms: then the report says ETIMEDOUT.
 * Returns 0 or -errno; `done` is not called then.
 */
int runner_start(runner_work work, void *arg, const int *keep, int keep_count, uint64_t limit_ms, runner_done done,
		 void *owner, struct err *e);

/* Nobody waits any more for what the runners of this owner do: kills them. `done` is still called. */
void runner_stop(void *owner);

#endif
