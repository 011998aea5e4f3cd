/* SPDX-License-Identifier: Apache-2.0 */
/* From a container's pipes or pty to its log, and to who is attached. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "monitor/shim.h"

#define FAULT_EVENT_EVERY_MS 5000
/* Most that one container is read in one turn of the loop: others come next. */
#define TURN_MAX (4 * PUMP_MAX)
/* A pty holds less; a bound where FIONREAD says nothing. */
#define TTY_DRAIN_MAX (1u << 20)

static char buffer[PUMP_MAX] __attribute__((aligned(4096)));
static struct timer quiet;

static void on_quiet(struct timer *t)
{
	madvise(buffer, sizeof(buffer), MADV_DONTNEED);
}

char *pump_buffer(void)
{
	if (!quiet.fire) {
		quiet.fire = on_quiet;
		madvise(buffer, sizeof(buffer), MADV_WIPEONFORK); /* a child must not see other containers' output */
	}
	return buffer;
}

void pump_used(size_t bytes)
{
	if (bytes > 4096 && !quiet.armed)
		loop_timer(&quiet, 1000);
}

/*
 * The disk lost output: said once at its begin, then every few seconds with the sum, when it ended, and (`last`)
 * with the whole sum before the exit of the container is told.
 */
static void tell_fault(struct member *m, bool last)
{
	cleanup_text struct text t = { 0 };
	char message[128];
	uint64_t now;

	if (m->log.dropped_bytes == m->dropped_told)
		return;
	now = loop_now_ms();
	if (!last && m->dropped_told && m->log.fault && now - m->fault_told_ms < FAULT_EVENT_EVERY_MS)
		return;
	text_str(&t, "{\"container\":");
	text_json(&t, m->id);
	text_fmt(&t, ",\"dropped_bytes\":%llu,\"message\":", (unsigned long long)m->log.dropped_bytes);
	snprintf(message, sizeof(message), "%s%s", strerror(m->log.last_fault),
		 m->log.fault ? "" : ", and over: the log can be written again");
	text_json(&t, message);
	text_str(&t, "}");
	conn_event("log_fault", &t);
	m->dropped_told = m->log.dropped_bytes;
	m->fault_told_ms = now;
}

/* What the log holds back waits no longer than it may. */
static void flush_in_time(struct member *m)
{
	if (m->log.held.len && !m->log_flush.armed)
		loop_timer(&m->log_flush, m->log_flush_ms);
}

/* Reads at most `most` bytes. Returns how many, 0 when there are none now or the stream has ended. */
static size_t pump(struct output *o, size_t most)
{
	char *bytes = pump_buffer();
	ssize_t n = read(o->watch.fd, bytes, most < PUMP_MAX ? most : PUMP_MAX);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) { /* a pty says EIO when its last user is gone */
		loop_close(&o->watch);
		cri_log_end(&o->member->log, o->stream);
		tell_fault(o->member, false);
		flush_in_time(o->member);
		shim_output_ended(o->member);
		return 0;
	}
	cri_log_feed(&o->member->log, o->stream, bytes, (size_t)n);
	tell_fault(o->member, false);
	flush_in_time(o->member);
	session_output(o->member, o->stream, bytes, (size_t)n);
	pump_used((size_t)n);
	return (size_t)n;
}

static void on_output(struct watch *w, uint32_t events)
{
	struct output *o = container_of(w, struct output, watch);

	for (size_t read = 0; read < TURN_MAX;) {
		size_t n = pump(o, PUMP_MAX);

		read += n;
		if (n < PUMP_MAX || o->watch.fd < 0 || !o->watch.armed)
			return;
	}
}

void output_flush(struct member *m)
{
	loop_timer_stop(&m->log_flush);
	cri_log_flush(&m->log);
	tell_fault(m, m->state == MEMBER_EXITED);
}

static void on_log_flush(struct timer *t)
{
	output_flush(container_of(t, struct member, log_flush));
}

void output_init(struct member *m)
{
	m->log_flush.fire = on_log_flush;
	for (int i = 0; i < 2; i++)
		m->out[i] = (struct output){
			.watch = { .fd = -1, .ready = on_output },
			.member = m,
			.stream = i == 0 ? CRI_STDOUT : CRI_STDERR,
		};
}

void output_drain(struct member *m)
{
	for (int i = 0; i < 2; i++) {
		struct output *o = &m->out[i];
		size_t left = TTY_DRAIN_MAX;
		int available;

		if (o->watch.fd < 0)
			continue;
		if (!m->tty)
			left = ioctl(o->watch.fd, FIONREAD, &available) == 0 && available > 0 ? (size_t)available : 0;
		while (left && o->watch.fd >= 0) {
			size_t n = pump(o, left);

			if (n == 0)
				break;
			left -= n;
		}
		/* Once more for the end of the stream, which ends the last line; unless others still write. */
		if (o->watch.fd >= 0)
			pump(o, PUMP_MAX);
	}
}

void output_end(struct member *m)
{
	loop_close(&m->out[0].watch);
	loop_close(&m->out[1].watch);
	loop_timer_stop(&m->log_flush);
	cri_log_close(&m->log);
}

void output_pause(struct member *m, bool pause)
{
	for (int i = 0; i < 2; i++) {
		if (m->out[i].watch.fd < 0)
			continue;
		if (pause)
			loop_pause(&m->out[i].watch);
		else
			loop_watch(&m->out[i].watch, EPOLLIN);
	}
}
