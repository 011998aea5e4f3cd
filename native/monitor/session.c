/* SPDX-License-Identifier: Apache-2.0 */
/* Execs and attaches: a connection that became a stream, and the process or container at its other end. */
#include "session_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cgroup/cgroup.h"
#include "monitor/member_oci.h"
#include "monitor/shim.h"

/* Longest frame that is sent, so that streams of one connection take turns. */
#define FRAME_MAX PUMP_MAX
/* What a pipe holds once much goes through it: the kernel's 64 KiB make its two ends wait for each other. */
#define BUSY_PIPE (256 * 1024)
/* Reading of a process' output in one turn of the loop. */
#define TURN_MAX (8 * FRAME_MAX)
/* An attached client that has taken nothing at so many looks in a row is cut off: it holds up the container. */
#define ATTACH_STALL_LOOKS 5
#define ATTACH_LOOK_MS 1000
/* Where FIONREAD says nothing (ptys): how much is read after the end at most. */
#define DRAIN_MAX (1u << 20)

/* The cgroup of an exec that is over. */
struct leftover {
	struct timer retry;
	uint64_t wait_ms;
	char cgroup[];
};

/*
 * Tried a few times: the kernel counts a process as present until it was switched away from for good,
 * which its parent may hear of before. What children of the exec keep busy goes with the container.
 */
static void remove_leftover(struct timer *t)
{
	struct leftover *l = container_of(t, struct leftover, retry);
	struct err e;

	if (cgroup_remove_sub(l->cgroup, &e) < 0 && l->wait_ms <= 256) {
		l->wait_ms *= 4;
		loop_timer(&l->retry, l->wait_ms);
	} else {
		free(l);
	}
}

static void remove_cgroup(const char *path)
{
	size_t size = strlen(path) + 1;
	struct leftover *l;
	struct err e;

	if (cgroup_remove_sub(path, &e) == 0)
		return;
	l = malloc(sizeof(*l) + size);
	if (!l)
		return;
	*l = (struct leftover){ .retry.fire = remove_leftover, .wait_ms = 1 };
	memcpy(l->cgroup, path, size);
	loop_timer(&l->retry, l->wait_ms);
}

/*
 * One is left for the next exec, which saves what it costs to make it and to remove it. Not of an exec that came to
 * nothing or was killed: the kernel (6.18) kills whoever is cloned into a cgroup that cgroup.kill was ever written to.
 */
static void give_back_cgroup(struct session *s)
{
	struct exec_cgroup *c = &s->cgroup, *spare = &s->member->spare;
	bool good = s->ended && WIFEXITED(s->status) && !s->killed && s->member->join && !spare->path;

	if (!c->path)
		return;
	if (c->fd < 0 && good)
		c->fd = cgroup_open_sub(c->path);
	if (c->fd >= 0 && good && cgroup_sub_idle(c->fd)) {
		*spare = *c;
	} else {
		if (c->fd >= 0)
			close(c->fd);
		remove_cgroup(c->path);
		free(c->path);
	}
	*c = (struct exec_cgroup){ NULL, -1 };
}

/* The slowest of those attached sets the pace. */
static void resume_output(struct member *m)
{
	for (const struct session *s = m->sessions; s; s = s->next)
		if (!s->is_exec && s->conn && conn_blocked(s->conn))
			return;
	output_pause(m, false);
}

/* May be called twice: a broken connection ends a session in the middle of a send. */
void session_end(struct session *s)
{
	if (s->forgotten)
		return;
	s->forgotten = true;
	for (struct session **at = &s->member->sessions; *at; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			break;
		}
	loop_timer_stop(&s->limit);
	loop_timer_stop(&s->answer_due);
	loop_timer_stop(&s->in_taken);
	loop_close(&s->in);
	loop_close(&s->out[0].watch);
	loop_close(&s->out[1].watch);
	give_back_cgroup(s);
	if (s->external)
		fifos_remove(s->member->bundle, s->external);
	free(s->external);
	s->external = NULL;
	if (!s->is_exec)
		resume_output(s->member);
	loop_free(&s->in, s);
}

/* --- the client's side --- */

/* With the answer to the request, if it is still to come. */
static void send_frame(struct session *s, uint8_t stream, const char *bytes, size_t len)
{
	struct conn *c = s->conn;

	if (!s->reply) {
		conn_frame(c, stream, bytes, len);
		return;
	}
	conn_cork(c);
	session_answer(s);
	conn_frame(c, stream, bytes, len);
	conn_uncork(c);
}

