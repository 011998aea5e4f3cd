/* SPDX-License-Identifier: Apache-2.0 */
/* What run, exec and restore do around a process: descriptors, pid file, terminal, waiting. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/json.h"
#include "base/sys.h"
#include "base/trace.h"
#include "runtime/commands.h"
#include "runtime/log.h"

enum { MAX_FDS = 1 << 16, TERMINAL_BUFFER = 16 << 10 };

int preserve_fds(const struct options *o, bool listen, struct preserved *ret, struct err *e)
{
	const char *count = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
	int64_t wanted = 0, listening = 0;

	memset(ret, 0, sizeof(*ret));
	if (option_number("preserve-fds", o->preserve_fds, 0, MAX_FDS, &wanted, e) < 0)
		return -e->code;
	/* Meant for this process and no other (sd_listen_fds(3)). */
	if (listen && count && pid && strtol(pid, NULL, 10) == getpid()) {
		if (option_number("LISTEN_FDS", count, 0, MAX_FDS, &listening, e) < 0)
			return err_wrap(e, "environment");
		if (listening)
			snprintf(ret->listen, sizeof(ret->listen), "LISTEN_FDS=%d", (int)listening);
	}
	ret->count = (int)(wanted + listening);
	for (int fd = 3; fd < 3 + ret->count; fd++) {
		bool ours = log_has(fd) || fd == trace_fd;
		int flags = ours ? -1 : fcntl(fd, F_GETFD);

		if (ours)
			errno = EBADF;
		if (flags < 0 || fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC) < 0)
			return err_set(e, errno, "descriptor %d of the %d to preserve", fd, ret->count);
	}
	return 0;
}

static int write_pid_file(const char *path, int pid, struct err *e)
{
	cleanup_free char *copy = path ? strdup(path) : NULL;
	cleanup_fd int dir = -1;
	char text[16], *slash;

	if (!path)
		return 0;
	slash = copy ? strrchr(copy, '/') : NULL;
	if (slash)
		*slash = '\0';
	dir = open(!slash ? "." : slash == copy ? "/" : copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_set(e, errno, "pid file \"%s\"", path);
	snprintf(text, sizeof(text), "%d", pid);
	return io_write_atomic_at(dir, slash ? slash + 1 : path, text, strlen(text), 0644, e);
}

static int connect_to(const char *what, const char *path, int *ret_fd, struct err *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_fd int fd = -1;

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(e, ENAMETOOLONG, "%s socket \"%s\"", what, path);
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_set(e, errno, "%s socket \"%s\"", what, path);
	*ret_fd = take_fd(&fd);
	return 0;
}

int console_endpoint(const struct options *o, const char *what, bool terminal, bool detach, int *ret_console, int *ret_peer,
		     struct err *e)
{
	int pair[2];

	*ret_console = -1;
	if (!terminal)
		return o->console_socket ? err_set(e, EINVAL, "option --console-socket: the process has no terminal") : 0;
	if (o->console_socket)
		return connect_to("console", o->console_socket, ret_console, e);
	if (detach)
		return err_set(e, EINVAL, "%s: nobody takes the terminal, give --console-socket", what);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "socket pair for the terminal");
	*ret_peer = pair[0];
	*ret_console = pair[1];
	return 0;
}

int announce(const struct options *o, pid_t pid, struct err *e)
{
	cleanup_fd int sock = -1, pidfd = -1;

	if (o->pidfd_socket) {
		if (connect_to("pidfd", o->pidfd_socket, &sock, e) < 0)
			return -e->code;
		pidfd = sys_pidfd_open(pid, 0);
		if (pidfd < 0)
			return err_set(e, errno, "pidfd of process %d", (int)pid);
		if (io_send_fd(sock, pidfd, e) < 0)
			return err_wrap(e, "pidfd socket \"%s\"", o->pidfd_socket);
	}
	return write_pid_file(o->pid_file, pid, e);
}

/* --- waiting ------------------------------------------------------------------------------------------ */

