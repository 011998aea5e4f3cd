/* SPDX-License-Identifier: Apache-2.0 */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"

static const char *const kind_names[] = {
	"internal",	      "invalid-argument", "not-found",	       "already-exists", "failed-precondition",
	"resource-exhausted", "unavailable",	  "deadline-exceeded", "unimplemented",
};

const char *error_kind_name(enum error_kind kind)
{
	return kind_names[kind];
}

enum error_kind error_kind_of(int code)
{
	switch (code) {
	case ENOSPC:
	case EDQUOT:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case EAGAIN:
		return KIND_RESOURCE_EXHAUSTED;
	case ETIMEDOUT:
		return KIND_DEADLINE_EXCEEDED;
	case ESRCH: /* the process that it was about ended meanwhile */
		return KIND_FAILED_PRECONDITION;
	default:
		return KIND_INTERNAL;
	}
}

static struct child *children;
static int unreported; /* runners whose report is still to come */

struct runner {
	struct watch watch;
	struct timer limit;
	struct child child;
	bool reaped, timed_out;
	size_t have; /* bytes of report and body received */
	int fd;
	struct runner_report report;
	struct text body;
	runner_done done; /* NULL once called */
	void *owner;
};

void child_add(struct child *c, pid_t pid, void (*exited)(struct child *c, int status, int64_t at_ns))
{
	c->pid = pid;
	c->exited = exited;
	c->next = children;
	children = c;
}

void child_forget(struct child *c)
{
	for (struct child **at = &children; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			return;
		}
}

int children_count(void)
{
	int n = 0;

	for (struct child *c = children; c; c = c->next)
		n++;
	return n;
}

static void ended(struct child *c, int status)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	child_forget(c);
	c->exited(c, status, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
}

/* The first known child that has ended. Callbacks change the list, so the walk begins anew each time. */
static bool reap_known(void)
{
	for (struct child *c = children; c; c = c->next) {
		int status;

		if (waitpid(c->pid, &status, WNOHANG) == c->pid) {
			ended(c, status);
			return true;
		}
	}
	return false;
}

void children_reap(void)
{
	for (;;) {
		struct child *c = children;
		int status;
		pid_t pid;

		if (unreported) {
			if (!reap_known())
				return;
			continue;
		}
		pid = waitpid(-1, &status, WNOHANG);
		if (pid <= 0)
			return;
		while (c && c->pid != pid)
			c = c->next;
		if (c) /* else an orphan of a container, which came to us as their subreaper */
			ended(c, status);
	}
}

static void maybe_free(struct runner *r)
{
	if (!r->reaped || r->done)
		return;
	loop_timer_stop(&r->limit);
	text_free(&r->body);
	loop_free(&r->watch, r);
}

/* Tells the owner, once. */
static void report(struct runner *r)
{
	runner_done done = r->done;

	loop_close(&r->watch);
	r->done = NULL;
	unreported--;
	done(r->owner, &r->report, r->fd, &r->body);
	r->fd = -1;
	maybe_free(r);
	children_reap(); /* what it made may have ended already */
}

static void on_limit(struct timer *t)
{
	struct runner *r = container_of(t, struct runner, limit);

	r->timed_out = true;
	if (!r->reaped)
		kill(r->child.pid, SIGKILL);
}

/* The runner ended in the middle: killed, or it ran out of time. */
static void broken(struct runner *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	r->report = (struct runner_report){ .broken = true };
	r->body.len = 0;
	if (r->timed_out) {
		err_set(&r->report.e, ETIMEDOUT, "the runner took too long");
		r->report.kind = KIND_DEADLINE_EXCEEDED;
	} else {
		err_set(&r->report.e, EPROTO, "the runner ended without a report");
		r->report.killed = true;
	}
	report(r);
}

