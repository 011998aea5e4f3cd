/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCMP_ACT_NOTIFY: the agent that answers for the kernel (config-linux.md, "The Container Process State").
 *
 * The runner connects to linux.seccomp.listenerPath, where the path means what the caller meant. The process
 * itself loads the filter as its last step but execve and sends the descriptor over that connection: by then
 * nobody else of us is there. What it needs for this (seccomp_notify_needed) can't wait for an answer of the agent.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "container/internal.h"

/* For the connection and for the message: a full queue must not hold a container for ever. */
#define AGENT_TIMEOUT_S 10

bool seccomp_notify_needed(const char *name)
{
	/* The descriptor and an error leave by sendmsg and sendto; write as in the other runtimes. */
	return !strcmp(name, "sendmsg") || !strcmp(name, "sendto") || !strcmp(name, "write");
}

int seccomp_notify_check(const struct jnode *seccomp, bool *ret_notify, struct err *e)
{
	struct jnode rules = json_get(seccomp, "syscalls"), at = json_get(seccomp, "listenerPath");
	const char *path = NULL, *metadata = NULL;
	bool notify = false;

	if (json_want_array(&rules, e) < 0 || json_str(seccomp, "listenerPath", &path, e) < 0 ||
	    json_str(seccomp, "listenerMetadata", &metadata, e) < 0)
		return -e->code;
	for (size_t i = 0; i < json_count(&rules); i++) {
		const char *action = json_string_value(json_object_get(json_item(&rules, i).value, "action"));

		notify |= action && !strcmp(action, "SCMP_ACT_NOTIFY");
	}
	if (notify && (!path || !*path))
		return json_refuse(&at, e, "is missing, SCMP_ACT_NOTIFY needs a socket");
	if (!notify && path && *path)
		return json_refuse(&at, e, "has no meaning without SCMP_ACT_NOTIFY");
	at = json_get(seccomp, "listenerMetadata");
	if (!notify && metadata && *metadata)
		return json_refuse(&at, e, "has no meaning without SCMP_ACT_NOTIFY");
	*ret_notify = notify;
	return 0;
}

int seccomp_notify_connect(const json_t *seccomp, struct seccomp_filter *f, struct err *e)
{
	const struct timeval limit = { .tv_sec = AGENT_TIMEOUT_S };
	const char *path = json_string_value(json_object_get(seccomp, "listenerPath"));
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	cleanup_fd int sock = -1;

	if (!f->notify)
		return 0;
	if (!path || strlen(path) >= sizeof(to.sun_path))
		return err_set(e, ENAMETOOLONG, "linux.seccomp.listenerPath: longer than %zu bytes", sizeof(to.sun_path) - 1);
	strcpy(to.sun_path, path);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    connect(sock, (struct sockaddr *)&to, sizeof(to)) < 0)
		return err_set(e, errno, "linux.seccomp.listenerPath: connect to \"%.100s\"", path);
	f->agent = take_fd(&sock);
	return 0;
}

int seccomp_notify_describe(const struct spec *s, const struct hook_state *state, pid_t pid, struct seccomp_filter *f,
			    struct err *e)
{
	json_t *metadata = json_object_get(s->seccomp, "listenerMetadata"), *o;

	if (!f->notify)
		return 0;
	o = json_pack("{ss s[s] si so}", "ociVersion", s->oci_version, "fds", "seccompFd", "pid", (int)pid, "state",
		      hooks_state(s, state));
	if (o && (!metadata || json_object_set(o, "metadata", metadata) == 0))
		f->message = json_text(o, JSON_COMPACT);
	json_decref(o);
	return f->message ? 0 : err_set(e, ENOMEM, "state for the seccomp agent");
}

int seccomp_notify_send(const struct seccomp_filter *f, int listener, struct err *e)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	size_t left = strlen(f->message);
	struct iovec iov = { .iov_base = f->message, .iov_len = left };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &listener, sizeof(int));
	while (iov.iov_len > 0) {
		ssize_t n = sendmsg(f->agent, &msg, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "send the seccomp descriptor to linux.seccomp.listenerPath");
		/* The descriptor went with the first part. */
		msg.msg_control = NULL;
		msg.msg_controllen = 0;
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
	}
	/* Neither is closed here: execve does it, and close(2) may be one of the calls that the agent answers. */
	return 0;
}
