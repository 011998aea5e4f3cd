/* SPDX-License-Identifier: Apache-2.0 */
/* Who is in a cgroup, stopping and killing them, and what the kernel killed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cgroup/internal.h"

enum { MAX_PROCS_BYTES = 16 << 20, MAX_DEPTH = 64 };

struct pids {
	pid_t *list;
	size_t count, room;
};

static int collect(int dir, struct pids *p, int depth, struct err *e)
{
	cleanup_free char *text = NULL;
	size_t len;
	DIR *children;
	char *save = NULL;
	int fd, r = 0;

	r = io_read_file_at(dir, "cgroup.procs", MAX_PROCS_BYTES, &text, &len, e);
	if (r == -ENODEV || r == -ENOENT) /* removed meanwhile */
		return 0;
	if (r == -EOPNOTSUPP) /* a threaded cgroup: its processes are listed above it */
		text = NULL;
	else if (r < 0)
		return r;
	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		if (p->count == p->room) {
			size_t room = p->room ? p->room * 2 : 64;
			pid_t *more = realloc(p->list, room * sizeof(*more));

			if (!more)
				return err_set(e, ENOMEM, "list a cgroup");
			p->list = more;
			p->room = room;
		}
		p->list[p->count++] = (pid_t)strtol(line, NULL, 10);
	}
	fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_set(e, errno, "list a cgroup");
	children = fdopendir(fd);
	if (!children) {
		close(fd);
		return err_set(e, ENOMEM, "list a cgroup");
	}
	r = 0;
	for (struct dirent *d; depth > 0 && r == 0 && (d = readdir(children)); ) {
		cleanup_fd int child = -1;

		if (d->d_type != DT_DIR || !strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		child = openat(fd, d->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child >= 0)
			r = collect(child, p, depth - 1, e);
	}
	closedir(children);
	return r;
}

/* Where the processes of the path are looked for: the tree that can also stop them. */
static int process_tree(const struct cgroup_host *host)
{
	int i = cgroup_find(host, CG_FREEZER);

	if (i < 0)
		i = cgroup_find_v2(host);
	return i < 0 ? 0 : i;
}

int cgroup_pids(const char *path, pid_t **ret, size_t *ret_count, struct err *e)
{
	const struct cgroup_host *host = cgroup_host(e);
	struct pids p = { 0 };
	cleanup_fd int dir = -1;

	if (!host)
		return -e->code;
	dir = cgroup_open(host, process_tree(host), path);
	if (dir < 0 && dir != -ENOENT)
		return err_set(e, -dir, "open cgroup %s", path);
	if (dir >= 0 && collect(dir, &p, MAX_DEPTH, e) < 0) {
		free(p.list);
		return -e->code;
	}
	*ret = p.list;
	*ret_count = p.count;
	return 0;
}

static bool is_frozen(int dir, bool v2)
{
	char text[256];

	if (io_read_small_at(dir, v2 ? "cgroup.events" : "freezer.state", text, sizeof(text)) < 0)
		return true; /* gone */
	return v2 ? strstr(text, "frozen 1") != NULL : !strcmp(text, "FROZEN");
}

int cgroup_freeze(const char *path, bool frozen, int timeout_ms, struct err *e)
{
	const struct cgroup_host *host = cgroup_host(e);
	cleanup_fd int dir = -1;
	bool v2;
	int i, r;

	if (!host)
		return -e->code;
	i = cgroup_find(host, CG_FREEZER);
	if (i < 0)
		i = cgroup_find_v2(host);
	if (i < 0)
		return err_set(e, ENOTSUP, "freeze cgroup %s: no freezer controller", path);
	v2 = host->list[i].v2;
	dir = cgroup_open(host, i, path);
	if (dir < 0)
		return err_set(e, -dir, "open cgroup %s", path);
	r = v2 ? io_write_file_at(dir, "cgroup.freeze", frozen ? "1" : "0") :
		 io_write_file_at(dir, "freezer.state", frozen ? "FROZEN" : "THAWED");
	if (r < 0)
		return err_set(e, -r, "%s cgroup %s", frozen ? "freeze" : "thaw", path);
	for (int waited = 0; frozen && !is_frozen(dir, v2); waited++) {
		if (waited >= timeout_ms)
			return err_set(e, ETIMEDOUT, "freeze cgroup %s", path);
		poll(NULL, 0, 1);
		/* v1 gives up on processes that were forking meanwhile; asking again goes on. */
		if (!v2)
			io_write_file_at(dir, "freezer.state", "FROZEN");
	}
	return 0;
}

int cgroup_frozen(const char *path, bool *ret_frozen, struct err *e)
{
	const struct cgroup_host *host = cgroup_host(e);
	cleanup_fd int dir = -1;
	char text[64];
	bool v2;
	int i;

	if (!host)
		return -e->code;
	i = cgroup_find(host, CG_FREEZER);
	if (i < 0)
		i = cgroup_find_v2(host);
	dir = i < 0 ? -ENOENT : cgroup_open(host, i, path);
	if (dir < 0 && dir != -ENOENT)
		return err_set(e, -dir, "open cgroup %s", path);
	v2 = dir >= 0 && host->list[i].v2;
	/* What was asked for, not how far it has come: on v1 FREEZING is frozen for whoever asks to thaw. */
	*ret_frozen = dir >= 0 && io_read_small_at(dir, v2 ? "cgroup.freeze" : "freezer.state", text, sizeof(text)) > 0 &&
		      strcmp(text, v2 ? "0" : "THAWED") != 0;
	return 0;
}

