/* SPDX-License-Identifier: Apache-2.0 */
/* Named pipes between the monitor and a shim. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/shim.h"

static const char *const suffix[3] = { "in", "out", "err" };

/* Whether a process has this one. */
static bool has(int i, bool tty, bool with_stdin)
{
	return i == 0 ? with_stdin : i == 1 || !tty;
}

static int path_of(char path[PATH_MAX], const char *folder, const char *name, int i)
{
	return (size_t)snprintf(path, PATH_MAX, "%s/%s-%s", folder, name, suffix[i]) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

void fifos_remove(const char *folder, const char *name)
{
	char path[PATH_MAX];

	for (int i = 0; i < 3; i++)
		if (path_of(path, folder, name, i) == 0)
			unlink(path);
}

int fifos_open(const char *folder, const char *name, bool tty, bool with_stdin, int ret_fds[3], struct err *e)
{
	char path[PATH_MAX];

	for (int i = 0; i < 3; i++)
		ret_fds[i] = -1;
	fifos_remove(folder, name);
	for (int i = 0; i < 3; i++) {
		if (!has(i, tty, with_stdin))
			continue;
		if (path_of(path, folder, name, i) < 0 || mkfifo(path, 0600) < 0) {
			err_set(e, errno ? errno : ENAMETOOLONG, "make fifo \"%s/%s-%s\"", folder, name, suffix[i]);
			goto failed;
		}
		/*
		 * Outputs: read only, so that their end is seen when the shim closes them (before anybody has opened
		 * them for writing there is none). Input: a writer alone would be refused while nobody reads.
		 */
		ret_fds[i] = open(path, (i == 0 ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
		if (ret_fds[i] < 0) {
			err_set(e, errno, "open fifo \"%s\"", path);
			goto failed;
		}
	}
	return 0;
failed:
	for (int i = 0; i < 3; i++) {
		if (ret_fds[i] >= 0)
			close(ret_fds[i]);
		ret_fds[i] = -1;
	}
	fifos_remove(folder, name);
	return -e->code;
}

void fifos_describe(struct text *t, const char *folder, const char *name, bool tty, bool with_stdin)
{
	char path[PATH_MAX];

	for (int i = 0; i < 3; i++) {
		text_fmt(t, "%s\"std%s\":", i ? "," : "", suffix[i]);
		if (!has(i, tty, with_stdin) || path_of(path, folder, name, i) < 0)
			path[0] = '\0';
		text_json(t, path);
	}
}
