/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket and its connections: framing, caps, queues. What requests mean is request.c's,
 * what a stream carries is session.c's.
 *
 *   client                                    monitor
 *     {"hello":{"protocol":1}}  ------------>   (within 10 s)
 *                               <------------  {"hello":{...}}
 *     {"id":1,"method":..}      ------------>
 *                               <------------  {"id":1,"result":{}} or {"id":1,"error":{}}
 *                               <------------  {"event":..}   once subscribed
 *   after the answer to exec, attach or port_forward both ways are (u8 stream, u32 length, bytes).
 *
 * Writes never block the loop: what the kernel does not take is queued, and a peer that lets the
 * queue of messages grow past its cap is cut off. Streams stop reading their process instead.
 */
#ifndef KOBAKO_MONITOR_CONN_H
#define KOBAKO_MONITOR_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "monitor/json_view.h"
#include "monitor/loop.h"
#include "monitor/runner.h"
#include "monitor/text.h"

/* Most connections at once: a thousand streams of a busy pod, and a daemon or two. */
#define CONN_MAX 2048
/* Unsent bytes of messages that a peer may let pile up. */
#define CONN_QUEUE_MAX (2u << 20)

struct conn;

/* Who takes a connection after its switch to a stream. */
struct stream {
	/* Bytes from the client. Returns how many were taken, or -1 to cut the connection. */
	ssize_t (*input)(struct stream *s, const char *bytes, size_t len);
	/* The client will send no more. */
	void (*input_end)(struct stream *s);
	/* The queue is empty again. */
	void (*writable)(struct stream *s);
	/* The connection is gone; it must not be used any more. */
	void (*gone)(struct stream *s);
};

/* A request that waits for its answer. Its connection may end before: then the answer goes nowhere. */
struct reply {
	struct conn *conn; /* NULL: gone */
	uint64_t id;
	void (*gone)(void *owner); /* its connection has ended before the answer; NULL: the work goes on */
	void *owner;
	struct reply *next;
	struct reply *also; /* for whoever collects replies to one event */
};

/* Listens on the unix socket `name` of folder dir, 0600. */
int conn_listen(const char *dir, const char *name, struct err *e);

/* Stops listening and ends every connection, after what is queued was tried once more. */
void conn_close_all(void);

/* `result` is a JSON object's text. Ends the reply. */
void reply_ok(struct reply *r, const char *result, size_t len);
/* An error; the message is the step, with the system's text where it says more. Ends the reply. */
void reply_error(struct reply *r, enum error_kind kind, const struct err *e);
/* What a runner reported, as its `runner_done`: the body, {} without one, or the error. Closes fd. reply: a struct reply. */
void reply_report(void *reply, const struct runner_report *report, int fd, const struct text *body);
/* Both in one: EINVAL and a sentence. */
void reply_refuse(struct reply *r, enum error_kind kind, int code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Sends an event to each subscriber. `params`: a JSON object's text. */
void conn_event(const char *event, const struct text *params);
void conn_subscribe(struct conn *c);

/*
 * While a request that may switch is under way nothing more is read from its connection.
 * False: the connection has other requests under way, or switches already.
 */
bool conn_hold(struct conn *c, const struct reply *for_reply);
/* The request failed: goes on with requests. */
void conn_release(struct conn *c);
/* It is a stream from now on. False: the connection is gone, and s will not be called. */
bool conn_switch(struct conn *c, struct stream *s);

/* Sends one frame of a stream. */
void conn_frame(struct conn *c, uint8_t stream, const void *bytes, size_t len);
/* Bytes are queued: send nothing more before writable(). */
bool conn_blocked(const struct conn *c);
/*
 * What the peer has not read yet: what is queued and what the kernel holds, as large as it counts that. Goes down
 * while it reads and nothing is sent, in steps of some 32 KiB: the kernel tells of a piece when it is read to its end.
 */
size_t conn_unread(const struct conn *c);
/* input() did not take all before; it is called again with the rest. */
void conn_resume_input(struct conn *c);
/* What is sent between the two goes out together. The connection may be found broken, and end, in the second one. */
void conn_cork(struct conn *c);
void conn_uncork(struct conn *c);
/* The stream is over, and forgotten: requests come again. Cuts a client that has sent something in its time. */
void conn_return(struct conn *c);
/* Closes once all is sent. The stream is forgotten: gone() is not called. */
void conn_finish(struct conn *c);
/* Closes at once, without gone(). */
void conn_drop(struct conn *c);

/* request.c */
void request_handle(const char *method, struct json_view params, struct reply *r);

#endif
