/* SPDX-License-Identifier: Apache-2.0 */
/* A session, between session.c (its streams and its end) and session_begin.c (how it begins). */
#ifndef KOBAKO_MONITOR_SESSION_INTERNAL_H
#define KOBAKO_MONITOR_SESSION_INTERNAL_H

#include "monitor/member.h"
#include "monitor/session.h"

struct session {
	struct stream stream;
	struct session *next;
	struct member *member;
	struct conn *conn;    /* NULL: gone */
	struct reply *reply;  /* until the answer */
	struct timer answer_due; /* exec, with `again`: the answer waits for what comes with it, not longer */
	bool is_exec, tty;
	bool again;           /* exec: its connection takes requests again after the status; until then the client is silent */
	bool with_stdin;      /* attach: may write to the container */

	struct stream_parser parser;
	struct stream_sink sink;
	struct watch in;      /* exec: the process' stdin, -1: none or ended */
	bool in_wide;         /* its pipe was made larger */
	struct session_out {
		struct watch watch;
		struct session *session;
		uint8_t stream;
		size_t drain; /* bytes to read after the process ended */
		bool wide;    /* its pipe was made larger */
	} out[2];

	struct child child;   /* exec */
	bool running, ended, timed_out, killed, forgotten;
	bool finishing;       /* external: what is there is sent, then the status */
	uint64_t output_until_ms; /* external: no output is waited for after this */
	int status;
	struct timer limit;   /* exec: its time; attach: the next look at a client that is behind */
	size_t unread;        /* attach: conn_unread at the last look */
	unsigned int idle_looks; /* attach: in a row, at which nothing was taken */
	struct exec_cgroup cgroup; /* exec: its own */
	unsigned int number;  /* exec: of its member, from 1 */
	char *external;       /* exec of a shim: its id there; NULL: it is a child of ours */
	struct timer in_taken; /* external: looks whether the shim has opened the input that has ended */
	uint64_t in_wait_ms;
};

/* A new session of m for the connection of r; NULL: no memory. */
struct session *session_new(struct member *m, struct reply *r, bool is_exec);

/* Answers the request of an exec that runs. */
void session_answer(struct session *s);

/* SIGKILL for the exec's process and all of its children. */
void session_kill(struct session *s);

/* The exec's process has ended: sends what it wrote and its status. A child's `exited`. */
void session_child_exited(struct child *c, int status, int64_t at_ns);

/* Gives all back. May be called twice: a broken connection ends a session in the middle of a send. */
void session_end(struct session *s);

/* The input of an external exec has ended: it is closed once the shim has it. */
void session_external_end_input(struct session *s);

/* Of an external exec that has ended: all that it wrote is sent, unless more may come. */
void session_external_output(struct session *s, bool ended);

/* What there is of output is sent, then the status. */
void session_finish(struct session *s);

#endif
