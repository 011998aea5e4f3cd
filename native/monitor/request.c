/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of the protocol, by name. Each answers its reply, now or later. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "monitor/conn.h"
#include "monitor/forward.h"
#include "monitor/member.h"
#include "monitor/pod.h"
#include "monitor/shim.h"
#include "monitor/shutdown.h"

static void do_state(struct json_view params, struct reply *r)
{
	static const char *const modes[] = { "host", "pod", "container" };
	cleanup_text struct text t = { 0 };

	text_fmt(&t, "{\"pod\":{\"pid_mode\":\"%s\",\"pause_pid\":", modes[pod.pid]);
	if (pod.pause_pid)
		text_fmt(&t, "%d", (int)pod.pause_pid);
	else
		text_str(&t, "null");
	/* For a runtime that joins the pod's namespaces by path. */
	if (pod.shim_cgroup)
		text_fmt(&t, ",\"ipc_fd\":%d,\"uts_fd\":%d,\"shm_fd\":%d", pod.ipc_fd, pod.uts_fd, pod.shm_fd);
	text_str(&t, "},\"containers\":[");
	for (const struct member *m = members; m; m = m->next) {
		if (m->state == MEMBER_NEW)
			continue;
		if (t.at[t.len - 1] != '[')
			text_str(&t, ",");
		member_describe(m, &t);
	}
	text_str(&t, "]}");
	reply_ok(r, t.at, t.len);
}

static void do_subscribe(struct json_view params, struct reply *r)
{
	conn_subscribe(r->conn);
	do_state(params, r);
}

static void do_delete(struct json_view params, struct reply *r)
{
	char id[MEMBER_ID_MAX + 1];
	struct member *m;

	/* One that was never there, or is gone, is deleted. */
	if (json_view_string(json_view_get(params, "container"), id, sizeof(id)) < 0) {
		reply_refuse(r, KIND_INVALID_ARGUMENT, EINVAL, "\"container\" is not an id");
		return;
	}
	m = member_find(id);
	if (m)
		member_delete(m, r);
	else
		reply_ok(r, "{}", 2);
}

static void do_net_stats(struct json_view params, struct reply *r)
{
	cleanup_text struct text t = { 0 };
	char lines[16384];
	size_t len = 0;
	ssize_t n;

	/* A descriptor of the pod's own /proc/net/dev: nobody has to enter its namespace for it. */
	while (len < sizeof(lines) - 1 && (n = pread(pod.net_dev_fd, lines + len, sizeof(lines) - 1 - len, (off_t)len)) > 0)
		len += (size_t)n;
	if (len == 0) {
		reply_refuse(r, KIND_INTERNAL, errno, "read /proc/net/dev");
		return;
	}
	lines[len] = '\0';
	text_str(&t, "{\"text\":");
	text_json(&t, lines);
	text_str(&t, "}");
	reply_ok(r, t.at, t.len);
}

static void do_shutdown(struct json_view params, struct reply *r)
{
	shutdown_begin(r);
}

static const struct {
	const char *name;
	void (*handle)(struct json_view params, struct reply *r);
} methods[] = {
	{ "subscribe", do_subscribe },	       { "state", do_state },		{ "prepare", member_prepare },
	{ "create", member_create },	       { "start", member_start },	{ "kill", member_kill },
	{ "exec", session_exec },	       { "attach", session_attach },	{ "update", member_update },
	{ "reopen_log", member_reopen_log },   { "net_stats", do_net_stats },	{ "delete", do_delete },
	{ "shutdown", do_shutdown },	       { "port_forward", forward_begin },
	{ "pause", member_pause },	       { "resume", member_resume },	{ "usage", member_usage },
};

/* Beside a shim there are these too. */
static const struct {
	const char *name;
	void (*handle)(struct json_view params, struct reply *r);
} shim_methods[] = {
	{ "run", shim_run },	     { "create_io", shim_create_io }, { "exec_io", session_exec_io },
	{ "started", shim_started }, { "exited", shim_exited },	      { "created", shim_created },
	{ "disk", shim_disk },	     { "call", shim_call },	      { "settle", shim_settle },
	{ "killing", shim_killing },
};

void request_handle(const char *method, struct json_view params, struct reply *r)
{
	if (shutdown_under_way()) {
		if (strcmp(method, "shutdown") == 0)
			do_shutdown(params, r);
		else
			reply_refuse(r, KIND_UNAVAILABLE, ESHUTDOWN, "the pod is being shut down");
		return;
	}
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(methods[i].name, method) == 0) {
			methods[i].handle(params, r);
			return;
		}
	for (size_t i = 0; pod.shim_cgroup && i < sizeof(shim_methods) / sizeof(shim_methods[0]); i++)
		if (strcmp(shim_methods[i].name, method) == 0) {
			shim_methods[i].handle(params, r);
			return;
		}
	reply_refuse(r, KIND_UNIMPLEMENTED, ENOSYS, "no method \"%s\"", method);
}
