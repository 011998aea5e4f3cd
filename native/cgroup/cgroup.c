/* SPDX-License-Identifier: Apache-2.0 */
/* Making, joining and removing. */
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "cgroup/internal.h"

/* A v1 cpuset without cpus and mems takes no process: an empty one gets its parent's. */
static int fill_cpuset(int dir, struct err *e)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };
	char mine[4096], above[4096], up[32];

	for (int i = 0; i < 2; i++) {
		ssize_t n = io_read_small_at(dir, files[i], mine, sizeof(mine));
		int r;

		if (n > 0)
			continue;
		snprintf(up, sizeof(up), "../%s", files[i]);
		n = n < 0 ? n : io_read_small_at(dir, up, above, sizeof(above));
		r = n < 0 ? (int)n : io_write_file_at(dir, files[i], above);
		if (r < 0)
			return err_set(e, -r, "give the cpuset its parent's %s", files[i]);
	}
	return 0;
}

/* Makes the folder of the path in hierarchy i, parents first. */
static int make_one(const struct cgroup_host *host, int i, const char *path, uint16_t *ret_made, struct err *e)
{
	const struct cgroup_hierarchy *h = &host->list[i];
	bool cpuset = !h->v2 && (h->controllers & (UINT32_C(1) << CG_CPUSET));
	char full[256 + CGROUP_PATH_MAX];
	size_t base = strlen(h->mount), len = strlen(path);

	snprintf(full, sizeof(full), "%s%s", h->mount, path);
	/* Nearly always only the last folder is missing. A cpuset has to look at each parent's contents. */
	if (!cpuset && mkdir(full, 0755) == 0) {
		*ret_made = (uint16_t)len;
		return 0;
	}
	if (!cpuset && errno == EEXIST)
		return 0;
	for (size_t at = 1; at <= len; at++) {
		char cut = full[base + at];

		if (cut != '/' && cut != '\0')
			continue;
		full[base + at] = '\0';
		if (mkdir(full, 0755) == 0) {
			if (!*ret_made)
				*ret_made = (uint16_t)at;
		} else if (errno != EEXIST) {
			return err_set(e, errno, "make cgroup %s", full);
		}
		if (cpuset) {
			cleanup_fd int dir = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);

			if (dir < 0)
				return err_set(e, errno, "open cgroup %s", full);
			if (fill_cpuset(dir, e) < 0)
				return err_wrap(e, "cgroup %s", full);
		}
		full[base + at] = cut;
	}
	return 0;
}

/* True when the words of a kernel file ("cpu io memory") have this one. */
static bool has_word(const char *words, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = words; (p = strstr(p, name)); p += n)
		if ((p == words || p[-1] == ' ') && (p[n] == ' ' || !p[n]))
			return true;
	return false;
}

/* Calls `give` with each folder above the last one of the path, from the hierarchy's root down. */
static int for_ancestors(const struct cgroup_hierarchy *h, const char *path, int (*give)(int dir, void *arg), void *arg)
{
	char full[256 + CGROUP_PATH_MAX];
	size_t base = strlen(h->mount);
	int r = 0;

	snprintf(full, sizeof(full), "%s%s", h->mount, path);
	for (size_t at = 0; path[at] && r == 0; at++) {
		cleanup_fd int dir = -1;

		if (path[at] != '/')
			continue;
		full[base + at] = '\0';
		dir = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);
		full[base + at] = '/';
		r = dir < 0 ? -errno : give(dir, arg);
	}
	return r;
}

static int give_one(int dir, void *arg)
{
	const char *name = arg;
	char on[512], line[32];

	if (io_read_small_at(dir, "cgroup.subtree_control", on, sizeof(on)) > 0 && has_word(on, name))
		return 0;
	snprintf(line, sizeof(line), "+%s", name);
	return io_write_file_at(dir, "cgroup.subtree_control", line);
}

int cgroup_enable(const struct cgroup_host *host, int i, const char *path, enum cgroup_controller c)
{
	const char *name = c == CG_BLKIO ? "io" : cgroup_controller_names[c];

	return for_ancestors(&host->list[i], path, give_one, (void *)name);
}

/* All that a folder has and its children have not. What can't be given is missed where a limit needs it. */
static int give_all(int dir, void *arg)
{
	char have[512], on[512] = "", line[1024], *save = NULL;
	size_t at = 0;
	int r;

	if (io_read_small_at(dir, "cgroup.controllers", have, sizeof(have)) <= 0)
		return 0;
	io_read_small_at(dir, "cgroup.subtree_control", on, sizeof(on));
	line[0] = '\0';
	for (char *name = strtok_r(have, " ", &save); name; name = strtok_r(NULL, " ", &save))
		if (!has_word(on, name))
			at += (size_t)snprintf(line + at, sizeof(line) - at, "%s+%s", at ? " " : "", name);
	r = at ? io_write_file_at(dir, "cgroup.subtree_control", line) : 0;
	/*
	 * One write gives all or nothing: one that is refused (cpu while realtime threads live) must not cost the others.
	 * But a folder with processes of its own gives none: those it could give would make it threaded.
	 */
	if (r == 0 || r == -EBUSY || r == -EOPNOTSUPP)
		return 0;
	for (char *name = strtok_r(line, " ", &save); name; name = strtok_r(NULL, " ", &save))
		io_write_file_at(dir, "cgroup.subtree_control", name);
	return 0;
}

