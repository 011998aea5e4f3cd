/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/json.h"
#include "base/trace.h"
#include "container/container.h"
#include "runtime/commands.h"
#include "runtime/log.h"
#include "runtime/state.h"
#include "spec/spec.h"

/* "1000" or "1000:100", whole and in range; without a group it stays the container's. */
static int set_user(const char *text, json_t *process, struct err *e)
{
	json_t *user = json_object_get(process, "user");
	const char *p = text;

	if (!user) {
		user = json_object();
		json_object_set_new(process, "user", user);
	}
	for (int i = 0; i < 2; i++) {
		uint64_t id = 0;
		size_t len = strspn(p, "0123456789");

		if (!len || len > 10)
			return err_set(e, EINVAL, "option --user: \"%.40s\" is not UID[:GID]", text);
		id = strtoull(p, NULL, 10);
		if (id >= UINT32_MAX)
			return err_set(e, EINVAL, "option --user: \"%.40s\" is out of range", text);
		json_object_set_new(user, i ? "gid" : "uid", json_integer((json_int_t)id));
		p += len;
		if (!*p)
			return 0;
		if (*p++ != ':' || i)
			break;
	}
	return err_set(e, EINVAL, "option --user: \"%.40s\" is not UID[:GID]", text);
}

/* The array `key` of an object, made when missing. */
static json_t *array_of(json_t *object, const char *key)
{
	json_t *array = json_object_get(object, key);

	if (!array) {
		array = json_array();
		json_object_set_new(object, key, array);
	}
	return array;
}

static int add_groups(const struct options *o, json_t *process, struct err *e)
{
	json_t *user = json_object_get(process, "user");

	if (o->gids.count && !user) {
		user = json_object();
		json_object_set_new(process, "user", user);
	}
	for (size_t i = 0; i < o->gids.count; i++) {
		int64_t gid = 0;

		if (option_number("additional-gids", o->gids.items[i], 0, UINT32_MAX - 1, &gid, e) < 0)
			return -e->code;
		json_array_append_new(array_of(user, "additionalGids"), json_integer(gid));
	}
	return 0;
}

/* Ambient ones only where the container has inheritable ones: they can't be set without. */
static void add_capabilities(const struct options *o, json_t *process)
{
	static const char *const sets[] = { "bounding", "effective", "permitted", "ambient" };
	json_t *caps = json_object_get(process, "capabilities");

	if (o->caps.count && !caps) {
		caps = json_object();
		json_object_set_new(process, "capabilities", caps);
	}
	for (size_t i = 0; i < o->caps.count; i++)
		for (size_t k = 0; k < sizeof(sets) / sizeof(sets[0]); k++) {
			if (!strcmp(sets[k], "ambient") && !json_object_get(caps, "inheritable"))
				continue;
			json_array_append_new(array_of(caps, sets[k]), json_string(o->caps.items[i]));
			/* An ambient capability has to be inheritable too (capabilities(7)). */
			if (!strcmp(sets[k], "ambient"))
				json_array_append_new(array_of(caps, "inheritable"), json_string(o->caps.items[i]));
		}
}

/* What the command line changes of a process object. */
static int apply_options(const struct options *o, json_t *process, struct err *e)
{
	json_t *args = json_array();

	for (char **a = o->args; *a; a++)
		json_array_append_new(args, json_string(*a));
	json_object_set_new(process, "args", args);
	json_object_set_new(process, "terminal", json_boolean(o->tty));
	if (o->cwd && *o->cwd)
		json_object_set_new(process, "cwd", json_string(o->cwd));
	if (o->apparmor && *o->apparmor)
		json_object_set_new(process, "apparmorProfile", json_string(o->apparmor));
	if (o->process_label && *o->process_label)
		json_object_set_new(process, "selinuxLabel", json_string(o->process_label));
	for (size_t i = 0; i < o->env.count; i++)
		json_array_append_new(array_of(process, "env"), json_string(o->env.items[i]));
	if (o->no_new_privs_given)
		json_object_set_new(process, "noNewPrivileges", json_boolean(o->no_new_privs));
	add_capabilities(o, process);
	if (o->user && *o->user && set_user(o->user, process, e) < 0)
		return -e->code;
	return add_groups(o, process, e);
}

