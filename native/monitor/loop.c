/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

static int epoll = -1;
static bool stopping;
static struct watch *dead;
static struct timer *timers; /* earliest first */

int loop_open(struct err *e)
{
	epoll = epoll_create1(EPOLL_CLOEXEC);
	return epoll < 0 ? err_set(e, errno, "epoll_create") : 0;
}

int loop_fd(void)
{
	return epoll;
}

uint64_t loop_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int loop_watch(struct watch *w, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = w };

	if (w->armed && w->events == events)
		return 0;
	if (epoll_ctl(epoll, w->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, w->fd, &event) < 0)
		return -errno;
	w->armed = true;
	w->events = events;
	return 0;
}

void loop_pause(struct watch *w)
{
	if (!w->armed)
		return;
	epoll_ctl(epoll, EPOLL_CTL_DEL, w->fd, NULL);
	w->armed = false;
}

void loop_close(struct watch *w)
{
	if (w->fd < 0)
		return;
	loop_pause(w);
	close(w->fd);
	w->fd = -1;
}

void loop_free(struct watch *w, void *owner)
{
	w->owner = owner;
	w->next_dead = dead;
	dead = w;
}

void loop_timer_stop(struct timer *t)
{
	struct timer **at = &timers;

	if (!t->armed)
		return;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	t->armed = false;
}

void loop_timer(struct timer *t, uint64_t in_ms)
{
	struct timer **at = &timers;

	loop_timer_stop(t);
	t->due_ms = loop_now_ms() + in_ms;
	while (*at && (*at)->due_ms <= t->due_ms)
		at = &(*at)->next;
	t->next = *at;
	*at = t;
	t->armed = true;
}

void loop_stop(void)
{
	stopping = true;
}

/* Until the next timer; -1: none. Rounded up by one, so that it is due when we wake. */
static int wait_ms(void)
{
	uint64_t now = loop_now_ms();

	if (!timers)
		return -1;
	if (timers->due_ms <= now)
		return 0;
	return timers->due_ms - now > 3600000 ? 3600000 : (int)(timers->due_ms - now) + 1;
}

static void fire_timers(void)
{
	uint64_t now = loop_now_ms();

	while (timers && timers->due_ms <= now) {
		struct timer *t = timers;

		timers = t->next;
		t->armed = false;
		t->fire(t);
	}
}

static void free_dead(void)
{
	while (dead) {
		struct watch *w = dead;

		dead = w->next_dead;
		free(w->owner);
	}
}

int loop_run(struct err *e)
{
	struct epoll_event events[16];

	while (!stopping) {
		int n = epoll_wait(epoll, events, 16, wait_ms());

		if (n < 0 && errno != EINTR)
			return err_set(e, errno, "epoll_wait");
		for (int i = 0; i < n; i++) {
			struct watch *w = events[i].data.ptr;

			/* An earlier event of this batch may have closed or paused it. */
			if (w->fd >= 0 && w->armed)
				w->ready(w, events[i].events);
		}
		fire_timers();
		free_dead();
	}
	return 0;
}
