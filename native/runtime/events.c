/* SPDX-License-Identifier: Apache-2.0 */
/* events: statistics every now and then, and a line for each time that the memory limit was hit. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cgroup/cgroup.h"
#include "runtime/commands.h"
#include "runtime/state.h"
#include "runtime/stats.h"

/* How long after a notice, and how often, it is looked whether something was killed. */
enum { LOOK_FOR_MS = 2000, LOOK_MS = 5 };

/* "5s", "500ms", "1m30s" -> milliseconds, at least 1. */
static int parse_interval(const char *text, int64_t *ret_ms, struct err *e)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = { { "ms", 1 }, { "us", 1e-3 }, { "ns", 1e-6 }, { "h", 3.6e6 }, { "m", 60e3 }, { "s", 1e3 } };
	double total = 0;

	for (const char *p = text; *p; ) {
		char *end;
		double n = strtod(p, &end);
		size_t i;

		for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
			if (!strncmp(end, units[i].unit, strlen(units[i].unit)))
				break;
		if (end == p || i == sizeof(units) / sizeof(units[0])) {
			total = 0;
			break;
		}
		total += n * units[i].ms;
		p = end + strlen(units[i].unit);
	}
	if (!(total > 0 && total < 1e12))
		return err_set(e, EINVAL, "option --interval: \"%.40s\" is no time above 0 (as 500ms or 1m30s)", text);
	*ret_ms = total < 1 ? 1 : (int64_t)total;
	return 0;
}

static int print_event(const struct state *s, const char *type, json_t *data, struct err *e)
{
	json_t *o = json_pack("{ss ss}", "type", type, "id", s->id);

	if (o && data)
		json_object_set_new(o, "data", data);
	return print_json(o, JSON_COMPACT, "\n", e);
}

static int print_stats(const struct state *s, struct err *e)
{
	json_t *data = stats_read(s->cgroup, e);

	return data ? print_event(s, "stats", data, e) : -e->code;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* What was killed since the last time. A cgroup that is gone tells nothing. */
static int tell_kills(const struct state *s, uint64_t *count, struct err *e)
{
	struct err ignored;
	uint64_t now = *count;

	if (cgroup_oom_kills(s->cgroup, &now, &ignored) < 0)
		return 0;
	for (; *count < now; ++*count)
		if (print_event(s, "oom", NULL, e) < 0)
			return -e->code;
	return 0;
}

static int watch(const struct state *s, int init, int64_t interval_ms, struct err *e)
{
	cleanup_fd int oom = -1;
	uint64_t kills = 0;
	int64_t next = now_ms() + interval_ms, look_until = 0;
	char drop[4096];

	if (cgroup_oom_open(s->cgroup, &oom, e) < 0 || cgroup_oom_kills(s->cgroup, &kills, e) < 0)
		return -e->code;
	for (;;) {
		struct pollfd p[2] = { { .fd = init, .events = POLLIN }, { .fd = oom, .events = POLLIN } };
		int64_t rest = next - now_ms(), longest = now_ms() < look_until ? LOOK_MS : 60000;

		if (poll(p, 2, rest < 0 ? 0 : rest > longest ? (int)longest : (int)rest) < 0 && errno != EINTR)
			return err_set(e, errno, "wait for events");
		/* Only the counter tells of a kill. On v1 the notice comes before it rises, and at the removal as well. */
		if (p[1].revents)
			look_until = now_ms() + LOOK_FOR_MS;
		while (p[1].revents && read(oom, drop, sizeof(drop)) > 0)
			;
		if (tell_kills(s, &kills, e) < 0)
			return -e->code;
		if (p[0].revents)
			return 0;
		if (now_ms() < next)
			continue;
		next = now_ms() + interval_ms;
		if (print_stats(s, e) < 0)
			return -e->code;
	}
}

int command_events(const struct options *o, struct err *e)
{
	cleanup_state struct state s = { .lock = -1 };
	cleanup_fd int init = -1;
	int64_t interval_ms = 5000;

	if (state_load(o->root, o->id, &s, e) < 0 || (o->interval && parse_interval(o->interval, &interval_ms, e) < 0))
		return -1;
	init = state_open_init(&s);
	if (init < 0) {
		err_set(e, ESRCH, "container \"%s\" is not running", s.id);
		return -1;
	}
	return (o->stats ? print_stats(&s, e) : watch(&s, init, interval_ms, e)) < 0 ? -1 : 0;
}
