/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Init: from clone3(2) to execve(2). Read init_main() as the table of contents.
 *
 * It runs in the container's namespaces with the runtime's rights and is hostile to nobody yet, but
 * everything below the rootfs may be hostile to it. It is not dumpable from its first instruction
 * (inherited from the runner), and holds no descriptor that is not named here.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/sys.h"
#include "base/trace.h"
#include "container/internal.h"

static void warn_runner(void *arg, const char *text)
{
	const struct init *in = arg;
	struct sync_msg m = { .type = SYNC_WARN };
	struct err ignored;

	snprintf(m.err.step, sizeof(m.err.step), "%s", text);
	sync_send(in->sync, &m, &ignored);
}

/* Only what the steps below use; a container must find nothing of ours in /proc/1/fd. */
static void close_others(struct init *in)
{
	const size_t fixed = 13;
	size_t count = fixed + CGROUP_HIERARCHIES + in->spec->mount_count + in->req->tree_count, n = 0;
	cleanup_free int *keep = malloc(count * sizeof(*keep));

	if (!keep)
		return; /* all are close-on-exec anyway */
	keep[n++] = in->mntns;
	keep[n++] = in->cgroupns;
	keep[n++] = in->sync;
	keep[n++] = in->req->start_fd;
	keep[n++] = in->req->known_fd;
	keep[n++] = in->req->console_sock;
	keep[n++] = in->mounts->null;
	keep[n++] = in->mounts->rootfs_tree;
	keep[n++] = in->mounts->proc;
	keep[n++] = in->stdio[0];
	keep[n++] = in->stdio[1];
	keep[n++] = in->stdio[2];
	keep[n++] = in->identity.seccomp->notify ? in->identity.seccomp->agent : -1;
	for (int i = 0; i < CGROUP_HIERARCHIES; i++)
		keep[n++] = in->cgroup->tasks[i];
	for (size_t i = 0; in->mounts->sources && i < in->spec->mount_count; i++)
		keep[n++] = in->mounts->sources[i];
	for (size_t i = 0; i < in->req->tree_count; i++)
		keep[n++] = in->req->trees[i].fd;
	in->cgroup->v2 = -1;
	process_close_others(in->req->preserve_fds, keep, n);
}

/*
 * Becomes root of the user namespace: new and mapped by the runner when we say that we are here, or joined.
 * A caller without rights can map and set off only who is dumpable; nobody but us is in the namespace yet.
 */
