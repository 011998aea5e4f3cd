/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCMP_ACT_NOTIFY: the agent that answers for the kernel (config-linux.md, "The Container Process State").
 *
 * The runner connects to linux.seccomp.listenerPath, where the path means what the caller meant. The process
 * itself loads the filter as its last step but execve. Whatever call it made then could be one that waits for the
 * agent, which does not have the descriptor yet: so a thread that the filter does not hold for sends it, and the
 * process looks at memory until it is sent.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/sys.h"
#include "container/internal.h"

/* For the connection and for the message: a full queue must not hold a container for ever. */
#define AGENT_TIMEOUT_S 10
#define SENDER_STACK (64 * 1024)

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
	at = json_get(seccomp, "listenerMetadata");
	if (metadata && *metadata && (!path || !*path))
		return json_refuse(&at, e, "is for the agent at listenerPath, which is not given");
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

static int send_listener(const struct seccomp_filter *f, int listener, struct err *e)
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
	/* Neither is closed here: execve does it. */
	return 0;
}

/* What the process and its sender see of each other. */
struct sender {
	const struct seccomp_filter *f;
	atomic_int listener; /* -1: not loaded yet; -2: nor will it be */
	atomic_bool sent;
};

/* Not held by the filter. Its errors are told by itself: the process could be kept from that. */
static void sender_main(void *arg)
{
	const struct timespec moment = { .tv_nsec = 50000 };
	struct sync_msg m = { .type = SYNC_ERROR };
	struct sender *s = arg;
	int listener;

	while ((listener = atomic_load(&s->listener)) == -1)
		syscall(SYS_nanosleep, &moment, NULL);
	if (listener >= 0 && send_listener(s->f, listener, &m.err) < 0) {
		struct err ignored;

		sync_send(s->f->errors, &m, &ignored);
		syscall(SYS_exit_group, 1);
	}
	atomic_store(&s->sent, true);
	for (;;)
		syscall(SYS_exit, 0); /* this thread alone */
}

static int start_sender(struct sender *s, struct err *e)
{
	char *stack = mmap(NULL, SENDER_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	struct sys_clone_args args = {
		.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
		.stack = (uint64_t)(uintptr_t)stack,
		.stack_size = SENDER_STACK,
	};

	if (stack == MAP_FAILED || sys_clone3_run(&args, sender_main, s) < 0)
		return err_set(e, errno, "a thread for the seccomp agent");
	return 0;
}

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

int seccomp_notify_load(const struct seccomp_filter *f, struct err *e)
{
	/* Outlives this function, should the thread be slow to end. */
	static struct sender s;
	long r;

	s = (struct sender){ .f = f, .listener = -1 };
	if (start_sender(&s, e) < 0)
		return -e->code;
	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, f->flags | SECCOMP_FILTER_FLAG_NEW_LISTENER, &f->prog);
	if (r < 0)
		err_set(e, errno, "load the seccomp filter");
	atomic_store(&s.listener, r < 0 ? -2 : (int)r);
	while (!atomic_load(&s.sent))
		relax();
	return r < 0 ? -e->code : 0;
}