/* The last frame; then the connection closes once all is sent. `more`: further members of the object. */
static void send_status(struct session *s, int status, const char *more)
{
	cleanup_text struct text t = { 0 };
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	text_fmt(&t, "{\"exit_code\":%d,\"signal\":%d,\"timed_out\":%s%s}", sig ? 128 + sig : WEXITSTATUS(status), sig,
		 s->timed_out ? "true" : "false", more);
	send_frame(s, STREAM_STATUS, t.at, t.len);
	if (s->conn && s->again) /* still: sending may have found it broken */
		conn_return(s->conn);
	else if (s->conn)
		conn_finish(s->conn);
	s->conn = NULL;
}

/* Once for each pipe that was full. Best effort: a terminal is none, and root's pipes may be too many. */
static void widen(int fd, bool *wide)
{
	if (*wide)
		return;
	*wide = true;
	fcntl(fd, F_SETPIPE_SZ, BUSY_PIPE);
}

static struct watch *input_of(struct session *s)
{
	return s->is_exec ? &s->in : &s->member->in;
}

static void on_stdin_writable(struct watch *w, uint32_t events)
{
	struct session *s = container_of(w, struct session, in);

	loop_pause(w); /* also when the reader is gone: the next write tells */
	if (s->conn)
		conn_resume_input(s->conn);
}

static void on_member_stdin_writable(struct watch *w, uint32_t events)
{
	struct member *m = container_of(w, struct member, in);

	loop_pause(w);
	for (struct session *s = m->sessions, *next; s; s = next) {
		next = s->next;
		if (!s->is_exec && s->conn)
			conn_resume_input(s->conn);
	}
}

static size_t take_stdin(void *arg, const char *bytes, size_t len)
{
	struct session *s = arg;
	struct watch *in = input_of(s);
	size_t done = 0;

	if (s->forgotten || (!s->is_exec && !s->with_stdin))
		return len; /* who asked for output alone has no say */
	while (done < len && in->fd >= 0) {
		ssize_t n = write(in->fd, bytes + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (s->is_exec)
				widen(in->fd, &s->in_wide);
			in->ready = s->is_exec ? on_stdin_writable : on_member_stdin_writable;
			loop_watch(in, EPOLLOUT);
			return done;
		}
		if (n < 0)
			loop_close(in); /* nobody reads it any more: the rest is dropped */
		else
			done += (size_t)n;
	}
	return len;
}

/*
 * What the end of an attach's input means to the container: with stdin_once its first client is its
 * last, whether it says goodbye or just goes (api.proto, ContainerConfig.stdin_once). A terminal
 * can't be closed in one direction.
 */
static void end_member_stdin(struct session *s)
{
	if (!s->with_stdin || !s->member->stdin_once || s->member->tty)
		return;
	if (s->member->external)
		session_close_stdin(s->member);
	loop_close(&s->member->in);
}

void session_close_stdin(struct member *m)
{
	cleanup_text struct text t = { 0 };

	if (m->stdin_closed)
		return;
	m->stdin_closed = true;
	text_str(&t, "{\"container\":");
	text_json(&t, m->id);
	text_str(&t, "}");
	conn_event("stdin_closed", &t);
}

static void end_stdin(void *arg)
{
	struct session *s = arg;

	if (s->forgotten)
		return;
	if (s->is_exec) {
		if (s->external)
			session_external_end_input(s);
		else if (!s->tty) /* closing a terminal would hang up on its session */
			loop_close(&s->in);
	} else if (s->with_stdin && !s->member->stdin_once) {
		/* Its input goes on for others: who has said all detaches, as from containerd and CRI-O. */
		if (s->conn)
			send_status(s, 0, ",\"detached\":true");
		session_end(s);
	} else {
		end_member_stdin(s);
	}
}

static bool take_resize(void *arg, const char *json, size_t len)
{
	struct session *s = arg;
	int fd = s->is_exec ? s->out[0].watch.fd : s->member->out[0].watch.fd;
	struct winsize size = { 0 };

	if (!stream_resize_size(json, len, &size.ws_col, &size.ws_row))
		return false;
	if (fd >= 0 && (s->is_exec ? s->tty : s->member->tty))
		ioctl(fd, TIOCSWINSZ, &size);
	return true;
}