static int enter_user(struct init *in, struct err *e)
{
	struct sync_msg m = { .type = SYNC_USER };
	bool late = in->mounts->late;
	cleanup_fd int self = -1;
	int r;

	if (!in->user_new && !in->user_joined)
		return 0;
	if (late && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		return err_set(e, errno, "become dumpable");
	if (in->user_new && ((r = sync_send(in->sync, &m, e)) < 0 || (r = sync_recv(in->sync, &m, e)) < 0))
		return r;
	if (m.type == SYNC_ERROR) {
		*e = m.err;
		return -e->code;
	}
	if (in->user_joined && userns_check_maps(&in->spec->idmaps, in->mounts->proc, e) < 0)
		return -e->code;
	self = openat(in->mounts->proc, "self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (self < 0)
		return err_set(e, errno, "open /proc/self");
	in->identity.no_setgroups = !process_may_setgroups(self);
	if (userns_become_root(&in->spec->process, in->identity.no_setgroups, e) < 0)
		return -e->code;
	if (late && spec_ns_new(in->spec, NS_TIME)) {
		if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
			return err_set(e, errno, "become dumpable");
		if (ns_new_time(in->spec, in->mounts->proc, e) < 0)
			return -e->code;
	}
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set(e, errno, "become non-dumpable");
	return late ? mounts_open_sources(in->mounts, in->spec, e) : 0;
}

static int join_cgroup(struct init *in, struct err *e)
{
	/* v2 was entered by clone3. Before the cgroup namespace: its root is where we are then. */
	if (cgroup_join_self(in->cgroup, e) < 0)
		return -e->code;
	cgroup_join_close(in->cgroup);
	if (in->cgroupns >= 0 && setns(in->cgroupns, CLONE_NEWCGROUP) < 0)
		return err_set(e, errno, "join the cgroup namespace \"%s\"", in->spec->ns[NS_CGROUP].path);
	if (spec_ns_new(in->spec, NS_CGROUP) && unshare(CLONE_NEWCGROUP) < 0)
		return err_set(e, errno, "new cgroup namespace");
	return 0;
}

static int await_devices(struct init *in, struct err *e)
{
	struct sync_msg m = { .type = SYNC_DEVICES };
	int r;

	if (!in->spec->net_device_count)
		return 0;
	r = sync_send(in->sync, &m, e);
	return r < 0 ? r : sync_recv(in->sync, &m, e);
}

static int name_host(struct init *in, struct err *e)
{
	const struct spec *s = in->spec;

	if (s->hostname && sethostname(s->hostname, strlen(s->hostname)) < 0)
		return err_set(e, errno, "set the hostname to \"%.100s\"", s->hostname);
	if (s->domainname && setdomainname(s->domainname, strlen(s->domainname)) < 0)
		return err_set(e, errno, "set the domainname to \"%.100s\"", s->domainname);
	return spec_ns_new(s, NS_NETWORK) ? ns_loopback_up(e) : 0;
}

/* prestart and createRuntime by the runner or its keeper, outside, which also knows the pid as a seccomp agent sees it. */
static int ask_runner(struct init *in, struct err *e)
{
	struct sync_msg m = { .type = SYNC_HOOKS };
	struct hook_state state = { .id = in->req->id, .bundle = in->req->bundle, .status = "creating" };
	int r;

	if ((r = sync_send(in->sync, &m, e)) < 0 || (r = sync_recv(in->sync, &m, e)) < 0)
		return r;
	if (m.type == SYNC_ERROR) {
		*e = m.err;
		return -e->code;
	}
	state.pid = m.pid;
	/* Agents know a container from an exec by this status, as in the specification's example. */
	return seccomp_notify_describe(in->spec, &state, m.pid, in->identity.seccomp, e);
}

static int hooks_before_pivot(struct init *in, struct err *e)
{
	/* In the container's namespaces the pid is theirs (runtime.md, "State"). */
	struct hook_state state = { .id = in->req->id, .bundle = in->req->bundle, .status = "creating", .pid = getpid() };

	if ((in->spec->hooks[HOOK_PRESTART].count || in->spec->hooks[HOOK_CREATE_RUNTIME].count || in->identity.seccomp->notify) &&
	    ask_runner(in, e) < 0)
		return -e->code;
	return hooks_run(in->spec, HOOK_CREATE_CONTAINER, &state, e);
}

static int enter_mounts(struct init *in, struct err *e)
{
	if (in->mntns >= 0 && setns(in->mntns, CLONE_NEWNS) < 0)
		return err_set(e, errno, "enter the prepared mount namespace");
	if (traced("take up the rootfs", rootfs_open(in->mounts, e)) < 0 || mounts_apply(in->mounts, e) < 0 ||
	    traced("devices", devices_make(in->mounts, e)) < 0)
		return -e->code;
	return 0;
}

static int take_console(struct init *in, struct err *e)
{
	int slave = -1;

	if (!in->spec->process.terminal)
		return 0;
	if (console_open(in->mounts->root, &in->spec->process, in->req->console_sock, &slave, e) < 0)
		return -e->code;
	in->stdio[0] = in->stdio[1] = in->stdio[2] = slave;
	return console_mount(in->mounts, slave, e);
}

static int set_up(struct init *in, char *ret_program, size_t size, struct err *e)
{
	const struct spec *s = in->spec;

	if (traced("enter the user namespace", enter_user(in, e)) < 0 || traced("session", process_session(&in->identity, e)) < 0 ||
	    traced("enter cgroups", join_cgroup(in, e)) < 0 || traced("hostname and loopback", name_host(in, e)) < 0 ||
	    traced("wait for network devices", await_devices(in, e)) < 0 || enter_mounts(in, e) < 0 ||
	    traced("console", take_console(in, e)) < 0 || traced("hooks before pivot", hooks_before_pivot(in, e)) < 0 ||
	    traced("masked and read-only paths", rootfs_protect(in->mounts, e)) < 0 ||
	    traced("sysctls", sysctl_apply(s, in->mounts->proc, e)) < 0 ||
	    labels_apply(&s->process, in->mounts->proc, e) < 0 ||
	    traced("pivot", rootfs_pivot(in->mounts, !in->req->no_pivot, e)) < 0)
		return -e->code;
	if (process_memory_policy(&s->memory_policy, e) < 0)
		return -e->code;
	if (s->personality != PERSONALITY_NONE && personality((unsigned long)s->personality) < 0)
		return err_set(e, errno, "linux.personality");
	if (traced("stdio", process_stdio(in->stdio, &s->process, e)) < 0)
		return -e->code;
	/* Nothing that leads outside is open from here on; a trace is for writing alone. */
	int keep[4] = { in->sync, in->req->start_fd, in->req->known_fd, in->identity.seccomp->notify ? in->identity.seccomp->agent : -1 };

	process_close_others(in->req->preserve_fds, keep, 4);
	if (process_environment(&in->identity, e) < 0 || traced("working folder", process_chdir(&s->process, true, e)) < 0 ||
	    traced("limits, user and capabilities", process_become(&in->identity, e)) < 0)
		return -e->code;
	return in->req->find_at_start ? 0 : traced("find the program", process_find_program(&in->identity, ret_program, size, e));
}

/* Until our caller has written down that we are here; whoever deletes the container finds us from then on. */
static void wait_until_known(int known_fd)
{
	char word;
	ssize_t n;

	if (known_fd < 0)
		return;
	do
		n = recv(known_fd, &word, 1, 0);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(1);
	close(known_fd);
}

/* Waits for the word to start; end of file means that nobody will give it. Returns where errors go. */
static int wait_for_start(int start_fd)
{
	int listening = 0, fd = start_fd;
	socklen_t len = sizeof(listening);
	char word;
	ssize_t n;

	if (getsockopt(start_fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening) {
		do
			fd = accept4(start_fd, NULL, NULL, SOCK_CLOEXEC);
		while (fd < 0 && errno == EINTR);
		close(start_fd);
	}
	do
		n = fd < 0 ? -1 : recv(fd, &word, 1, 0);
	while (n < 0 && errno == EINTR);
	if (n != 1 || word != 'S')
		_exit(1);
	return fd;
}

static void __attribute__((noreturn)) fail(int fd, const struct err *why)
{
	struct sync_msg m = { .type = SYNC_ERROR, .err = *why };
	struct err ignored;

	sync_send(fd, &m, &ignored);
	_exit(1);
}

void init_main(struct init *in)
{
	struct hook_state state = { .id = in->req->id, .bundle = in->req->bundle, .status = "created", .pid = getpid() };
	struct sync_msg ready = { .type = SYNC_READY };
	char program[PATH_MAX];
	struct err e = { 0 };
	int fd;

	close_others(in);
	trace_step("close descriptors", NULL);
	in->identity.warn = warn_runner;
	in->identity.warn_arg = in;
	in->mounts->warn = warn_runner;
	in->mounts->warn_arg = in;
	if (set_up(in, program, sizeof(program), &e) < 0)
		fail(in->sync, &e);
	trace_step("ready", NULL);
	if (sync_send(in->sync, &ready, &e) < 0)
		_exit(1); /* the runner was killed: nobody knows of us */
	close(in->sync);
	in->sync = -1;
	in->identity.warn = NULL;

	wait_until_known(in->req->known_fd);
	fd = wait_for_start(in->req->start_fd);
	in->identity.seccomp->errors = fd;
	trace_step("wait for start", NULL);
	if (hooks_run(in->spec, HOOK_START_CONTAINER, &state, &e) < 0)
		fail(fd, &e);
	if (!in->req->find_at_start || process_find_program(&in->identity, program, sizeof(program), &e) == 0)
		process_exec(&in->identity, program, &e);
	fail(fd, &e);
}
