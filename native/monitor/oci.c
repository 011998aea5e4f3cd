/* SPDX-License-Identifier: Apache-2.0 */
#include "oci.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/seal.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"

/* Of a log the end is read: the reason is what a program says last. */
#define LOG_MAX (64u << 10)
/* Time for killed processes to be gone. */
#define END_LIMIT_MS 5000
/* What crun tells itself: it runs from a read-only mount of its file. */
#define OCI_CLONED "_LIBCONTAINER_CLONED_BINARY=1"

struct oci_program oci;

static int take_text(struct json_view v, const char *key, char **ret, struct err *e)
{
	char buf[PATH_MAX];

	if (json_view_string(v, buf, sizeof(buf)) <= 0)
		return err_set(e, EINVAL, "start request: \"runtime.%s\" is not a text", key);
	*ret = strdup(buf);
	return *ret ? 0 : err_set(e, ENOMEM, "start request");
}

static int take_path(struct json_view v, const char *key, char **ret, struct err *e)
{
	if (take_text(v, key, ret, e) < 0)
		return -e->code;
	return (*ret)[0] == '/' ? 0 : err_set(e, EINVAL, "start request: \"runtime.%s\" is not an absolute path", key);
}

static int take_bool(struct json_view v, const char *key, bool *ret, struct err *e)
{
	if (v.at && json_view_bool(v, ret) < 0)
		return err_set(e, EINVAL, "start request: \"runtime.%s\" is neither true nor false", key);
	return 0;
}

int oci_parse(struct json_view v, struct oci_program *ret, struct err *e)
{
	struct json_view key, value, member;
	size_t pos = 0, count = 0;

	*ret = (struct oci_program){ 0 };
	if (!v.at)
		return 0;
	if (json_view_kind(v) != '{')
		return err_set(e, EINVAL, "start request: \"runtime\" is not an object");
	ret->args = calloc(OCI_ARGS_MAX + 1, sizeof(*ret->args));
	if (!ret->args)
		return err_set(e, ENOMEM, "start request");
	if (take_path(json_view_get(v, "path"), "path", &ret->path, e) < 0 ||
	    take_path(json_view_get(v, "root"), "root", &ret->root, e) < 0)
		return -e->code;
	member = json_view_get(v, "hide");
	if (member.at && take_path(member, "hide", &ret->hide, e) < 0)
		return -e->code;
	while (json_view_next(json_view_get(v, "args"), &pos, &key, &value)) {
		if (count == OCI_ARGS_MAX)
			return err_set(e, EINVAL, "start request: \"runtime.args\" has more than %d", OCI_ARGS_MAX);
		if (take_text(value, "args", &ret->args[count++], e) < 0)
			return -e->code;
	}
	if (json_view_u64(json_view_get(v, "timeout_ms"), 600000, &ret->timeout_ms) < 0 || ret->timeout_ms == 0)
		return err_set(e, EINVAL, "start request: \"runtime.timeout_ms\" is not from 1 to 600000");
	if (take_bool(json_view_get(v, "sandboxed"), "sandboxed", &ret->sandboxed, e) < 0 ||
	    take_bool(json_view_get(v, "sealed"), "sealed", &ret->sealed, e) < 0)
		return -e->code;
	return take_bool(json_view_get(v, "systemd_cgroup"), "systemd_cgroup", &ret->systemd, e);
}

void oci_free(struct oci_program *p)
{
	for (char **a = p->args; a && *a; a++)
		free(*a);
	free(p->args);
	free(p->path);
	free(p->root);
	free(p->hide);
	*p = (struct oci_program){ 0 };
}

/* --- its words --- */

/* What the kernel's refusals look like in the words of Go, C and Rust. */
static enum error_kind kind_of(const char *text)
{
	static const struct {
		const char *part;
		enum error_kind kind;
	} table[] = {
		{ "no space left", KIND_RESOURCE_EXHAUSTED },
		{ "No space left", KIND_RESOURCE_EXHAUSTED },
		{ "annot allocate memory", KIND_RESOURCE_EXHAUSTED },
		{ "oo many open files", KIND_RESOURCE_EXHAUSTED },
		{ "temporarily unavailable", KIND_RESOURCE_EXHAUSTED },
		{ "executable file", KIND_FAILED_PRECONDITION }, /* "... not found in $PATH" */
		{ "exec format error", KIND_FAILED_PRECONDITION },
		{ "Exec format error", KIND_FAILED_PRECONDITION },
		{ "exec: ", KIND_FAILED_PRECONDITION },
		{ "error finding executable", KIND_FAILED_PRECONDITION },
		{ "o such file or directory", KIND_FAILED_PRECONDITION }, /* volumes were looked at before: it is the program */
		{ "ermission denied", KIND_FAILED_PRECONDITION },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strstr(text, table[i].part))
			return table[i].kind;
	return KIND_INTERNAL;
}

