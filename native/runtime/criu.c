/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/criu.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

/* The least version: 3.17 can't read the vDSO of kernels since 6.13, and stops at the first process. */
enum { LEAST_MAJOR = 4, LEAST_MINOR = 1, LOG_MAX = 64 << 20 };

/* Where it is looked for, and the whole environment that it gets: it starts tar and nft by name. */
static const char *const folders[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin" };
static char *const environment[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL };

void criu_add(struct criu *c, const char *fmt, ...)
{
	va_list list;

	if (c->count == CRIU_MAX_ARGS) {
		c->full = true;
		return;
	}
	va_start(list, fmt);
	if (vasprintf(&c->args[c->count], fmt, list) < 0) {
		c->args[c->count] = NULL;
		c->full = true;
	} else {
		c->count++;
	}
	va_end(list);
}

void criu_free(struct criu *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->args[i]);
	c->count = 0;
}

/* The first in a list of folders divided by ':'; what is empty or relative is passed over. */
static bool search(const char *list, char *ret, size_t size)
{
	while (list && *list) {
		size_t len = strcspn(list, ":");

		if (*list == '/' && (size_t)snprintf(ret, size, "%.*s/criu", (int)len, list) < size && access(ret, X_OK) == 0)
			return true;
		list += len + (list[len] == ':');
	}
	return false;
}

static int look_up(struct criu *c, struct err *e)
{
	const char *given = getenv("KOBAKO_CRIU");

	if (given) {
		if (*given != '/' || strlen(given) >= sizeof(c->path))
			return err_set(e, EINVAL, "KOBAKO_CRIU: \"%.80s\" is no absolute path", given);
		strcpy(c->path, given);
		return access(given, X_OK) < 0 ? err_set(e, errno, "KOBAKO_CRIU: criu \"%s\"", given) : 0;
	}
	if (search(getenv("PATH"), c->path, sizeof(c->path)))
		return 0;
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		snprintf(c->path, sizeof(c->path), "%s/criu", folders[i]);
		if (access(c->path, X_OK) == 0)
			return 0;
	}
	return err_set(e, ENOENT, "criu: is not installed; version %d.%d or newer is needed", LEAST_MAJOR, LEAST_MINOR);
}

int criu_find(struct criu *c, struct err *e)
{
	cleanup_free char *text = NULL;
	int out[2], status, major = 0, minor = 0;
	const char *version;
	char *args[] = { c->path, "--version", NULL };
	size_t len;
	pid_t pid;
	int r;

	if (look_up(c, e) < 0)
		return -e->code;
	if (pipe2(out, O_CLOEXEC) < 0)
		return err_set(e, errno, "pipe");
	pid = fork();
	if (pid == 0) {
		dup2(out[1], 1);
		execve(c->path, args, environment);
		_exit(127);
	}
	close(out[1]);
	r = pid < 0 ? err_set(e, errno, "fork") : io_read_all(out[0], 4096, &text, &len, e);
	close(out[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return r;
	version = strstr(text, "Version: ");
	if (!version || sscanf(version + 9, "%d.%d", &major, &minor) != 2)
		return err_set(e, ENOEXEC, "criu \"%s\": does not tell its version", c->path);
	if (major < LEAST_MAJOR || (major == LEAST_MAJOR && minor < LEAST_MINOR))
		return err_set(e, ENOTSUP, "criu \"%s\": is version %.*s, %d.%d or newer is needed", c->path,
			       (int)strcspn(version + 9, "\n "), version + 9, LEAST_MAJOR, LEAST_MINOR);
	criu_add(c, "%s", c->path);
	return 0;
}

/* The complaint that the log ends with. What only says that it failed, and what it goes on without, is passed over. */
static void complain(const char *what, const char *log, int status, struct err *e)
{
	cleanup_free char *text = NULL;
	struct err ignored;
	const char *found = NULL;
	size_t len;

	if (io_read_file_at(AT_FDCWD, log, LOG_MAX, &text, &len, &ignored) == 0)
		for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
			const char *error = strstr(line, "Error (");
			const char *said = error ? strstr(error, "): ") : NULL;

			if (said && !strstr(said, "FAILED") && !strstr(said, "failed with") && !strstr(said, "RLIMIT_NOFILE"))
				found = said + 3;
		}
	if (found)
		err_set(e, EIO, "criu %s: %.200s (log: %s)", what, found, log);
	else if (WIFSIGNALED(status))
		err_set(e, EIO, "criu %s: ended by signal %d (log: %s)", what, WTERMSIG(status), log);
	else
		err_set(e, EIO, "criu %s: exit code %d (log: %s)", what, WEXITSTATUS(status), log);
}

/* Its mounts go with its namespace, however it ends. */
static bool bind_root(const struct criu *c)
{
	return !c->root_at || (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
			       mount(c->root_from, c->root_at, NULL, MS_BIND | MS_REC, NULL) == 0);
}

int criu_run(struct criu *c, const char *what, const char *log, struct err *e)
{
	struct err why = { 0 };
	int status = 0, said[2];
	pid_t pid;
	ssize_t n;

	if (c->full)
		return err_set(e, E2BIG, "criu %s: more than %d arguments", what, CRIU_MAX_ARGS);
	if (unlink(log) < 0 && errno != ENOENT) /* an older one's complaints are not this one's */
		return err_set(e, errno, "log \"%s\"", log);
	if (pipe2(said, O_CLOEXEC) < 0)
		return err_set(e, errno, "pipe");
	pid = c->join ? cgroup_fork(c->join) : fork();
	if (pid == 0) {
		if (c->join && cgroup_join_self(c->join, &why) < 0)
			;
		else if (!bind_root(c))
			err_set(&why, errno, "bind the rootfs \"%s\"", c->root_from);
		else if (execve(c->path, c->args, environment) < 0)
			err_set(&why, errno, "criu \"%s\"", c->path);
		_exit(write(said[1], &why, sizeof(why)) < 0);
	}
	close(said[1]);
	if (pid < 0) {
		close(said[0]);
		return err_set(e, errno, "fork");
	}
	do
		n = read(said[0], &why, sizeof(why));
	while (n < 0 && errno == EINTR);
	close(said[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n == sizeof(why)) {
		*e = why;
		return -e->code;
	}
	if (status == 0)
		return 0;
	complain(what, log, status, e);
	return -e->code;
}