static ssize_t on_input(struct stream *stream, const char *bytes, size_t len)
{
	struct session *s = container_of(stream, struct session, stream);

	if (s->again)
		return -1; /* it has no input, and what belongs to the next request can't be told from it */
	return stream_parse(&s->parser, &s->sink, bytes, len);
}

static void on_input_end(struct stream *stream)
{
	end_stdin(container_of(stream, struct session, stream));
}

void session_kill(struct session *s)
{
	struct err ignored;

	s->killed = true;
	if (s->cgroup.path)
		cgroup_kill_all(s->cgroup.path, &ignored);
	else if (s->running && oci.sandboxed && s->is_exec) {
		oci_kill_exec(s->member, s->number); /* the program ends with what it stands for */
		return;
	} else if (s->running && oci.path)
		oci_kill_tree(s->member, s->child.pid);
	if (s->running && !s->external) /* an external one is killed by the shim, whom the daemon asks */
		kill(s->child.pid, SIGKILL); /* our child, not reaped: nobody else's pid */
}

static void on_gone(struct stream *stream)
{
	struct session *s = container_of(stream, struct session, stream);

	s->conn = NULL;
	loop_timer_stop(&s->answer_due);
	free(s->reply);
	s->reply = NULL;
	if (!s->is_exec) {
		end_member_stdin(s);
		session_end(s);
		return;
	}
	loop_close(&s->in);
	loop_close(&s->out[0].watch);
	loop_close(&s->out[1].watch);
	session_kill(s);
	if (!s->running)
		session_end(s);
}

/* --- the process' side --- */

/* Reads once and sends it on. False: nothing there now, or the stream has ended. */
static bool relay(struct session_out *o, size_t most)
{
	struct session *s = o->session;
	char *bytes = pump_buffer();
	ssize_t n = read(o->watch.fd, bytes, most < FRAME_MAX ? most : FRAME_MAX);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		loop_close(&o->watch);
		o->drain = 0;
		if (s->external)
			session_external_output(s, true);
		return false;
	}
	if (n == FRAME_MAX)
		widen(o->watch.fd, &o->wide);
	o->drain = o->drain > (size_t)n ? o->drain - (size_t)n : 0;
	pump_used((size_t)n);
	send_frame(s, o->stream, bytes, (size_t)n);
	if (s->conn && s->external)
		session_external_output(s, false);
	return s->conn != NULL;
}

static void pause_reading(struct session *s)
{
	loop_pause(&s->out[0].watch);
	loop_pause(&s->out[1].watch);
}

/* After the process: what it had written is sent, then the status. What background children write is not. */
void session_finish(struct session *s)
{
	s->finishing = true;
	for (int i = 0; i < 2; i++) {
		struct session_out *o = &s->out[i];

		while (o->watch.fd >= 0 && o->drain) {
			if (conn_blocked(s->conn)) {
				pause_reading(s);
				return; /* on_writable comes back here */
			}
			if (!relay(o, o->drain))
				break;
			if (!s->conn)
				return; /* on_gone ended the session */
		}
	}
	send_status(s, s->status, "");
	session_end(s);
}

static void on_out(struct watch *w, uint32_t events)
{
	struct session_out *o = container_of(w, struct session_out, watch);
	struct session *s = o->session;

	for (size_t turn = 0; turn < TURN_MAX; turn += FRAME_MAX) {
		if (conn_blocked(s->conn)) {
			pause_reading(s);
			return;
		}
		if (!relay(o, FRAME_MAX))
			return;
	}
}

static void on_writable(struct stream *stream)
{
	struct session *s = container_of(stream, struct session, stream);

	if (!s->is_exec) {
		loop_timer_stop(&s->limit);
		resume_output(s->member);
	} else if (s->ended && !(s->external && s->limit.armed)) {
		session_finish(s);
	} else {
		for (int i = 0; i < 2; i++)
			if (s->out[i].watch.fd >= 0)
				loop_watch(&s->out[i].watch, EPOLLIN);
	}
}

