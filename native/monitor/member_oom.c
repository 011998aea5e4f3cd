/* SPDX-License-Identifier: Apache-2.0 */
#include "member_oom.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "cgroup/cgroup.h"

uint64_t oom_count(const struct member *m)
{
	uint64_t count = 0;
	struct err e;

	if (m->cgroup && m->cgroup[0])
		cgroup_oom_kills(m->cgroup, &count, &e);
	return count;
}

static void tell(struct member *m)
{
	uint64_t count = oom_count(m);
	cleanup_text struct text t = { 0 };

	if (count <= m->oom_kills)
		return;
	m->oom_kills = count;
	text_str(&t, "{\"container\":");
	text_json(&t, m->id);
	text_str(&t, "}");
	conn_event("oom", &t);
}

/* v1 gives notice before it counts: how long after a notice, and how often, the count is looked at. */
enum { LOOK_FOR_MS = 2000, LOOK_MS = 5 };

static void look(struct timer *t)
{
	struct member *m = container_of(t, struct member, oom_look);

	tell(m);
	if (loop_now_ms() < m->oom_look_until_ms)
		loop_timer(t, LOOK_MS);
}

static void on_oom(struct watch *w, uint32_t events)
{
	struct member *m = container_of(w, struct member, oom);
	char drain[512];

	/* v1: the eventfd's count. v2: memory.events itself, whose reading arms the next notice. */
	if (events & EPOLLPRI)
		lseek(w->fd, 0, SEEK_SET);
	if (read(w->fd, drain, sizeof(drain)) < 0 && !(events & EPOLLIN)) {
		loop_close(w); /* the cgroup is gone */
		return;
	}
	m->oom_look_until_ms = events & EPOLLPRI ? 0 : loop_now_ms() + LOOK_FOR_MS;
	look(&m->oom_look);
}

/* The cgroup's own file takes part in epoll: no inotify instance, of which a user has 128. */
static int open_events(const char *path)
{
	struct err e;
	const struct cgroup_host *host = cgroup_host(&e);
	char file[PATH_MAX], drain[512];
	int fd;

	for (int i = 0; host && i < host->count; i++) {
		if (!host->list[i].v2 || !(host->list[i].controllers & UINT32_C(1) << CG_MEMORY))
			continue;
		if ((size_t)snprintf(file, sizeof(file), "%s%s/memory.events", host->list[i].mount, path) >= sizeof(file))
			return -1;
		fd = open(file, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && read(fd, drain, sizeof(drain)) < 0) {
			close(fd);
			return -1;
		}
		return fd;
	}
	return -1;
}

void oom_watch(struct member *m)
{
	uint32_t events = EPOLLPRI;
	struct err e;

	if (!m->cgroup || !m->cgroup[0])
		return;
	m->oom.ready = on_oom;
	m->oom_look.fire = look;
	m->oom.fd = open_events(m->cgroup);
	if (m->oom.fd < 0) {
		int fd;

		if (cgroup_oom_open(m->cgroup, &fd, &e) < 0)
			return;
		m->oom.fd = fd;
		events = EPOLLIN;
	}
	m->oom_kills = m->oom_kills_at_our_kill = oom_count(m);
	if (loop_watch(&m->oom, events) < 0)
		loop_close(&m->oom);
}

void oom_unwatch(struct member *m)
{
	loop_close(&m->oom);
	loop_timer_stop(&m->oom_look);
}

void oom_decide(struct member *m)
{
	tell(m); /* the notice may still be on its way */
	if (m->signal != SIGKILL && m->exit_code != 128 + SIGKILL)
		return;
	m->oom_killed = m->oom_kills > m->oom_kills_at_our_kill;
}
