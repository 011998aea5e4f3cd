// SPDX-License-Identifier: Apache-2.0
#include "delegate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "host_local.h"

#define ANSWER_LIMIT (1u << 20)

static const char *const commands[] = { "ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION" };

/* True when `path` is the file this process runs. The plugins are hard links of one program. */
static bool is_own(const char *path)
{
	struct stat self, other;

	return !stat("/proc/self/exe", &self) && !stat(path, &other) && self.st_dev == other.st_dev &&
	       self.st_ino == other.st_ino;
}

int delegate_open(struct cni_call *call, struct delegate *ret, struct err *e)
{
	struct jnode top = call_conf(call);
	struct jnode ipam = json_get(&top, "ipam");

	ret->call = call;
	ret->type = NULL;
	ret->own = false;
	ret->answer = NULL;
	if (json_want_object(&ipam, e) < 0 || json_str(&ipam, "type", &ret->type, e) < 0) {
		call->code = CNI_INVALID_CONFIG;
		return -e->code;
	}
	if (!ret->type || !*ret->type) {
		ret->type = NULL;
		return 0;
	}
	if (!cni_name_ok(ret->type))
		return call_refuse(call, CNI_INVALID_CONFIG, e, "ipam.type: \"%.60s\" is no plugin name", ret->type);
	for (const char *at = call->path; *at;) {
		int len = (int)strcspn(at, ":");

		/* An empty or relative folder would mean the working folder. */
		if (len && *at == '/' && snprintf(ret->path, sizeof(ret->path), "%.*s/%s", len, at, ret->type) < (int)sizeof(ret->path) &&
		    !access(ret->path, X_OK)) {
			ret->own = !strcmp(ret->type, "host-local") && is_own(ret->path);
			return 0;
		}
		at += len;
		at += *at == ':';
	}
	return err_set(e, ENOENT, "ipam plugin %s in CNI_PATH %s", ret->type, call->path);
}

void delegate_close(struct delegate *d)
{
	json_decref(d->answer);
	d->answer = NULL;
}

/* The plugin's own words. */
static int plugin_error(struct delegate *d, const json_t *answer, int status, struct err *e)
{
	struct jnode n = json_top(answer, "");
	const char *msg = NULL, *details = "";
	int64_t code = CNI_PLUGIN;
	struct err ignored;

	json_str(&n, "msg", &msg, &ignored);
	json_str(&n, "details", &details, &ignored);
	json_i64(&n, "code", &code, &ignored);
	d->call->code = code > 0 && code < 1000 ? (int)code : CNI_PLUGIN;
	if (msg)
		return err_set(e, EINVAL, "ipam plugin %s: %s%s%s", d->type, msg, *details ? "; " : "", details);
	if (WIFSIGNALED(status))
		return err_set(e, EINVAL, "ipam plugin %s: killed by signal %d", d->type, WTERMSIG(status));
	return err_set(e, EINVAL, "ipam plugin %s: exit code %d without an error message", d->type, WEXITSTATUS(status));
}

static int run(struct delegate *d, enum cni_command command, json_t **ret, struct err *e)
{
	char *const argv[] = { d->path, NULL };
	cleanup_fd int in = memfd_create("cni-config", MFD_CLOEXEC);
	cleanup_free char *text = NULL;
	cleanup_child pid_t pid = 0;
	json_t *answer = NULL;
	struct err why = { 0 };
	int out[2];
	size_t len;
	int status, r;

	if (in < 0 || io_write_all(in, d->call->text, d->call->text_len, e) < 0 || lseek(in, 0, SEEK_SET) < 0 ||
	    pipe2(out, O_CLOEXEC) < 0)
		return err_set(e, errno ? errno : EIO, "run ipam plugin %s", d->path);
	pid = fork();
	if (pid < 0) {
		close(out[0]);
		close(out[1]);
		return err_set(e, errno, "run ipam plugin %s", d->path);
	}
	if (!pid) {
		/* The rest of the environment is the caller's own (CNI_*), as the specification says. */
		if (dup2(in, 0) < 0 || dup2(out[1], 1) < 0 || setenv("CNI_COMMAND", commands[command], 1) < 0)
			_exit(127);
		execv(d->path, argv);
		_exit(127);
	}
	close(out[1]);
	r = io_read_all(out[0], ANSWER_LIMIT, &text, &len, e);
	close(out[0]);
	if (r < 0)
		return err_wrap(e, "ipam plugin %s: its answer", d->path);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "wait for ipam plugin %s", d->path);
	pid = 0;
	if (len)
		r = json_parse(text, len, &answer, &why);
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		r = plugin_error(d, answer, status, e);
		json_decref(answer);
		return r;
	}
	if (r < 0)
		return err_set(e, EPROTO, "ipam plugin %s: answer: %s", d->path, why.step);
	*ret = answer;
	return 0;
}

int delegate_add(struct delegate *d, struct result *ret, struct err *e)
{
	struct jnode n;
	int r;

	if (d->own) {
		if (host_local_add(d->call, ret, e) < 0)
			return -e->code;
		d->answer = ret->dns; /* made for us */
		return 0;
	}
	r = run(d, CNI_ADD, &d->answer, e);
	if (r < 0)
		return r;
	n = json_top(d->answer, "");
	if (!d->answer)
		return err_set(e, EPROTO, "ipam plugin %s: no answer", d->path);
	return result_parse(&n, ret, e) < 0 ? err_wrap(e, "ipam plugin %s: its answer", d->path) : 0;
}

int delegate_run(struct delegate *d, enum cni_command command, struct err *e)
{
	json_t *answer = NULL;
	int r;

	if (!d->type)
		return 0;
	if (d->own)
		return command == CNI_DEL ? host_local_del(d->call, e) :
		       command == CNI_CHECK ? host_local_check(d->call, e) :
		       command == CNI_GC ? host_local_gc(d->call, e) : 0;
	r = run(d, command, &answer, e);
	json_decref(answer);
	return r;
}