static ssize_t receive(struct runner *r, void *to, size_t len)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { to, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	ssize_t n = recvmsg(r->watch.fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (c && c->cmsg_type == SCM_RIGHTS && r->fd < 0)
		memcpy(&r->fd, CMSG_DATA(c), sizeof(int));
	return n;
}

/* Takes what is there. False: nothing more now, or all is told. */
static bool take(struct runner *r)
{
	const size_t head = sizeof(r->report);
	char chunk[4096];
	ssize_t n;

	if (r->have < head) {
		n = receive(r, (char *)&r->report + r->have, head - r->have);
	} else {
		size_t left = head + r->report.body_len - r->have;

		n = receive(r, chunk, left < sizeof(chunk) ? left : sizeof(chunk));
		if (n > 0)
			text_put(&r->body, chunk, (size_t)n);
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		broken(r);
		return false;
	}
	r->have += (size_t)n;
	if (r->have < head || r->have < head + r->report.body_len)
		return true;
	if (r->body.failed)
		err_set(&r->report.e, EFBIG, "the runner's report");
	report(r);
	return false;
}

static void on_report(struct watch *w, uint32_t events)
{
	struct runner *r = container_of(w, struct runner, watch);

	while (take(r))
		;
}

/*
 * A killed runner may have left a half-made process that still holds the socket, so the end of file
 * may never come; what it reported itself is in the socket by now.
 */
static void on_child_exit(struct child *c, int status, int64_t at_ns)
{
	struct runner *r = container_of(c, struct runner, child);

	r->reaped = true;
	if (!r->done) {
		maybe_free(r);
		return;
	}
	while (take(r))
		;
	if (r->done)
		broken(r);
}

static int compare_fds(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Closes everything above stdio but `keep` (sorted in place). */
static void close_others(int *keep, int count)
{
	unsigned int from = 3;

	qsort(keep, (size_t)count, sizeof(*keep), compare_fds);
	for (int i = 0; i < count; i++) {
		if (keep[i] < (int)from)
			continue;
		if ((unsigned int)keep[i] > from)
			sys_close_range(from, (unsigned int)keep[i] - 1, 0);
		from = (unsigned int)keep[i] + 1;
	}
	sys_close_range(from, UINT_MAX, 0);
}

/* As a program expects it after exec: no blocked or ignored signal, an ordinary umask and OOM score. */
static void ordinary_process(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);
	/* The monitor's own score is for itself; raising it is always permitted. */
	io_write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", "0");
}

static void send_report(int sock, struct runner_report *out, int fd, const struct text *body)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { out, sizeof(*out) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct err ignored;
	ssize_t n;

	if (body->failed) {
		err_set(&out->e, ENOMEM, "the answer");
		out->kind = KIND_RESOURCE_EXHAUSTED;
	}
	out->body_len = out->e.code ? 0 : (uint32_t)body->len;
	if (fd >= 0) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
	}
	n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	if (n < 0)
		return;
	if ((size_t)n < sizeof(*out) && io_write_all(sock, (char *)out + n, sizeof(*out) - (size_t)n, &ignored) < 0)
		return;
	if (out->body_len)
		io_write_all(sock, body->at, body->len, &ignored);
}

static void __attribute__((noreturn)) runner_child(int sock, runner_work work, void *arg, const int *keep, int keep_count)
{
	struct runner_report out = { 0 };
	struct text body = { 0 };
	int kept[32], count = 0, fd = -1;

	for (int i = 0; i < keep_count && count < 31; i++)
		if (keep[i] > 2)
			kept[count++] = keep[i];
	kept[count++] = sock;
	close_others(kept, count);
	ordinary_process();
	if (work(arg, &out, &fd, &body) < 0) {
		if (out.e.code == 0)
			err_set(&out.e, EIO, "runner");
		if (out.kind == KIND_INTERNAL)
			out.kind = error_kind_of(out.e.code);
	} else {
		out.e.code = 0; /* of something that was overcome */
	}
	send_report(sock, &out, fd, &body);
	_exit(0);
}

int runner_start(runner_work work, void *arg, const int *keep, int keep_count, uint64_t limit_ms, runner_done done,
		 void *owner, struct err *e)
{
	cleanup_free struct runner *r = calloc(1, sizeof(*r));
	int pair[2];
	pid_t pid;

	if (!r)
		return err_set(e, ENOMEM, "runner");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "socket to a runner");
	pid = fork();
	if (pid == 0)
		runner_child(pair[1], work, arg, keep, keep_count);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return err_set(e, errno, "fork a runner");
	}
	r->watch = (struct watch){ .fd = pair[0], .ready = on_report };
	r->limit.fire = on_limit;
	r->fd = -1;
	r->done = done;
	r->owner = owner;
	if (loop_watch(&r->watch, EPOLLIN) < 0) {
		int code = errno;

		close(pair[0]);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return err_set(e, code, "watch a runner");
	}
	child_add(&r->child, pid, on_child_exit);
	loop_timer(&r->limit, limit_ms);
	unreported++;
	take_ptr(&r);
	return 0;
}

void runner_stop(void *owner)
{
	for (struct child *c = children; c; c = c->next)
		if (c->exited == on_child_exit && container_of(c, struct runner, child)->owner == owner)
			kill(c->pid, SIGKILL);
}
