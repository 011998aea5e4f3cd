/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kobako-spawner: runs programs for the daemon, one per daemon.
 *
 * fork(2) of the daemon costs milliseconds, in which it serves nobody: its page tables are copied, and every page
 * that it then touches faults. This process is small, so that a fork costs tens of microseconds.
 *
 * Enters: frames on stdin. Leaves: one frame per program on stdout, when the program has ended and its output too.
 * Ends with its stdin, that is with the daemon, however that ends; programs under way are left to their own end.
 * Never: a shell, a search of PATH, an environment of its own, a descriptor beyond 0, 1 and 2 for a child.
 *
 * A frame is a u32 length of what follows, then u32 fields in the machine's byte order, then bytes:
 *   run     id 0 flags max_output argc envc stdin_len, argc + envc + 1 strings with their NUL, stdin
 *           (argv[0] is the program's absolute path; the last string names the file for stderr, "": collected)
 *   kill    id 1
 *   answer  id how status stdout_len stderr_len, stdout, stderr
 *           (how 0: status is what waitpid(2) gives; 1: it could not be started, status is the errno;
 *            2: killed because it wrote more than max_output)
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* Linux 6.3 */
#endif

#define FRAME_MAX_BYTES (8u << 20)
#define JOBS_MAX 256
#define STRINGS_MAX 4096
/* How long output may trail the end of a program whose descendants left its group but kept its pipes. */
#define DRAIN_MS 500

enum { OP_RUN, OP_KILL };
enum { FLAG_STAYS_BEHIND = 1 };
enum { HOW_ENDED, HOW_NOT_STARTED, HOW_TOO_MUCH };

struct output {
	int fd; /* -1: it has ended */
	char *at;
	size_t len, size, max;
};

struct job {
	struct job *next;
	uint32_t id, flags, how;
	pid_t pid;
	int pidfd; /* -1: reaped */
	int status;
	int64_t drain_until_ms; /* 0: no limit */
	struct output out[2];
};

static struct job *jobs;
static unsigned int job_count;

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The daemon is gone when it can't be told. */
static void send_answer(uint32_t id, uint32_t how, uint32_t status, const struct output out[2])
{
	const uint32_t lengths[2] = { out ? (uint32_t)out[0].len : 0, out ? (uint32_t)out[1].len : 0 };
	const uint32_t head[] = { 20 + lengths[0] + lengths[1], id, how, status, lengths[0], lengths[1] };
	struct err e;

	if (io_write_all(STDOUT_FILENO, head, sizeof(head), &e) < 0)
		_exit(0);
	for (int i = 0; i < 2; i++)
		if (lengths[i] && io_write_all(STDOUT_FILENO, out[i].at, lengths[i], &e) < 0)
			_exit(0);
}

static void job_end(struct job *job)
{
	struct job **at = &jobs;

	send_answer(job->id, job->how, (uint32_t)job->status, job->out);
	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	job_count--;
	for (int i = 0; i < 2; i++) {
		if (job->out[i].fd >= 0)
			close(job->out[i].fd);
		free(job->out[i].at);
	}
	free(job);
}

static void job_kill(struct job *job)
{
	if (job->pidfd >= 0)
		kill(-job->pid, SIGKILL); /* not reaped: its number is still its own */
}

/* The program has ended; what it left in its group goes too, unless it stays behind on purpose. */
static void job_reap(struct job *job)
{
	if (!(job->flags & FLAG_STAYS_BEHIND)) {
		kill(-job->pid, SIGKILL);
		job->drain_until_ms = now_ms() + DRAIN_MS;
	}
	while (waitpid(job->pid, &job->status, 0) < 0 && errno == EINTR)
		;
	close(job->pidfd);
	job->pidfd = -1;
}

/* Returns false when there is no memory for what was read. */
static bool output_keep(struct output *o, const char *bytes, size_t n)
{
	if (o->size - o->len < n) {
		size_t size = o->size ? o->size * 2 : 4096;
		char *grown;

		while (size < o->len + n)
			size *= 2;
		grown = realloc(o->at, size);
		if (!grown)
			return false;
		o->at = grown;
		o->size = size;
	}
	memcpy(o->at + o->len, bytes, n);
	o->len += n;
	return true;
}

static void output_read(struct job *job, int which)
{
	struct output *o = &job->out[which];
	char buf[16384];
	ssize_t n = read(o->fd, buf, sizeof(buf));
	size_t room = o->max - o->len;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		close(o->fd);
		o->fd = -1;
		return;
	}
	if ((size_t)n <= room && output_keep(o, buf, (size_t)n))
		return;
	if (which == 0) {
		job->how = HOW_TOO_MUCH;
		job_kill(job);
	} else if (room) {
		output_keep(o, buf, room); /* the rest is dropped */
	}
}

