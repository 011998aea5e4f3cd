/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"

enum { FIRST_OWN_FD = 200, LINE_MAX_BYTES = 1024 };

int trace_fd = -1;
static const char *who = "runtime";
static int64_t zero_us, last_us;
static pid_t run;

/* The one clock that no time namespace sets off (time_namespaces(7)): init may be in one, its command is not. */
static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* As a string's inside in JSON. A path may be any bytes: what is not ASCII becomes "?". */
static void quote(const char *text, char *to, size_t size)
{
	size_t at = 0;

	for (; *text && at + 3 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			to[at++] = '\\';
		to[at++] = c < ' ' || c >= 0x7f ? '?' : (char)c;
	}
	to[at] = '\0';
}

static void write_line(int64_t now, const char *step, const char *what, bool failed)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, file_size, pipe;
	char line[LINE_MAX_BYTES], quoted[LINE_MAX_BYTES / 2] = "";
	int saved = errno, len;

	if (what)
		quote(what, quoted, sizeof(quoted));
	len = snprintf(line, sizeof(line), "{\"run\":%d,\"us\":%lld,\"took_us\":%lld,\"who\":\"%s\",\"step\":\"%s\"%s%s%s%s}\n",
		       (int)run, (long long)(now - zero_us), (long long)(now - last_us), who, step,
		       what ? ",\"what\":\"" : "", quoted, what ? "\"" : "", failed ? ",\"failed\":true" : "");
	last_us = now;
	/* A process.rlimits of the container's holds for init already; the caller's file may be a pipe. */
	sigaction(SIGXFSZ, &ignore, &file_size);
	sigaction(SIGPIPE, &ignore, &pipe);
	/* In one piece, whoever else writes there. That it can't be written is no reason to do anything else. */
	if (write(trace_fd, line, (size_t)len) < 0)
		errno = saved;
	sigaction(SIGPIPE, &pipe, NULL);
	sigaction(SIGXFSZ, &file_size, NULL);
}

void trace_write(const char *step, const char *what, bool failed)
{
	write_line(now_us(), step, what, failed);
}

int trace_open(const char *path, const char *what, struct err *e)
{
	cleanup_fd int low = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);

	if (low < 0)
		return err_set(e, errno, "open the trace \"%s\"", path);
	/* Low numbers belong to the descriptors that --preserve-fds passes on: one that is not open must stay so. */
	trace_fd = fcntl(low, F_DUPFD_CLOEXEC, FIRST_OWN_FD);
	if (trace_fd < 0)
		return err_set(e, errno, "keep the trace \"%s\" open", path);
	run = getpid();
	zero_us = last_us = now_us();
	write_line(zero_us, "begin", what, false);
	return 0;
}

void trace_as(const char *name)
{
	if (trace_fd < 0)
		return;
	who = name;
	last_us = now_us();
}

struct trace_place trace_here(void)
{
	return (struct trace_place){ who, last_us };
}

void trace_back(struct trace_place place)
{
	who = place.who;
	last_us = place.last_us;
}
