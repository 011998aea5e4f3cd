/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's one epoll loop: descriptors, timers, and memory that must outlive the batch of
 * events that killed its owner. One thread; a callback may add, change, close and free anything.
 */
#ifndef KOBAKO_MONITOR_LOOP_H
#define KOBAKO_MONITOR_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* A descriptor in the loop. Lies inside its owner. fd -1: closed. */
struct watch {
	int fd;
	bool armed;                                     /* known to epoll */
	uint32_t events;                                /* which it was told to watch for */
	void (*ready)(struct watch *w, uint32_t events); /* EPOLL* bits */
	struct watch *next_dead;
	void *owner; /* freed after the batch */
};

/* One moment, in milliseconds of CLOCK_MONOTONIC (a suspended or reset wall clock fires nothing). */
struct timer {
	uint64_t due_ms;
	bool armed;
	void (*fire)(struct timer *t);
	struct timer *next;
};

int loop_open(struct err *e);

/* Waits for events and calls their owners until loop_stop(). */
int loop_run(struct err *e);
void loop_stop(void);

/* Begins to watch w->fd for `events`; again: changes what is watched. EPOLLHUP and EPOLLERR always come. */
int loop_watch(struct watch *w, uint32_t events);

/* Stops watching altogether (also hang-ups, which would spin while nobody reads); the descriptor stays open. */
void loop_pause(struct watch *w);

/* Pauses and closes. Events of this batch that are still to come for w are dropped. */
void loop_close(struct watch *w);

/* free(owner) after the batch; w is any watch in it, closed already. */
void loop_free(struct watch *w, void *owner);

/* (Re)arms the timer to fire once, `in_ms` from now. */
void loop_timer(struct timer *t, uint64_t in_ms);
void loop_timer_stop(struct timer *t);

uint64_t loop_now_ms(void);

/* For children: forgets epoll, which a fork shares. */
int loop_fd(void);

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-__builtin_offsetof(type, member)))

#endif