int cgroup_create(const char *path, struct cgroup_made *ret_made, struct err *e)
{
	const struct cgroup_host *host = cgroup_host(e);
	struct cgroup_made made = { 0 };
	int v2 = host ? cgroup_find_v2(host) : -1, r = 0;
	mode_t mask;

	if (!host)
		return -e->code;
	/* Whatever the caller's mask: root of a user namespace, which mounts its cgroup, is nobody here. */
	mask = umask(022);
	for (int i = 0; r == 0 && i < host->count; i++)
		r = make_one(host, i, path, &made.length[i], e);
	umask(mask);
	if (r < 0) {
		cgroup_undo(path, &made);
		return r;
	}
	/* On hybrid hosts v2 has what nobody mounted elsewhere; there it is given when a limit asks for it. */
	if (v2 >= 0 && cgroup_find(host, CG_MEMORY) == v2)
		for_ancestors(&host->list[v2], path, give_all, NULL);
	*ret_made = made;
	return 0;
}

void cgroup_undo(const char *path, const struct cgroup_made *made)
{
	struct err ignored;
	const struct cgroup_host *host = cgroup_host(&ignored);
	char full[256 + CGROUP_PATH_MAX];

	for (int i = 0; host && i < host->count; i++) {
		size_t base = strlen(host->list[i].mount);

		if (!made->length[i])
			continue;
		snprintf(full, sizeof(full), "%s%s", host->list[i].mount, path);
		for (size_t at = strlen(path); at >= made->length[i]; at--) {
			if (full[base + at] != '\0' && full[base + at] != '/')
				continue;
			full[base + at] = '\0';
			if (rmdir(full) < 0 && errno != ENOENT)
				break;
		}
	}
}

int cgroup_join_open(const char *path, struct cgroup_join *ret, struct err *e)
{
	const struct cgroup_host *host = cgroup_host(e);
	struct cgroup_join j;

	memset(&j, 0xff, sizeof(j)); /* all -1 */
	if (!host)
		return -e->code;
	for (int i = 0; i < host->count; i++) {
		char full[300 + CGROUP_PATH_MAX];
		int fd;

		snprintf(full, sizeof(full), "%s%s%s", host->list[i].mount, path, host->list[i].v2 ? "" : "/tasks");
		fd = open(full, (host->list[i].v2 ? O_RDONLY | O_DIRECTORY : O_WRONLY) | O_CLOEXEC);
		if (fd < 0) {
			err_set(e, errno, "open cgroup %s", full);
			cgroup_join_close(&j);
			return -e->code;
		}
		if (host->list[i].v2)
			j.v2 = fd;
		else
			j.tasks[i] = fd;
	}
	*ret = j;
	return 0;
}

pid_t cgroup_fork(const struct cgroup_join *j)
{
	struct sys_clone_args args = { .exit_signal = SIGCHLD };

	if (j->v2 >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)j->v2;
	}
	return (pid_t)sys_clone3(&args);
}

int cgroup_join_self(const struct cgroup_join *j, struct err *e)
{
	for (int i = 0; i < CGROUP_HIERARCHIES; i++)
		if (j->tasks[i] >= 0 && write(j->tasks[i], "0", 1) < 0)
			return err_set(e, errno, "join the cgroup (hierarchy %d)", i);
	return 0;
}

void cgroup_join_close(struct cgroup_join *j)
{
	for (int i = 0; i < CGROUP_HIERARCHIES; i++)
		if (j->tasks[i] >= 0)
			close(j->tasks[i]);
	if (j->v2 >= 0)
		close(j->v2);
	memset(j, 0xff, sizeof(*j));
}

/* Between two moves of one that holds: well below a grace period, for so long the machine stays ready. */
#define HOLD_STEP_NS 4000000
#define HOLD_STEPS 250

static void __attribute__((noreturn)) hold_moves(int fd, pid_t parent)
{
	const struct timespec step = { .tv_nsec = HOLD_STEP_NS };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < HOLD_STEPS && getppid() == parent; i++) {
		if (write(fd, "0", 1) < 0)
			_exit(1);
		nanosleep(&step, NULL);
	}
	_exit(0);
}