void session_child_exited(struct child *c, int status, int64_t at_ns)
{
	struct session *s = container_of(c, struct session, child);

	s->running = false;
	s->ended = true;
	s->status = status;
	/* The program ends by no signal of its own: what it stood for in the sandbox is still there. */
	if (oci.sandboxed && WIFSIGNALED(status) && s->member->state == MEMBER_RUNNING)
		oci_kill_exec(s->member, s->number);
	loop_timer_stop(&s->limit);
	loop_close(&s->in);
	if (!s->conn) {
		session_end(s);
		return;
	}
	pause_reading(s);
	for (int i = 0; i < 2; i++) {
		int available = 0;

		if (s->out[i].watch.fd < 0)
			continue;
		s->out[i].drain = DRAIN_MAX;
		if (!s->tty)
			s->out[i].drain = ioctl(s->out[i].watch.fd, FIONREAD, &available) == 0 && available > 0 ?
						  (size_t)available :
						  0;
	}
	session_finish(s);
}

/*
 * Looks whether an attached client that output waits for has taken some of it. Its input stays open when it is cut
 * off: the client did not disconnect, and an end of file would make what it has sent so far pass for the whole.
 */
static void look_at_attach(struct session *s)
{
	size_t unread = conn_unread(s->conn);

	s->idle_looks = unread < s->unread ? 0 : s->idle_looks + 1;
	s->unread = unread;
	if (s->idle_looks < ATTACH_STALL_LOOKS) {
		loop_timer(&s->limit, ATTACH_LOOK_MS);
		return;
	}
	conn_drop(s->conn);
	s->conn = NULL;
	session_end(s);
}

static void on_limit(struct timer *t)
{
	struct session *s = container_of(t, struct session, limit);

	if (s->external) {
		s->out[0].drain = s->out[1].drain = DRAIN_MAX;
		session_finish(s);
		return;
	}
	if (s->is_exec) {
		s->timed_out = true;
		session_kill(s);
		return;
	}
	look_at_attach(s);
}

static void on_answer_due(struct timer *t)
{
	session_answer(container_of(t, struct session, answer_due));
}

struct session *session_new(struct member *m, struct reply *r, bool is_exec)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->stream = (struct stream){ on_input, on_input_end, on_writable, on_gone };
	s->sink = (struct stream_sink){ take_stdin, end_stdin, take_resize, s };
	s->member = m;
	s->reply = r;
	s->conn = r->conn;
	s->is_exec = is_exec;
	s->in.fd = -1;
	s->cgroup.fd = -1;
	for (int i = 0; i < 2; i++) {
		s->out[i].session = s;
		s->out[i].stream = i == 0 ? STREAM_STDOUT : STREAM_STDERR;
		s->out[i].watch = (struct watch){ .fd = -1, .ready = on_out };
	}
	s->limit.fire = on_limit;
	s->answer_due.fire = on_answer_due;
	s->next = m->sessions;
	m->sessions = s;
	return s;
}

void session_output(struct member *m, enum cri_stream stream, const char *bytes, size_t len)
{
	for (struct session *s = m->sessions, *next; s; s = next) {
		next = s->next;
		if (s->is_exec || !s->conn)
			continue;
		conn_frame(s->conn, stream == CRI_STDOUT ? STREAM_STDOUT : STREAM_STDERR, bytes, len);
		if (s->conn && conn_blocked(s->conn)) {
			output_pause(m, true);
			if (s->limit.armed)
				continue;
			s->unread = conn_unread(s->conn);
			s->idle_looks = 0;
			loop_timer(&s->limit, ATTACH_LOOK_MS);
		}
	}
}

void session_member_exited(struct member *m)
{
	int status = m->signal ? m->signal : m->exit_code << 8; /* as wait(2) packs it */

	for (struct session *s = m->sessions, *next; s; s = next) {
		next = s->next;
		if (s->external && s->running) /* it ended with its container, whatever the shim still says */
			session_external_exited(m, s->external, 128 + SIGKILL);
		if (s->is_exec)
			continue;
		if (s->conn)
			send_status(s, status, "");
		session_end(s);
	}
}

bool session_member_deleted(struct member *m)
{
	bool execs = false;

	for (struct session *s = m->sessions, *next; s; s = next) {
		next = s->next;
		if (s->is_exec) {
			if (s->external) { /* the shim ends it, and has no more to say of it */
				if (s->conn)
					conn_drop(s->conn);
				s->conn = NULL;
				session_end(s);
				continue;
			}
			execs = true;
			if (s->running)
				session_kill(s);
		} else {
			if (s->conn)
				conn_drop(s->conn);
			s->conn = NULL;
			session_end(s);
		}
	}
	return execs;
}
