/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User namespaces: who may be whom inside, and becoming root there (user_namespaces(7)).
 *
 * A map is written from outside, by the runner: directly where it may, else through newuidmap(1) and
 * newgidmap(1), which look at /etc/subuid and /etc/subgid. Without them a caller may map itself alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "container/internal.h"

/* A map has 340 lines of at most 33 bytes. */
enum { MAP_BYTES = 340 * 33 + 1 };

static void map_text(const struct spec_idmap *map, size_t count, char *text)
{
	for (size_t i = 0; i < count; i++)
		text += sprintf(text, "%u %u %u\n", map[i].inside, map[i].outside, map[i].size);
	*text = '\0';
}

/* Only the caller's own id: what the kernel lets everybody map. */
static bool is_self(const struct spec_idmap *map, size_t count, uint32_t id)
{
	return count == 1 && map[0].size == 1 && map[0].outside == id;
}

/* newuidmap PID INSIDE OUTSIDE SIZE ... Its complaint is part of the error. */
static int run_mapper(const char *program, pid_t pid, const struct spec_idmap *map, size_t count, struct err *e)
{
	char *argv[2 + 3 * 340 + 1], text[300] = "";
	cleanup_free char *words = malloc((3 * count + 1) * 12);
	int out[2], status = -1;
	size_t argc = 0;
	ssize_t n = 0;
	pid_t child;

	if (!words || pipe2(out, O_CLOEXEC) < 0)
		return err_set(e, words ? errno : ENOMEM, "run %s", program);
	argv[argc++] = (char *)program;
	for (size_t i = 0; i < 3 * count + 1; i++) {
		const struct spec_idmap *m = &map[i ? (i - 1) / 3 : 0];
		uint32_t value = !i ? (uint32_t)pid : i % 3 == 1 ? m->inside : i % 3 == 2 ? m->outside : m->size;

		argv[argc] = words + 12 * i;
		sprintf(argv[argc++], "%u", value);
	}
	argv[argc] = NULL;
	child = fork();
	if (child == 0) {
		static char *env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin", NULL };

		dup2(out[1], 1);
		dup2(out[1], 2);
		execvpe(program, argv, env);
		dprintf(2, "%s", errno == ENOENT ? "is not installed (Debian package uidmap)" : strerror(errno));
		_exit(127);
	}
	close(out[1]);
	if (child > 0)
		n = read(out[0], text, sizeof(text) - 1);
	close(out[0]);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (child < 0)
		return err_set(e, errno, "run %s", program);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return err_set(e, EPERM, "%s: %s", program, text);
	return 0;
}

static int write_map(int proc, const char *name, const char *program, pid_t pid, const struct spec_idmap *map,
		     size_t count, bool direct, struct err *e)
{
	cleanup_free char *text = malloc(MAP_BYTES);
	int r;

	if (!direct)
		return run_mapper(program, pid, map, count, e);
	if (!text)
		return err_set(e, ENOMEM, "write %s", name);
	map_text(map, count, text);
	r = io_write_file_at(proc, name, text);
	return r < 0 ? err_set(e, -r, "write %s of process %d", name, pid) : 0;
}

int userns_map(pid_t pid, const struct spec_idmaps *given, struct err *e)
{
	struct spec_idmap self_uid = { 0, geteuid(), 1 }, self_gid = { 0, getegid(), 1 };
	struct spec_idmaps self = { &self_uid, &self_gid, 1, 1 };
	const struct spec_idmaps *m = given->uid_count ? given : &self;
	bool root = geteuid() == 0;
	cleanup_fd int proc = -1;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		return err_set(e, errno, "open %s", path);
	if (!root && is_self(m->gids, m->gid_count, getegid())) {
		/* Who maps a group without the right to must give up setgroups(2) first (since 3.19). */
		r = io_write_file_at(proc, "setgroups", "deny");
		if (r < 0)
			return err_set(e, -r, "deny setgroups to process %d", pid);
	}
	if (write_map(proc, "uid_map", "newuidmap", pid, m->uids, m->uid_count,
		      root || is_self(m->uids, m->uid_count, geteuid()), e) < 0)
		return err_wrap(e, "linux.uidMappings");
	if (write_map(proc, "gid_map", "newgidmap", pid, m->gids, m->gid_count,
		      root || is_self(m->gids, m->gid_count, getegid()), e) < 0)
		return err_wrap(e, "linux.gidMappings");
	return 0;
}

