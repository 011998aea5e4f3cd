/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes and ptys between the monitor and a process. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "monitor/member_create.h"
#include "monitor/pod.h"

static void close_all(int *fds, int count)
{
	for (int i = 0; i < count; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

void stdio_close_theirs(struct stdio *s)
{
	close_all(s->theirs, 3);
	close_all(&s->console_theirs, 1);
}

void stdio_close_ours(struct stdio *s)
{
	close_all(s->ours, 3);
	close_all(&s->console_ours, 1);
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/*
 * The two ends of a pipe are open files of their own: only ours is non-blocking. With a user namespace the pipe is its
 * root's from the beginning: who has no number there gives nothing away, and /dev/stdout could not be opened again.
 */
static int open_pipe(struct stdio *s, int i, struct err *e)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(e, errno, "pipe");
	s->theirs[i] = ends[i == 0 ? 0 : 1];
	s->ours[i] = ends[i == 0 ? 1 : 0];
	if (pod.own_user && fchown(s->theirs[i], pod.id_map.outside, pod.id_map.outside) < 0)
		return err_set(e, errno, "give a pipe to root of the pod's user namespace");
	return set_nonblocking(s->ours[i]) < 0 ? err_set(e, errno, "pipe") : 0;
}

int stdio_open(struct stdio *s, bool tty, bool with_stdin, struct err *e)
{
	int pair[2], r = 0;

	*s = (struct stdio){ { -1, -1, -1 }, { -1, -1, -1 }, -1, -1 };
	if (tty) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
			return err_set(e, errno, "console socket");
		s->console_ours = pair[0];
		s->console_theirs = pair[1];
		if (set_nonblocking(pair[0]) < 0)
			r = err_set(e, errno, "console socket");
	} else {
		for (int i = with_stdin ? 0 : 1; r == 0 && i < 3; i++)
			r = open_pipe(s, i, e);
	}
	if (r < 0) {
		stdio_close_theirs(s);
		stdio_close_ours(s);
	}
	return r;
}

int stdio_take_console(struct stdio *s, bool with_stdin, struct err *e)
{
	if (s->console_ours < 0)
		return 0;
	if (io_recv_fd(s->console_ours, &s->ours[1], e) < 0)
		return err_wrap(e, "console");
	close_all(&s->console_ours, 1);
	return stdio_take_master(s, with_stdin, e);
}

int stdio_take_master(struct stdio *s, bool with_stdin, struct err *e)
{
	if (set_nonblocking(s->ours[1]) < 0)
		return err_set(e, errno, "console");
	if (with_stdin) {
		s->ours[0] = fcntl(s->ours[1], F_DUPFD_CLOEXEC, 3);
		if (s->ours[0] < 0)
			return err_set(e, errno, "console");
	}
	return 0;
}