/* The container's own process object with what the command line changes. */
static int process_from_options(const struct options *o, const struct state *s, char **ret, struct err *e)
{
	json_t *process;
	struct spec spec;
	int r;

	if (!o->arg_count)
		return err_set(e, EINVAL, "exec: nothing to run");
	if (spec_load(s->config, &spec, e) < 0)
		return -e->code;
	process = json_deep_copy(json_object_get(spec.doc, "process"));
	spec_free(&spec);
	if (!process)
		return err_set(e, ENOMEM, "process of the exec");
	r = apply_options(o, process, e);
	*ret = r < 0 ? NULL : json_text(process, JSON_COMPACT);
	json_decref(process);
	return r < 0 ? r : *ret ? 0 : err_set(e, ENOMEM, "process of the exec");
}

static int process_from_file(const struct options *o, char **ret, bool *ret_terminal, struct err *e)
{
	struct jnode top;
	json_t *doc;
	size_t len;
	int r;

	if (io_read_file_at(AT_FDCWD, o->process_file, SPEC_MAX_BYTES, ret, &len, e) < 0)
		return -e->code;
	if (json_parse(*ret, len, &doc, e) < 0)
		return err_wrap(e, "%s", o->process_file);
	top = json_top(doc, "process");
	r = json_want_object(&top, e);
	if (r == 0)
		r = json_bool(&top, "terminal", ret_terminal, e);
	json_decref(doc);
	return r;
}

struct answer {
	struct err err;
	pid_t pid;
};

static void join_and_run(const void *request, void *answer)
{
	struct answer *a = answer;

	container_exec(request, &a->pid, &a->err);
}

static int exec_in_runner(const struct container_exec *req, pid_t *ret_pid, struct err *e)
{
	struct answer a = { 0 };

	if (in_runner(join_and_run, req, &a, sizeof(a), e) < 0)
		return -e->code;
	if (a.err.code) {
		*e = a.err;
		return -e->code;
	}
	*ret_pid = a.pid;
	return 0;
}

static int running(const struct options *o, const struct state *s, struct err *e)
{
	enum status status = state_status(s);

	if (status == STATUS_PAUSED && !o->ignore_paused)
		return err_set(e, EINVAL, "container \"%s\" is paused: resume it, or use --ignore-paused", s->id);
	if (status == STATUS_STOPPED)
		return err_set(e, ESRCH, "container \"%s\" is stopped, exec needs running", s->id);
	return 0;
}

int command_exec(const struct options *o, struct err *e)
{
	struct container_exec req = { .stdio = { 0, 1, 2 }, .console_sock = -1, .warn = log_warning };
	cleanup_fd int pidfd = -1, console = -1, peer = -1, master = -1;
	cleanup_state struct state s = { .lock = -1 };
	cleanup_free const char **cgroups = calloc(o->cgroups.count + 1, sizeof(*cgroups));
	cleanup_free char *process = NULL;
	struct preserved preserved;
	bool terminal = o->tty;
	pid_t pid = 0;

	if (!cgroups)
		return err_set(e, ENOMEM, "command line");
	if (preserve_fds(o, false, &preserved, e) < 0 || traced("read the state", state_load(o->root, o->id, &s, e)) < 0 ||
	    running(o, &s, e) < 0)
		return -1;
	pidfd = state_open_init(&s);
	if (pidfd < 0) {
		err_set(e, ESRCH, "container \"%s\" is stopped, exec needs running", s.id);
		return -1;
	}
	if (traced("read the process", o->process_file ? process_from_file(o, &process, &terminal, e) :
							 process_from_options(o, &s, &process, e)) < 0 ||
	    console_endpoint(o, "exec", terminal, o->detach, &console, &peer, e) < 0)
		return -1;
	if (o->cgroups.count)
		memcpy(cgroups, o->cgroups.items, o->cgroups.count * sizeof(*cgroups));
	req.id = s.id;
	req.container_cgroup = s.cgroup;
	req.init_pid = s.pid;
	req.init_pidfd = pidfd;
	req.spec_path = s.config;
	req.bundle = s.bundle;
	req.process_json = process;
	req.process_len = strlen(process);
	req.console_sock = console;
	/* Who may call us on this container has made it: what its configuration says is no limit for him (docker exec --privileged). */
	req.trusted = true;
	req.preserve_fds = preserved.count;
	req.cgroups = cgroups;
	if (!o->detach)
		hold_signals();
	if (traced("run the program", exec_in_runner(&req, &pid, e)) < 0)
		return -1;
	if (traced("pid file", announce(o, pid, e)) < 0 || (peer >= 0 && io_recv_fd(peer, &master, e) < 0)) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return -1;
	}
	return o->detach ? 0 : attend_process(pid, master);
}