/* What the program reads, as a file: no pipe has to be fed while it runs. */
static int stdin_file(const char *bytes, size_t n)
{
	cleanup_fd int fd = -1;
	struct err e;

	if (n == 0)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	fd = memfd_create("stdin", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("stdin", MFD_CLOEXEC);
	if (fd < 0 || io_write_all(fd, bytes, n, &e) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -1;
	return take_fd(&fd);
}

/* Starts argv[0] with the three descriptors. Returns 0 or an errno. */
static int start(char *argv[], char *envp[], const int fds[3], pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = 0;
	for (int i = 0; r == 0 && i < 3; i++)
		r = posix_spawn_file_actions_adddup2(&actions, fds[i], i);
	if (r == 0)
		r = posix_spawn(ret, argv[0], &actions, &attr, argv, envp);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

static int open_outputs(struct job *job, const char *stderr_path, int theirs[2])
{
	for (int i = 0; i < 2; i++) {
		int pair[2];

		if (i == 1 && stderr_path[0]) {
			theirs[1] = open(stderr_path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
			if (theirs[1] < 0)
				return -1;
			continue;
		}
		if (pipe2(pair, O_CLOEXEC) < 0)
			return -1;
		job->out[i].fd = pair[0];
		theirs[i] = pair[1];
		fcntl(pair[0], F_SETFL, O_NONBLOCK);
	}
	return 0;
}

/* Returns 0 or an errno. */
static int job_start(struct job *job, char *argv[], char *envp[], const char *stderr_path, const char *in, size_t in_len)
{
	cleanup_fd int from = stdin_file(in, in_len);
	int theirs[2] = { -1, -1 };
	int r;

	if (from < 0 || open_outputs(job, stderr_path, theirs) < 0)
		r = errno;
	else
		r = start(argv, envp, (int[]){ from, theirs[0], theirs[1] }, &job->pid);
	for (int i = 0; i < 2; i++)
		if (theirs[i] >= 0)
			close(theirs[i]);
	if (r)
		return r;
	job->pidfd = (int)syscall(SYS_pidfd_open, job->pid, 0);
	if (job->pidfd >= 0)
		return 0;
	r = errno;
	kill(-job->pid, SIGKILL);
	while (waitpid(job->pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}

struct request {
	uint32_t id, op, flags, max_output, argc, envc, stdin_len;
};

/* Points `strings` at the strings of a run; returns where stdin begins, NULL when the frame is not whole. */
static char *take_strings(char *at, char *end, size_t count, char *strings[])
{
	for (size_t i = 0; i < count; i++) {
		char *nul = memchr(at, '\0', (size_t)(end - at));

		if (!nul)
			return NULL;
		strings[i] = at;
		at = nul + 1;
	}
	return at;
}

static void run(const struct request *q, char *at, char *end)
{
	const size_t count = (size_t)q->argc + q->envc + 1;
	cleanup_free char **strings = NULL;
	struct job *job;
	char *in, **argv, **envp;
	int r;

	if (q->argc < 1 || q->argc > STRINGS_MAX || q->envc > STRINGS_MAX)
		_exit(2);
	/* argv NULL envp NULL stderr */
	strings = calloc(count + 2, sizeof(*strings));
	job = calloc(1, sizeof(*job));
	if (!strings || !job || job_count >= JOBS_MAX) {
		free(job);
		send_answer(q->id, HOW_NOT_STARTED, EAGAIN, NULL);
		return;
	}
	in = take_strings(at, end, count, strings);
	if (!in || (size_t)(end - in) != q->stdin_len)
		_exit(2);
	argv = strings;
	envp = strings + q->argc + 1;
	memmove(envp, strings + q->argc, (q->envc + 1) * sizeof(*strings));
	strings[q->argc] = NULL;
	strings[count + 1] = envp[q->envc]; /* stderr's path */
	envp[q->envc] = NULL;
	*job = (struct job){
		.next = jobs,
		.id = q->id,
		.flags = q->flags,
		.pidfd = -1,
		.out = { { .fd = -1, .max = q->max_output }, { .fd = -1, .max = q->max_output } },
	};
	jobs = job;
	job_count++;
	r = job_start(job, argv, envp, strings[count + 1], in, q->stdin_len);
	if (r) {
		job->how = HOW_NOT_STARTED;
		job->status = r;
		job_end(job);
	}
}

static void take_request(char *at, char *end)
{
	struct request q = { 0 };
	size_t n = (size_t)(end - at);

	memcpy(&q, at, n < sizeof(q) ? n : sizeof(q));
	if (n >= sizeof(q) && q.op == OP_RUN) {
		run(&q, at + sizeof(q), end);
	} else if (n == 8 && q.op == OP_KILL) {
		for (struct job *job = jobs, *next; job; job = next) {
			next = job->next;
			if (job->id != q.id)
				continue;
			job_kill(job);
			if (job->pidfd < 0)
				job_end(job); /* only its output was waited for */
		}
	} else {
		_exit(2);
	}
}

/* Reads what the daemon has sent, and does what is whole of it. */
static void take_requests(void)
{
	static char *buf;
	static size_t have, size;
	uint32_t length;
	size_t at = 0;
	ssize_t n;

	if (size - have < 4096) {
		char *grown = realloc(buf, size ? size * 2 : 16384);

		if (!grown)
			return; /* later, when a job has given back what it had */
		buf = grown;
		size = size ? size * 2 : 16384;
	}
	n = read(STDIN_FILENO, buf + have, size - have);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0)
		_exit(0);
	have += (size_t)n;
	while (have - at >= sizeof(length)) {
		memcpy(&length, buf + at, sizeof(length));
		if (length > FRAME_MAX_BYTES)
			_exit(2);
		if (have - at - sizeof(length) < length)
			break;
		take_request(buf + at + sizeof(length), buf + at + sizeof(length) + length);
		at += sizeof(length) + length;
	}
	have -= at;
	memmove(buf, buf + at, have);
}

/* After poll: `fds` has the job's pidfd and outputs, in that order. */
static void job_look(struct job *job, const struct pollfd fds[3], int64_t now)
{
	for (int i = 0; i < 2; i++)
		if (fds[1 + i].revents && job->out[i].fd >= 0)
			output_read(job, i);
	if (fds[0].revents)
		job_reap(job);
	if (job->pidfd >= 0)
		return;
	if ((job->out[0].fd < 0 && job->out[1].fd < 0) || (job->drain_until_ms && now >= job->drain_until_ms))
		job_end(job);
}

int main(void)
{
	static struct pollfd fds[1 + 3 * JOBS_MAX];
	struct err e;

	if (io_open_stdio(&e) < 0)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_DUMPABLE, 0);
	if (chdir("/") < 0)
		return 1;
	for (;;) {
		nfds_t n = 1;
		int timeout = -1;

		fds[0] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
		for (const struct job *job = jobs; job; job = job->next) {
			fds[n++] = (struct pollfd){ .fd = job->pidfd, .events = POLLIN };
			fds[n++] = (struct pollfd){ .fd = job->out[0].fd, .events = POLLIN };
			fds[n++] = (struct pollfd){ .fd = job->out[1].fd, .events = POLLIN };
			if (job->drain_until_ms)
				timeout = DRAIN_MS / 10;
		}
		if (poll(fds, n, timeout) < 0 && errno != EINTR)
			return 1;
		n = 1;
		for (struct job *job = jobs, *next; job; job = next, n += 3) {
			next = job->next;
			job_look(job, &fds[n], now_ms());
		}
		if (fds[0].revents)
			take_requests();
	}
}