bool process_may_setgroups(int proc)
{
	char text[8];

	/* Not there before 3.19: then the call itself will tell. */
	return io_read_small_at(proc, "setgroups", text, sizeof(text)) <= 0 || strcmp(text, "deny") != 0;
}

/* Effective and permitted: all of the new namespace, which a change of user id would have taken. */
static int become(uid_t uid, gid_t gid)
{
	if (syscall(SYS_setresgid, gid, gid, gid) < 0 || syscall(SYS_setresuid, uid, uid, uid) < 0)
		return -errno;
	return 0;
}

int userns_become_root(const struct spec_process *p, bool no_setgroups, struct err *e)
{
	int r;

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_set(e, errno, "keep capabilities over the change of user");
	if (!no_setgroups && syscall(SYS_setgroups, 0, NULL) < 0)
		return err_set(e, errno, "leave the caller's groups");
	r = become(0, 0);
	if (r == -EINVAL) /* 0 is not mapped: then as the one who will run there */
		r = become(p->uid, p->gid);
	if (r < 0)
		return err_set(e, -r, "become a user of the user namespace: neither 0:0 nor %u:%u is mapped", p->uid, p->gid);
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return err_set(e, errno, "end keeping capabilities");
	return process_raise_capabilities(e);
}

/* Reads "inside outside size" lines and looks for each of ours. */
static int compare_map(int proc, const char *name, const struct spec_idmap *map, size_t count, struct err *e)
{
	cleanup_free char *text = NULL;
	char path[32];
	size_t len;

	snprintf(path, sizeof(path), "self/%s", name);
	if (io_read_file_at(proc, path, MAP_BYTES, &text, &len, e) < 0)
		return -e->code;
	for (size_t i = 0; i < count; i++) {
		bool found = false;

		for (const char *line = text; line && *line && !found; line = strchr(line, '\n'), line += line != NULL) {
			unsigned int inside, outside, size;

			if (sscanf(line, "%u %u %u", &inside, &outside, &size) == 3)
				found = inside == map[i].inside && outside == map[i].outside && size == map[i].size;
		}
		if (!found)
			return err_set(e, EINVAL, "%s: %u %u %u is not in the namespace that is joined", name, map[i].inside,
				       map[i].outside, map[i].size);
	}
	return 0;
}

int userns_check_maps(const struct spec_idmaps *m, int proc, struct err *e)
{
	if (compare_map(proc, "uid_map", m->uids, m->uid_count, e) < 0)
		return err_wrap(e, "linux.uidMappings");
	if (compare_map(proc, "gid_map", m->gids, m->gid_count, e) < 0)
		return err_wrap(e, "linux.gidMappings");
	return 0;
}

int userns_make(const struct spec_idmaps *m, int *ret_fd, struct err *e)
{
	struct sys_clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	cleanup_child pid_t child = sys_clone3(&args);
	char path[40];

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (child < 0)
		return err_set(e, errno, "make a user namespace for a mapped mount");
	if (userns_map(child, m, e) < 0)
		return -e->code;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", child);
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? err_set(e, errno, "open %s", path) : 0;
}

static bool same_lines(const struct spec_idmap *a, size_t a_count, const struct spec_idmap *b, size_t b_count)
{
	return a_count == b_count && (!a_count || memcmp(a, b, a_count * sizeof(*a)) == 0);
}

bool userns_same_maps(const struct spec_idmaps *a, const struct spec_idmaps *b)
{
	return same_lines(a->uids, a->uid_count, b->uids, b->uid_count) && same_lines(a->gids, a->gid_count, b->gids, b->gid_count);
}
