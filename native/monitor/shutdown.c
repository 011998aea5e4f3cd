/* SPDX-License-Identifier: Apache-2.0 */
#include "shutdown.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "monitor/loop.h"
#include "monitor/member.h"
#include "monitor/pod.h"
#include "monitor/shim.h"

/* Processes that don't die (D state) are left to the daemon, which knows their cgroups. */
#define SHUTDOWN_LIMIT_MS 20000

static bool under_way, done;
static struct reply *waiting;
static struct timer limit;

bool shutdown_under_way(void)
{
	return under_way;
}

static void finish(void)
{
	char path[PATH_MAX];

	if (done)
		return;
	done = true;
	if (pod.shim_cgroup)
		shim_end();
	pod_give_back(&pod);
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", pod.run_dir, pod.socket) < sizeof(path))
		unlink(path);
	while (waiting) {
		struct reply *r = waiting;

		waiting = r->also;
		reply_ok(r, "{}", 2);
	}
	conn_close_all();
	loop_stop();
}

static void on_limit(struct timer *t)
{
	finish();
}

void pod_member_gone(void)
{
	if (!under_way || done)
		return;
	for (const struct member *m = members; m; m = m->next)
		if (m->deleting)
			return;
	finish();
}

void shutdown_begin(struct reply *r)
{
	if (r) {
		r->also = waiting;
		waiting = r;
	}
	if (under_way)
		return;
	under_way = true;
	limit.fire = on_limit;
	loop_timer(&limit, SHUTDOWN_LIMIT_MS);
	/* All marked first: the last one to go is not the last one in the list. */
	for (struct member *m = members, *next; m; m = next) {
		next = m->next;
		member_delete(m, NULL);
	}
	pod_member_gone();
}
