/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/json.h"
#include "base/sys.h"
#include "container/container.h"
#include "runtime/commands.h"
#include "runtime/state.h"
#include "spec/spec.h"

/* "1000" or "1000:100", whole and in range. */
static int parse_user(const char *text, json_t *user, struct err *e)
{
	const char *p = text;

	for (int i = 0; i < 2; i++) {
		uint64_t id = 0;
		size_t len = strspn(p, "0123456789");

		if (!len || len > 10)
			return err_set(e, EINVAL, "user \"%.40s\": not UID[:GID]", text);
		id = strtoull(p, NULL, 10);
		if (id >= UINT32_MAX)
			return err_set(e, EINVAL, "user \"%.40s\": out of range", text);
		json_object_set_new(user, i ? "gid" : "uid", json_integer((json_int_t)id));
		p += len;
		if (!*p)
			return 0;
		if (*p++ != ':' || i)
			break;
	}
	return err_set(e, EINVAL, "user \"%.40s\": not UID[:GID]", text);
}

/* The container's own process object with what the command line changes. */
static int process_from_options(const struct options *o, const struct state *s, char **ret, struct err *e)
{
	json_t *process, *args = json_array(), *env;
	struct spec spec;
	int r = 0;

	if (spec_load(s->config, &spec, e) < 0) {
		json_decref(args);
		return -e->code;
	}
	process = json_deep_copy(json_object_get(spec.doc, "process"));
	spec_free(&spec);
	if (!process || !args) {
		json_decref(args);
		json_decref(process);
		return err_set(e, ENOMEM, "process of the exec");
	}
	for (char **a = o->args; *a; a++)
		json_array_append_new(args, json_string(*a));
	json_object_set_new(process, "args", args);
	json_object_set_new(process, "terminal", json_boolean(o->tty));
	if (o->cwd)
		json_object_set_new(process, "cwd", json_string(o->cwd));
	env = json_object_get(process, "env");
	if (!env && o->env_count) {
		env = json_array();
		json_object_set_new(process, "env", env);
	}
	for (size_t i = 0; i < o->env_count; i++)
		json_array_append_new(env, json_string(o->env[i]));
	if (o->no_new_privs)
		json_object_set_new(process, "noNewPrivileges", json_true());
	if (o->user) {
		json_t *user = json_object();

		r = parse_user(o->user, user, e);
		json_object_set_new(process, "user", user);
	}
	*ret = r < 0 ? NULL : json_text(process, JSON_COMPACT);
	json_decref(process);
	return r < 0 ? r : *ret ? 0 : err_set(e, ENOMEM, "process of the exec");
}

struct answer {
	struct err err;
	pid_t pid;
};

static int exec_in_runner(const struct container_exec *req, pid_t *ret_pid, struct err *e)
{
	struct answer a = { 0 };
	int pair[2], status;
	ssize_t n;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "socket pair");
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		container_exec(req, &a.pid, &a.err);
		_exit(send(pair[1], &a, sizeof(a), MSG_NOSIGNAL) < 0);
	}
	close(pair[1]);
	do
		n = pid < 0 ? -1 : recv(pair[0], &a, sizeof(a), 0);
	while (pid > 0 && n < 0 && errno == EINTR);
	close(pair[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n != sizeof(a))
		return err_set(e, pid < 0 ? errno : EPROTO, "the runner ended without an answer");
	if (a.err.code) {
		*e = a.err;
		return -e->code;
	}
	*ret_pid = a.pid;
	return 0;
}

static pid_t forward_to;

static void forward(int sig)
{
	kill(forward_to, sig);
}

int command_exec(const struct options *o, struct err *e)
{
	struct container_exec req = { .stdio = { 0, 1, 2 }, .console_sock = -1, .warn = command_warn };
	cleanup_fd int pidfd = -1, console = -1;
	cleanup_free char *process = NULL;
	struct state s;
	size_t len;
	pid_t pid = 0;
	int r;

	if (state_load(o->root, o->id, &s, e) < 0)
		return -1;
	req.container_cgroup = s.cgroup;
	pidfd = s.pid > 0 ? sys_pidfd_open(s.pid, 0) : -1;
	if (pidfd < 0 || state_status(&s) != STATUS_RUNNING) {
		err_set(e, EINVAL, "container \"%s\" is %s, exec needs running", s.id, status_name(state_status(&s)));
		return -1;
	}
	if (o->process_file)
		r = io_read_file_at(AT_FDCWD, o->process_file, SPEC_MAX_BYTES, &process, &len, e);
	else if (!o->args[0])
		r = err_set(e, EINVAL, "exec: nothing to run");
	else
		r = process_from_options(o, &s, &process, e);
	if (r < 0 || console_connect(o->console_socket, &console, e) < 0)
		return -1;
	req.id = s.id;
	req.init_pid = s.pid;
	req.init_pidfd = pidfd;
	req.spec_path = s.config;
	req.process_json = process;
	req.process_len = strlen(process);
	req.console_sock = console;
	if (exec_in_runner(&req, &pid, e) < 0 || write_pid_file(o->pid_file, pid, e) < 0)
		return -1;
	if (o->detach)
		return 0;
	forward_to = pid;
	signal(SIGINT, forward);
	signal(SIGTERM, forward);
	return wait_for_exit(pid);
}