/* One line of text without what a terminal or a log could take for more than text. */
static void plain(const char *from, size_t len, char *ret, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n + 1 < size; i++) {
		unsigned char c = (unsigned char)from[i], next = i + 1 < len ? (unsigned char)from[i + 1] : 0;

		/* The control characters of ASCII, and those of Latin-1 as UTF-8 writes them. */
		ret[n++] = c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next < 0xa0) ? ' ' : from[i];
	}
	while (n && ret[n - 1] == ' ')
		n--;
	ret[n] = '\0';
}

/* {"level":"error","msg":"..."}: true, with the text, for what stopped it; a warning is none. */
static bool log_line(const char *line, size_t len, char *ret, size_t size)
{
	struct json_view v;
	char level[16], msg[2048];

	if (json_view_parse(line, len, &v) < 0 || json_view_kind(v) != '{' ||
	    json_view_string(json_view_get(v, "level"), level, sizeof(level)) < 0 ||
	    (strcmp(level, "error") != 0 && strcmp(level, "fatal") != 0 && strcmp(level, "ERROR") != 0))
		return false;
	if (json_view_string(json_view_get(v, "msg"), msg, sizeof(msg)) <= 0 &&
	    json_view_string(json_view_get(json_view_get(v, "fields"), "message"), msg, sizeof(msg)) <= 0)
		return false;
	plain(msg, strlen(msg), ret, size);
	return true;
}

/* What is JSON and no reason (a warning) is not told in its place either. */
static bool json_line(const char *line, size_t len)
{
	struct json_view v;

	return json_view_parse(line, len, &v) == 0 && json_view_kind(v) == '{';
}

void oci_reason(const char *text, size_t len, char *ret, size_t size, enum error_kind *ret_kind)
{
	bool told = false;

	ret[0] = '\0';
	for (size_t at = 0; at < len;) {
		const char *newline = memchr(text + at, '\n', len - at);
		size_t n = newline ? (size_t)(newline - text) - at : len - at;

		if (n && log_line(text + at, n, ret, size))
			told = true;
		else if (n && !told && !json_line(text + at, n))
			plain(text + at, n, ret, size);
		at += n + 1;
	}
	*ret_kind = kind_of(ret);
}

static void read_reason(const char *log, struct runner_report *report)
{
	cleanup_fd int fd = open(log, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	cleanup_free char *text = malloc(LOG_MAX);
	ssize_t n = 0;
	off_t end;

	if (fd >= 0 && text) {
		end = lseek(fd, 0, SEEK_END);
		n = pread(fd, text, LOG_MAX, end > (off_t)LOG_MAX ? end - (off_t)LOG_MAX : 0);
	}
	report->e.code = OCI_SAID;
	oci_reason(text, n > 0 ? (size_t)n : 0, report->e.step, sizeof(report->e.step), &report->kind);
}

/* --- its run --- */

static void __attribute__((noreturn)) program(const struct oci_run *run, const char *log_arg, int log, int failed)
{
	char *argv[2 * OCI_ARGS_MAX + 4], *none[] = { NULL }, *cloned[] = { (char *)(uintptr_t)OCI_CLONED, NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), n = 0, code;
	struct err ignored; /* it seals itself then */

	argv[n++] = oci.path;
	for (char **a = oci.args; *a; a++)
		argv[n++] = *a;
	argv[n++] = (char *)(uintptr_t)log_arg;
	for (const char *const *a = run->argv; *a && n < 2 * OCI_ARGS_MAX + 3; a++)
		argv[n++] = (char *)(uintptr_t)*a;
	argv[n] = NULL;
	if (!run->tty)
		setpgid(0, 0);
	if (!run->ready)
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* it must not outlive a runner that was killed */
	for (int i = 0; i < 3; i++)
		if (dup2(run->stdio[i] >= 0 ? run->stdio[i] : i == 2 ? log : null, i) < 0)
			goto out;
	if (run->tty && (setsid() < 0 || ioctl(0, TIOCSCTTY, 0) < 0))
		goto out;
	sys_close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC);
	if (oci.sealed)
		seal_exec(oci.path, argv, cloned, &ignored);
	execve(oci.path, argv, none);
out:
	code = errno;
	if (write(failed, &code, sizeof(code)) < 0)
		_exit(126);
	_exit(127);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* SIGKILL for each child that this runner has. */
static void kill_children(void)
{
	char path[64], list[4096], *at = list;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	n = io_read_small_at(AT_FDCWD, path, list, sizeof(list));
	if (n <= 0)
		return;
	for (char *end; *at; at = end) {
		long pid = strtol(at, &end, 10);

		if (end == at)
			break;
		if (pid > 1)
			kill((pid_t)pid, SIGKILL);
	}
}

/* The program, its process group, and all that became ours when their parents died, unless these are spared. */
static void end_all(pid_t pid, bool spares)
{
	uint64_t until = now_ms() + END_LIMIT_MS;

	kill(-pid, SIGKILL);
	for (;;) {
		pid_t gone = waitpid(spares ? -pid : -1, NULL, WNOHANG);

		if (gone > 0)
			continue;
		if (gone < 0 || now_ms() > until)
			return;
		if (!spares)
			kill_children();
		poll(NULL, 0, 1);
	}
}

/*
 * How long the first and the longest look at nothing lasts. In between an eighth of the time that is gone: an exec of 8 ms
 * is seen within one more. No inotify: the kernel needs 10 ms to close an instance, and a user has 128 of them.
 */
#define LOOK_MIN_MS 1
#define LOOK_MAX_MS 50

static uint64_t pause_after(uint64_t ms)
{
	uint64_t pause = ms / 8;

	return pause < LOOK_MIN_MS ? LOOK_MIN_MS : pause > LOOK_MAX_MS ? LOOK_MAX_MS : pause;
}

/* Waits for the program's end, or until it is time to look. False: over time. */
static bool wait_for(int pidfd, bool looks, uint64_t begun, uint64_t until)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	uint64_t now = now_ms(), ms = until - now, pause = looks ? pause_after(now - begun) : OCI_FOR_EVER;

	if (now >= until)
		return false;
	if (pause < ms)
		ms = pause;
	poll(&p, 1, ms > INT_MAX ? -1 : (int)ms);
	return true;
}

