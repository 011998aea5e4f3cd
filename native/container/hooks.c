/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks (config.md, "POSIX-platform Hooks"): each gets the state on stdin, its own arguments and
 * environment and nothing of ours; a failure ends what was under way.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "base/trace.h"
#include "container/internal.h"

/* A hook without a timeout of its own may not hold a create for ever. */
enum { DEFAULT_TIMEOUT_S = 600 };

json_t *hooks_state(const struct spec *s, const struct hook_state *state)
{
	json_t *o = json_pack("{ss ss ss ss}", "ociVersion", s->oci_version, "id", state->id, "status", state->status,
			      "bundle", state->bundle);

	if (o && ((state->pid && json_object_set_new(o, "pid", json_integer(state->pid)) < 0) ||
		  (s->annotations && json_object_set(o, "annotations", (json_t *)s->annotations) < 0))) {
		json_decref(o);
		return NULL;
	}
	return o;
}

/* The same as JSON text, allocated. */
static char *state_text(const struct spec *s, const struct hook_state *state)
{
	json_t *o = hooks_state(s, state);
	char *text = o ? json_text(o, JSON_COMPACT) : NULL;

	json_decref(o);
	return text;
}

static void __attribute__((noreturn)) run_child(const struct spec_hook *h, int in, int out)
{
	static char *none[] = { NULL };
	char *only_path[2] = { (char *)h->path, NULL };
	sigset_t all;

	sigemptyset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid(); /* so that a timeout ends the hook's children with it */
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 || chdir("/") < 0)
		_exit(126);
	sys_close_range(3, ~0U, 0);
	execve(h->path, h->args[0] ? (char **)h->args : only_path, h->env[0] ? (char **)h->env : none);
	dprintf(2, "%s\n", strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* What a hook says is told when it fails: the end of it, where the reason stands. */
struct hook_output {
	int fd;
	char text[256];
	size_t len;
};

/* False: nothing more will come. */
static bool take_output(struct hook_output *o)
{
	char piece[4096];
	ssize_t n = read(o->fd, piece, sizeof(piece));
	size_t fresh, kept;

	if (n <= 0)
		return n < 0 && (errno == EINTR || errno == EAGAIN);
	fresh = (size_t)n < sizeof(o->text) - 1 ? (size_t)n : sizeof(o->text) - 1;
	kept = o->len < sizeof(o->text) - 1 - fresh ? o->len : sizeof(o->text) - 1 - fresh;
	memmove(o->text, o->text + o->len - kept, kept);
	memcpy(o->text + kept, piece + (size_t)n - fresh, fresh);
	o->len = kept + fresh;
	o->text[o->len] = '\0';
	return true;
}

/* `: "what it said"` in one line, or nothing. */
static const char *said(struct hook_output *o, char *buf, size_t size)
{
	struct pollfd p = { .fd = o->fd, .events = POLLIN };

	/* A child that it left behind may hold the other end: only what is there now. */
	while (poll(&p, 1, 0) > 0 && take_output(o))
		;
	while (o->len && (unsigned char)o->text[o->len - 1] <= ' ')
		o->text[--o->len] = '\0';
	for (size_t i = 0; i < o->len; i++)
		if ((unsigned char)o->text[i] < ' ')
			o->text[i] = ' ';
	snprintf(buf, size, o->len ? ": \"%s\"" : "", o->text);
	return buf;
}

/* Feeds the state and waits for the end; both within the time. A hook that does not read is no error. */
static int attend(int pidfd, int pipe_fd, struct hook_output *output, const char *text, int64_t timeout_s)
{
	cleanup_fd int out = pipe_fd;
	int64_t deadline = now_ms() + (timeout_s ? timeout_s : DEFAULT_TIMEOUT_S) * 1000;
	struct pollfd p[3] = { { .fd = pidfd, .events = POLLIN }, { .fd = out, .events = POLLOUT },
			       { .fd = output->fd, .events = POLLIN } };
	size_t left = strlen(text);

	for (;;) {
		int64_t rest = deadline - now_ms();
		int n = poll(p, 3, rest > 0 ? (int)rest : 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ETIMEDOUT;
		if (p[0].revents)
			return 0;
		if (p[2].revents && !take_output(output))
			p[2].fd = -1;
		if (out >= 0 && (p[1].revents & POLLOUT)) {
			ssize_t w = write(out, text, left);

			if (w > 0) {
				text += w;
				left -= (size_t)w;
			}
		}
		if (out >= 0 && (!left || (p[1].revents & POLLERR))) {
			close(take_fd(&out)); /* end of file: the hook has it all */
			p[1].fd = -1;
		}
	}
}

/* What became of the hook as an error; r: of attend. */
static int judge(const struct spec_hook *h, const char *kind, int r, int status, struct hook_output *output,
		 struct err *e)
{
	char text[sizeof(output->text) + 8];

	if (r == -ETIMEDOUT)
		return err_set(e, ETIMEDOUT, "%s hook %.150s: not done in time%s", kind, h->path, said(output, text, sizeof(text)));
	if (r < 0)
		return err_set(e, -r, "%s hook %.150s", kind, h->path);
	if (WIFSIGNALED(status))
		return err_set(e, ECANCELED, "%s hook %.150s: ended by signal %d%s", kind, h->path, WTERMSIG(status),
			       said(output, text, sizeof(text)));
	if (WEXITSTATUS(status))
		return err_set(e, ECANCELED, "%s hook %.150s: exit status %d%s", kind, h->path, WEXITSTATUS(status),
			       said(output, text, sizeof(text)));
	return 0;
}

static int run_one(const struct spec_hook *h, const char *kind, const char *text, struct err *e)
{
	int in[2], out[2], r, status = 0;
	cleanup_fd int pidfd = -1, listen = -1;
	struct hook_output output = { .fd = -1 };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old;
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) < 0)
		return err_set(e, errno, "%s hook %s: pipe", kind, h->path);
	if (pipe2(out, O_CLOEXEC) < 0) {
		r = err_set(e, errno, "%s hook %s: pipe", kind, h->path);
		close(in[0]);
		close(in[1]);
		return r;
	}
	fcntl(in[1], F_SETFL, O_NONBLOCK);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	pid = fork();
	if (pid == 0)
		run_child(h, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	listen = output.fd = out[0];
	if (pid < 0) {
		r = err_set(e, errno, "%s hook %s: fork", kind, h->path);
		close(in[1]);
		return r;
	}
	pidfd = sys_pidfd_open(pid, 0);
	sigaction(SIGPIPE, &ignore, &old);
	if (pidfd < 0) {
		r = -errno;
		close(in[1]);
	} else {
		r = attend(pidfd, in[1], &output, text, h->timeout_s);
	}
	sigaction(SIGPIPE, &old, NULL);
	if (r < 0) {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return judge(h, kind, r, status, &output, e);
}

static void trace_hook(const struct spec_hook *h, const char *kind, int r)
{
	char what[300];

	if (trace_fd < 0)
		return;
	snprintf(what, sizeof(what), "%s %s", kind, h->path);
	trace_write("hook", what, r < 0);
}

int hooks_run(const struct spec *s, enum spec_hook_kind kind, const struct hook_state *state, struct err *e)
{
	const struct spec_hooks *hooks = &s->hooks[kind];
	cleanup_free char *text = NULL;
	int first = 0;

	if (!hooks->count)
		return 0;
	text = state_text(s, state);
	if (!text)
		return err_set(e, ENOMEM, "state for %s hooks", spec_hook_names[kind]);
	for (size_t i = 0; i < hooks->count; i++) {
		struct err one = { 0 };
		int r = run_one(&hooks->list[i], spec_hook_names[kind], text, &one);

		trace_hook(&hooks->list[i], spec_hook_names[kind], r);
		if (r < 0 && !first) {
			first = r;
			*e = one;
		}
		/* After poststop's failure the others still run (runtime.md, "Lifecycle", 13). */
		if (r < 0 && kind != HOOK_POSTSTOP)
			return r;
	}
	return first;
}

int container_hooks(const char *spec_path, const char *kind, const char *id, const char *bundle, const char *status,
		    pid_t pid, struct err *e)
{
	struct hook_state state = { .id = id, .bundle = bundle, .status = status, .pid = pid };
	struct spec s;
	int r = spec_load(spec_path, &s, e);

	if (r < 0)
		return r;
	for (int k = 0; k < HOOK_KINDS; k++)
		if (!strcmp(kind, spec_hook_names[k]))
			r = hooks_run(&s, (enum spec_hook_kind)k, &state, e);
	spec_free(&s);
	return r;
}