int cgroup_check_free(const char *path, const struct cgroup_made *made, struct err *e)
{
	const struct cgroup_host *host = cgroup_host(e);

	if (!host)
		return -e->code;
	for (int i = 0; i < host->count; i++) {
		const struct cgroup_hierarchy *h = &host->list[i];
		bool freezer = h->v2 || (h->controllers & (UINT32_C(1) << CG_FREEZER));
		cleanup_fd int dir = -1;
		struct pids p = { 0 };
		char text[256];
		int r = 0;

		if (made && made->length[i] && !freezer)
			continue;
		dir = cgroup_open(host, i, path);
		if (dir == -ENOENT)
			continue;
		if (dir < 0)
			return err_set(e, -dir, "open cgroup %s", path);
		/* On v1 FREEZING is frozen, too. */
		if (freezer && io_read_small_at(dir, h->v2 ? "cgroup.events" : "freezer.state", text, sizeof(text)) > 0 &&
		    (h->v2 ? strstr(text, "frozen 1") != NULL : strcmp(text, "THAWED") != 0))
			return err_set(e, EBUSY, "cgroup %s is frozen", path);
		if (!made || !made->length[i])
			r = collect(dir, &p, MAX_DEPTH, e);
		free(p.list);
		if (r < 0)
			return r;
		if (p.count)
			return err_set(e, EBUSY, "cgroup %s%s is not empty: %zu processes are in it", h->mount, path, p.count);
	}
	return 0;
}

int cgroup_kill_all(const char *path, struct err *e)
{
	const struct cgroup_host *host = cgroup_host(e);
	struct err ignored;
	bool killed = false, froze;
	int r = 0;

	if (!host)
		return -e->code;
	if (path[0] != '/' || !path[1])
		return err_set(e, EINVAL, "kill cgroup \"%s\"", path);
	for (int i = 0; i < host->count; i++) {
		cleanup_fd int dir = host->list[i].v2 ? cgroup_open(host, i, path) : -1;

		if (dir >= 0)
			killed = io_write_file_at(dir, "cgroup.kill", "1") == 0;
	}
	/* On hybrid hosts the pass below finds only who is dying already, or has left the v2 folder. */
	froze = !killed && cgroup_freeze(path, true, 100, &ignored) == 0;
	for (int round = 0; round < (froze || killed ? 1 : 16); round++) {
		cleanup_free pid_t *pids = NULL;
		size_t count;

		r = cgroup_pids(path, &pids, &count, e);
		if (r < 0 || !count)
			break;
		for (size_t k = 0; k < count; k++)
			if (pids[k] > 0)
				kill(pids[k], SIGKILL);
	}
	if (!killed || cgroup_find(host, CG_FREEZER) >= 0) /* also what a container had frozen: SIGKILL waits for the thaw */
		cgroup_freeze(path, false, 0, &ignored);
	return r;
}

int cgroup_oom_open(const char *path, int *ret_fd, struct err *e)
{
	const struct cgroup_host *host = cgroup_host(e);
	cleanup_fd int dir = -1, fd = -1, control = -1;
	char line[64];
	int i, r;

	if (!host)
		return -e->code;
	i = cgroup_find(host, CG_MEMORY);
	if (i < 0)
		return err_set(e, ENOTSUP, "watch for OOM: no memory controller");
	if (host->list[i].v2) {
		char file[300 + CGROUP_PATH_MAX];

		snprintf(file, sizeof(file), "%s%s/memory.events", host->list[i].mount, path);
		fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		if (fd < 0 || inotify_add_watch(fd, file, IN_MODIFY) < 0)
			return err_set(e, errno, "watch %s", file);
		*ret_fd = take_fd(&fd);
		return 0;
	}
	dir = cgroup_open(host, i, path);
	if (dir < 0)
		return err_set(e, -dir, "open cgroup %s", path);
	control = openat(dir, "memory.oom_control", O_RDONLY | O_CLOEXEC);
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (control < 0 || fd < 0)
		return err_set(e, errno, "watch memory.oom_control of %s", path);
	snprintf(line, sizeof(line), "%d %d", fd, control);
	r = io_write_file_at(dir, "cgroup.event_control", line);
	if (r < 0)
		return err_set(e, -r, "watch memory.oom_control of %s", path);
	*ret_fd = take_fd(&fd);
	return 0;
}

int cgroup_oom_kills(const char *path, uint64_t *ret_count, struct err *e)
{
	const struct cgroup_host *host = cgroup_host(e);
	cleanup_fd int dir = -1;
	char text[1024], *at;
	ssize_t n;
	int i;

	if (!host)
		return -e->code;
	i = cgroup_find(host, CG_MEMORY);
	if (i < 0)
		return err_set(e, ENOTSUP, "count OOM kills: no memory controller");
	dir = cgroup_open(host, i, path);
	if (dir < 0)
		return err_set(e, -dir, "open cgroup %s", path);
	n = io_read_small_at(dir, host->list[i].v2 ? "memory.events" : "memory.oom_control", text, sizeof(text));
	if (n < 0)
		return err_set(e, (int)-n, "count OOM kills of %s", path);
	at = strstr(text, "oom_kill ");
	/* "oom_kill_disable 0" has no space there. */
	*ret_count = at ? strtoull(at + 9, NULL, 10) : 0;
	return 0;
}
