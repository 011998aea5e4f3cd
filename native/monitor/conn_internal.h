/* SPDX-License-Identifier: Apache-2.0 */
/* One connection, between conn.c (its life, what is sent) and conn_input.c (what is read). */
#ifndef KOBAKO_MONITOR_CONN_INTERNAL_H
#define KOBAKO_MONITOR_CONN_INTERNAL_H

#include "monitor/conn.h"

enum conn_mode {
	CONN_HELLO,   /* the first message is due */
	CONN_MESSAGES,
	CONN_HELD,    /* a request that may switch is under way */
	CONN_STREAM,
	CONN_ENDING,  /* sends what is queued */
	CONN_LINGER,  /* all is sent; what still comes is dropped until the peer closes */
};

struct conn {
	struct watch watch;
	struct timer limit; /* for the hello, then for lingering */
	struct conn *next;
	enum conn_mode mode;
	bool subscribed, input_ended;
	bool corked;     /* what is sent waits for the rest */
	bool input_full; /* the stream did not take all */
	char *in;        /* bytes not handled yet; NULL when none */
	size_t in_len;
	char *out;       /* bytes not sent yet, from out_at on */
	size_t out_len, out_at, out_room;
	struct reply *replies;
	struct stream *stream;
};

/*
 * How much to ask malloc for when `len` bytes wait: what is no message soon takes pages of its own
 * (musl maps from 128 KiB on; pages not touched cost nothing), which go back when it is freed. In the
 * heap a burst of connections would leave hundreds of KiB behind.
 */
static inline size_t conn_room(size_t len)
{
	return len > 4096 && len < 132 * 1024 ? 132 * 1024 : len;
}

/* Watches for what the connection's mode lets happen next. */
void conn_interest(struct conn *c);

/* The connection is over; `tell`: its stream hears of it. Its memory lives until the batch ends. */
void conn_end(struct conn *c, bool tell);

/* Sends what is queued. False: the connection is gone. */
bool conn_flush(struct conn *c);

/* Sends one message, or queues it. A peer that takes nothing is cut off at the cap. */
void conn_message(struct conn *c, const struct text *t);

/* Reads once and handles what is whole. */
void conn_read(struct conn *c);

/* Handles what was kept, once it may be taken. */
void conn_take_kept(struct conn *c);

#endif