static int exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void give_terminal_size(int master)
{
	struct winsize size;

	if (ioctl(0, TIOCGWINSZ, &size) == 0)
		ioctl(master, TIOCSWINSZ, &size);
}

/* One piece from one side to the other. False: the source has ended. */
static bool pump(int from, int to)
{
	char buf[TERMINAL_BUFFER];
	struct err ignored;
	ssize_t n = read(from, buf, sizeof(buf));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	return n > 0 && io_write_all(to, buf, (size_t)n, &ignored) == 0;
}

/* True when the process has ended; orphans that became ours are reaped on the way. */
static bool reap(pid_t pid, int *ret_status)
{
	bool ended = false;
	int status;
	pid_t got;

	while ((got = waitpid(-1, &status, WNOHANG)) > 0)
		if (got == pid) {
			*ret_status = status;
			ended = true;
		}
	if (got < 0 && errno == ECHILD && !ended)
		*ret_status = 255 << 8; /* somebody else has reaped it */
	return ended || (got < 0 && errno == ECHILD);
}

static void handle_signals(int signals, pid_t pid, int master, bool *ret_child)
{
	struct signalfd_siginfo info;

	while (read(signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			*ret_child = true;
		else if (info.ssi_signo == SIGWINCH && master >= 0)
			give_terminal_size(master);
		else if (info.ssi_signo != SIGPIPE && info.ssi_signo != SIGURG)
			kill(pid, (int)info.ssi_signo);
	}
}

/* What the program wrote last, after its end. */
static void drain(int master)
{
	struct pollfd p = { .fd = master, .events = POLLIN };

	while (poll(&p, 1, 0) > 0 && (p.revents & POLLIN) && pump(master, 1))
		;
}

/* All but what says that we are broken ourselves. */
static sigset_t passed_on(void)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGABRT);
	return all;
}

static sigset_t callers_mask;
static bool holding;

void hold_signals(void)
{
	sigset_t all = passed_on();

	holding = sigprocmask(SIG_BLOCK, &all, &callers_mask) == 0;
}

void release_signals(void)
{
	if (holding)
		sigprocmask(SIG_SETMASK, &callers_mask, NULL);
	holding = false;
}

int attend_process(pid_t pid, int master)
{
	cleanup_fd int signals = -1;
	struct termios before;
	bool raw = master >= 0 && tcgetattr(0, &before) == 0, child = true;
	sigset_t all = passed_on();
	int status = 255 << 8;

	if (!holding)
		hold_signals();
	signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (raw) {
		struct termios now = before;

		cfmakeraw(&now);
		now.c_oflag |= OPOST; /* our own messages still end their lines */
		tcsetattr(0, TCSANOW, &now);
		give_terminal_size(master);
	}
	for (struct pollfd p[3] = { { .fd = signals, .events = POLLIN }, { .fd = master, .events = POLLIN },
				    { .fd = master >= 0 ? 0 : -1, .events = POLLIN } };;) {
		/* Asked before the first wait: it may have ended before the signal was blocked. */
		if (child && reap(pid, &status))
			break;
		child = signals < 0;
		if (poll(p, 3, signals < 0 ? 50 : -1) < 0 && errno != EINTR)
			break;
		if (p[0].revents)
			handle_signals(signals, pid, master, &child);
		if (p[1].revents && !pump(master, 1))
			p[1].fd = -1; /* nobody holds the other end */
		if (p[2].revents && !pump(0, master))
			p[2].fd = -1;
	}
	if (master >= 0)
		drain(master);
	if (raw)
		tcsetattr(0, TCSANOW, &before);
	release_signals();
	return exit_code(status);
}

int print_json(json_t *value, size_t flags, const char *end, struct err *e)
{
	cleanup_free char *text = value ? json_text(value, flags) : NULL;

	json_decref(value);
	if (!text)
		return err_set(e, ENOMEM, "print JSON");
	if (printf("%s%s", text, end) < 0 || fflush(stdout) != 0)
		return err_set(e, errno, "write to stdout");
	return 0;
}