/* Returns true when it ended (*status) or is ready (*ended false). */
static bool follow(const struct oci_run *run, pid_t pid, int *status, bool *ended)
{
	cleanup_fd int pidfd = sys_pidfd_open(pid, 0);
	uint64_t begun = now_ms(), until = run->timeout_ms == OCI_FOR_EVER ?
						   OCI_FOR_EVER :
						   begun + (run->timeout_ms ? run->timeout_ms : oci.timeout_ms);

	for (;;) {
		siginfo_t info = { 0 };
		bool over = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;

		/* One that was ready and ended meanwhile is still the caller's to wait for. */
		if (run->ready && access(run->ready, F_OK) == 0)
			return true;
		*ended = over && waitpid(pid, status, 0) == pid;
		if (*ended)
			return true;
		if (!wait_for(pidfd, run->ready != NULL, begun, until))
			return false;
	}
}

static struct cgroup_join begin = { .v2 = -1 };

void oci_begin_in(int folder_fd)
{
	begin.v2 = folder_fd;
}

pid_t oci_fork(void)
{
	return cgroup_fork(&begin);
}

int oci_run(const struct oci_run *run, pid_t *ret_pid, struct runner_report *report)
{
	cleanup_fd int log = -1, failed = -1;
	char name[64], log_arg[80];
	int pipes[2], status = 0, code = 0;
	bool ended = false;
	pid_t pid;

	if (chdir(run->folder) < 0)
		return err_set(&report->e, errno, "enter \"%s\"", run->folder);
	snprintf(name, sizeof(name), "runtime-%d.log", (int)getpid());
	snprintf(log_arg, sizeof(log_arg), "--log=%s", name);
	log = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (log < 0 || pipe2(pipes, O_CLOEXEC) < 0)
		return err_set(&report->e, errno, "log of %s in \"%s\"", oci.path, run->folder);
	failed = pipes[0];
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = oci_fork();
	if (pid == 0)
		program(run, log_arg, log, pipes[1]);
	close(pipes[1]);
	if (pid < 0)
		return err_set(&report->e, errno, "start %s", oci.path);
	if (read(failed, &code, sizeof(code)) == (ssize_t)sizeof(code)) {
		waitpid(pid, NULL, 0);
		unlink(name);
		report->kind = KIND_FAILED_PRECONDITION;
		return err_set(&report->e, code, "runtime program %s", oci.path);
	}
	if (!follow(run, pid, &status, &ended)) {
		end_all(pid, run->spares);
		unlink(name);
		report->kind = KIND_DEADLINE_EXCEEDED;
		return err_set(&report->e, ETIMEDOUT, "%s %s did not end within %llu ms", oci.path, run->argv[0],
			       (unsigned long long)(run->timeout_ms ? run->timeout_ms : oci.timeout_ms));
	}
	if (ended && status != 0) {
		end_all(pid, run->spares);
		read_reason(name, report);
		report->killed = WIFSIGNALED(status);
		if (report->killed)
			err_set(&report->e, OCI_SAID, "it was killed by signal %d", WTERMSIG(status));
		else if (!report->e.step[0])
			err_set(&report->e, OCI_SAID, "it ended with exit code %d and said nothing", WEXITSTATUS(status));
		err_wrap(&report->e, "%s %s", oci.path, run->argv[0]);
		unlink(name);
		return -report->e.code;
	}
	unlink(name);
	if (ret_pid)
		*ret_pid = pid;
	return 0;
}
