/* SPDX-License-Identifier: Apache-2.0 */
/* The runners of `create` and `update`: what crosses from a request into the runtime library. */
#ifndef KOBAKO_MONITOR_MEMBER_CREATE_H
#define KOBAKO_MONITOR_MEMBER_CREATE_H

#include "monitor/member.h"

/* Takes what create says of the log and standard input, and opens the log. EINVAL: the request is wrong. */
int create_io_begin(struct member *m, struct json_view params, bool *ret_stdin, struct err *e);

/* Opens the log, the pipes or the console socket, and starts the runner. EINVAL: the request is wrong. */
int create_begin(struct member *m, struct json_view params, runner_done done, struct err *e);

/* After a successful report: the pty's master has been sent, takes it. */
int create_finish(struct member *m, struct err *e);

/* After a runner that was killed: ends and removes what its container's cgroup holds. */
int clean_up_begin(struct member *m, runner_done done, struct err *e);

int update_begin(struct member *m, struct json_view params, runner_done done, struct err *e);

/* Freezes or thaws all processes of m; on failure they run. */
int freeze_begin(struct member *m, bool pause, runner_done done, struct err *e);

/* Two pipes or a console socket for a process to be made. Ends of ours are non-blocking. */
struct stdio {
	int theirs[3]; /* -1: /dev/null */
	int ours[3];
	int console_theirs, console_ours;
};

int stdio_open(struct stdio *s, bool tty, bool with_stdin, struct err *e);
void stdio_close_theirs(struct stdio *s);
void stdio_close_ours(struct stdio *s);

/* With a tty, once the process is there: the master becomes ours[1], a second descriptor of it ours[0]. */
int stdio_take_console(struct stdio *s, bool with_stdin, struct err *e);
/* The master is ours[1] already. */
int stdio_take_master(struct stdio *s, bool with_stdin, struct err *e);

#endif