static int begin_moves(const char *path, bool hold, struct err *e)
{
	const struct cgroup_host *host = cgroup_host(e);
	char full[300 + CGROUP_PATH_MAX];
	cleanup_fd int fd = -1;
	pid_t pid, parent = getpid();

	if (!host)
		return -e->code;
	snprintf(full, sizeof(full), "%s%s/cgroup.procs", host->list[0].mount, path);
	fd = open(full, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "open %s", full);
	pid = fork();
	if (pid == 0) {
		/* Nobody's end of a pipe or socket is to be open for as long as this takes. */
		if (fd > 0)
			sys_close_range(0, (unsigned int)fd - 1, 0);
		sys_close_range((unsigned int)fd + 1, UINT_MAX, 0);
		if (hold)
			hold_moves(fd, parent);
		_exit(write(fd, "0", 1) < 0);
	}
	return pid < 0 ? err_set(e, errno, "fork for %s", full) : 0;
}

int cgroup_await_moves(const char *path, struct err *e)
{
	return begin_moves(path, false, e);
}

int cgroup_hold_moves(const char *path, struct err *e)
{
	return begin_moves(path, true, e);
}

/* Where the folder of an exec is. */
static int sub_hierarchy(const struct cgroup_host *host)
{
	int i = cgroup_find_v2(host);

	return i < 0 ? cgroup_find(host, CG_FREEZER) : i;
}

int cgroup_create_sub(const char *path, const char *name, struct cgroup_join *j, struct err *e)
{
	const struct cgroup_host *host = cgroup_host(e);
	int i = host ? sub_hierarchy(host) : -1, fd;
	char full[600 + CGROUP_PATH_MAX];

	if (!host)
		return -e->code;
	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..") || strlen(name) > 200)
		return err_set(e, EINVAL, "cgroup name \"%.80s\"", name);
	if (i < 0)
		return err_set(e, ENOTSUP, "make a cgroup for an exec: neither cgroup v2 nor the freezer controller");
	snprintf(full, sizeof(full), "%s%s/%s", host->list[i].mount, path, name);
	if (mkdir(full, 0755) < 0 && errno != EEXIST)
		return err_set(e, errno, "make cgroup %s", full);
	if (!host->list[i].v2)
		strcat(full, "/tasks");
	fd = open(full, (host->list[i].v2 ? O_RDONLY | O_DIRECTORY : O_WRONLY) | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "open cgroup %s", full);
	if (host->list[i].v2) {
		close(j->v2);
		j->v2 = fd;
	} else {
		close(j->tasks[i]);
		j->tasks[i] = fd;
	}
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Removes the folders below dirfd/name and then itself. Returns 0 or -errno of the first that stays. */
static int remove_tree(int dirfd, const char *name, int depth)
{
	DIR *dir;
	int fd, r = 0;

	if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY && errno != ENOTEMPTY)
		return -errno;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	for (struct dirent *d; depth > 0 && (d = readdir(dir)); ) {
		if (d->d_type != DT_DIR || !strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		r = remove_tree(fd, d->d_name, depth - 1);
		if (r < 0)
			break;
	}
	closedir(dir);
	if (r < 0)
		return r;
	return unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

int cgroup_remove(const char *path, int timeout_ms, struct err *e)
{
	const struct cgroup_host *host = cgroup_host(e);
	int64_t deadline = now_ms() + timeout_ms;
	int wait_ms = 1;

	if (!host)
		return -e->code;
	if (path[0] != '/' || !path[1])
		return err_set(e, EINVAL, "remove cgroup \"%s\"", path);
	for (int i = 0; i < host->count; ) {
		char full[256 + CGROUP_PATH_MAX];
		int r;

		snprintf(full, sizeof(full), "%s%s", host->list[i].mount, path);
		r = remove_tree(AT_FDCWD, full, 64);
		if (r == 0) {
			i++;
			continue;
		}
		if (r != -EBUSY || now_ms() >= deadline)
			return err_set(e, -r, "remove cgroup %s", full);
		/* No event tells that a v1 cgroup's last task is gone; it takes well under a millisecond. */
		poll(NULL, 0, wait_ms);
		if (wait_ms < 16)
			wait_ms *= 2;
	}
	return 0;
}

int cgroup_open_sub(const char *path)
{
	struct err ignored;
	const struct cgroup_host *host = cgroup_host(&ignored);
	int i = host ? cgroup_find_v2(host) : -1;
	char full[256 + CGROUP_PATH_MAX];

	if (i < 0)
		return -1;
	snprintf(full, sizeof(full), "%s%s", host->list[i].mount, path);
	return open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

bool cgroup_sub_idle(int fd)
{
	char text[256];

	return io_read_small_at(fd, "cgroup.events", text, sizeof(text)) > 0 && strstr(text, "populated 0") &&
	       !strstr(text, "frozen 1");
}

int cgroup_remove_sub(const char *path, struct err *e)
{
	const struct cgroup_host *host = cgroup_host(e);
	char full[256 + CGROUP_PATH_MAX];
	int i, r;

	if (!host)
		return -e->code;
	i = sub_hierarchy(host);
	if (i < 0)
		return 0; /* none was made */
	snprintf(full, sizeof(full), "%s%s", host->list[i].mount, path);
	r = remove_tree(AT_FDCWD, full, 64);
	return r < 0 ? err_set(e, -r, "remove cgroup %s", full) : 0;
}
