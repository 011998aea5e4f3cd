/* SPDX-License-Identifier: Apache-2.0 */
/* The runner's half of create: read, check, make the cgroup, clone init, answer. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "base/sys.h"
#include "base/trace.h"
#include "cgroup/systemd.h"
#include "container/creation.h"

void creation_warn(void *arg, const char *text)
{
	const struct container_create *req = arg;

	if (req->warn)
		req->warn(text);
}

/* What can be known before anything is made. */
static int check(const struct spec *s, const struct container_create *req, struct err *e)
{
	if (!s->has_process)
		return err_set(e, EINVAL, "process: is missing, there is nothing to run");
	if (!s->ns[NS_MOUNT].present && req->mntns_fd < 0)
		return err_set(e, EINVAL, "linux.namespaces: a container needs a mount namespace of its own");
	if ((s->hostname || s->domainname) && !s->ns[NS_UTS].present)
		return err_set(e, EINVAL, "hostname: the container has no uts namespace of its own");
	if (spec_ns_new(s, NS_USER) && !s->idmaps.uid_count && geteuid() == 0)
		return err_set(e, EINVAL, "linux.uidMappings: a new user namespace of root needs them");
	if (s->rdt.present && !req->rdt)
		return err_set(e, ENOTSUP, "linux.intelRdt: is not offered here");
	if (s->process.terminal && req->console_sock < 0)
		return err_set(e, EINVAL, "process.terminal: nobody takes the terminal");
	if (sysctl_check(s, e) < 0 || labels_check(s, &s->process, e) < 0)
		return -e->code;
	return 0;
}

/* LISTEN_FDS and the like. The list is ours, its strings are the specification's and the caller's. */
static int add_env(struct creation *c, const struct container_create *req, struct err *e)
{
	const char **given = c->spec.process.env;
	size_t count = 0, more = 0;

	while (given && given[count])
		count++;
	while (req->env && req->env[more])
		more++;
	if (!more)
		return 0;
	c->env = calloc(count + more + 1, sizeof(*c->env));
	if (!c->env)
		return err_set(e, ENOMEM, "process.env");
	memcpy(c->env, given, count * sizeof(*given));
	memcpy(c->env + count, req->env, more * sizeof(*req->env));
	c->given_env = given;
	c->spec.process.env = c->env;
	return 0;
}

static int open_namespaces(struct creation *c, const struct container_create *req, struct err *e)
{
	for (int kind = 0; kind < NS_KINDS; kind++)
		if (c->spec.ns[kind].path && !(kind == NS_MOUNT && req->mntns_fd >= 0) &&
		    ns_open((enum spec_ns_kind)kind, c->spec.ns[kind].path, &c->ns[kind], e) < 0)
			return -e->code;
	return 0;
}

static bool joins(const struct creation *c, int kind)
{
	return kind != NS_MOUNT && kind != NS_CGROUP && kind != NS_USER && c->ns[kind] >= 0;
}

static bool new_time(const struct creation *c)
{
	return spec_ns_new(&c->spec, NS_TIME) && !c->late;
}

static int join_namespaces(const struct creation *c, struct err *e)
{
	for (int kind = 0; kind < NS_KINDS; kind++)
		if (joins(c, kind) && setns(c->ns[kind], spec_ns_names[kind].flag) < 0)
			return err_set(e, errno, "join the %s namespace \"%s\"", spec_ns_names[kind].type,
				       c->spec.ns[kind].path);
	return 0;
}

int creation_enter(const struct creation *c, struct err *e)
{
	if (traced("join namespaces", join_namespaces(c, e)) < 0)
		return -e->code;
	return new_time(c) ? ns_new_time(&c->spec, c->mounts.proc, e) : 0;
}

/* Whether somebody has to stay outside: who joined a user namespace can undo nothing, and hooks are not for inside. */
static bool needs_keeper(const struct creation *c)
{
	bool enters = new_time(c);

	for (int kind = 0; kind < NS_KINDS; kind++)
		enters = enters || joins(c, kind);
	return c->ns[NS_USER] >= 0 ||
	       (enters && (c->spec.hooks[HOOK_PRESTART].count || c->spec.hooks[HOOK_CREATE_RUNTIME].count));
}

static int open_stdio(const struct container_create *req, int stdio[3], struct err *e)
{
	cleanup_fd int null = -1;

	for (int i = 0; i < 3; i++) {
		stdio[i] = req->stdio[i];
		if (stdio[i] >= 0)
			continue;
		/* A descriptor of its own for each: the process may set flags on them. */
		null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
		if (null < 0)
			return err_set(e, errno, "open /dev/null");
		stdio[i] = take_fd(&null);
	}
	return 0;
}

int creation_clone(struct creation *c, const struct container_create *req, struct err *e)
{
	struct init in = { .spec = &c->spec, .req = req, .mounts = &c->mounts, .cgroup = &c->join,
			   .identity = { .process = &c->spec.process, .seccomp = &c->seccomp,
					 .keep_keyring = req->no_new_keyring,
					 .umask = c->umask,
					 .foreign_ok = access("/proc/sys/fs/binfmt_misc/status", F_OK) == 0 },
			   .user_new = spec_ns_new(&c->spec, NS_USER), .user_joined = c->ns[NS_USER] >= 0,
			   .mntns = req->mntns_fd >= 0 ? req->mntns_fd : c->ns[NS_MOUNT],
			   .cgroupns = c->ns[NS_CGROUP] };
	struct sys_clone_args args = { .flags = CLONE_PARENT | CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&c->pidfd };

	if (open_stdio(req, in.stdio, e) < 0)
		return -e->code;
	in.sync = c->sync_init;
	/* Entered by the runner: in the user namespace a mount namespace of its own is made from it. */
	if (c->mounts.user_ns && req->mntns_fd >= 0)
		in.mntns = -1;
	for (int kind = 0; kind < NS_KINDS; kind++)
		if (spec_ns_new(&c->spec, (enum spec_ns_kind)kind) && kind != NS_CGROUP && kind != NS_TIME &&
		    !(kind == NS_MOUNT && in.mntns >= 0))
			args.flags |= (uint64_t)(unsigned int)spec_ns_names[kind].flag;
	/* Inside a joined user namespace, too: the folder is still its owner's, who we are by number. */
	if (c->join.v2 >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)c->join.v2;
	}
	c->pid = sys_clone3(&args);
	if (c->pid == 0) {
		trace_as("init");
		close(c->sync);
		init_main(&in);
	}
	for (int i = 0; i < 3; i++)
		if (req->stdio[i] < 0)
			close(in.stdio[i]);
	close(take_fd(&c->sync_init));
	if (traced("clone init", c->pid < 0 ? err_set(e, errno, "clone the container's init") : 0) < 0)
		return -e->code;
	return rdt_enter(&c->rdt, c->pid, e);
}

static int run_hooks(struct creation *c, const struct container_create *req, struct err *e)
{
	struct hook_state state = { .id = req->id, .bundle = req->bundle, .status = "creating", .pid = c->pid };

	if (hooks_run(&c->spec, HOOK_PRESTART, &state, e) < 0)
		return -e->code;
	return hooks_run(&c->spec, HOOK_CREATE_RUNTIME, &state, e);
}

/* An init that ends without a word was killed: if not by somebody, then for the memory that it may have. */
static int init_ended(const struct creation *c, struct err *e)
{
	struct err ignored;
	uint64_t kills = 0;

	if (e->code == EPIPE && *c->cgroup && cgroup_oom_kills(c->cgroup, &kills, &ignored) == 0 && kills)
		return err_set(e, EINVAL, "linux.resources.memory.limit: too low, the container's first process was killed before its program ran");
	return err_wrap(e, "set up the container");
}

int creation_attend(struct creation *c, const struct container_create *req, struct err *e)
{
	for (;;) {
		struct sync_msg m;

		if (sync_recv(c->sync, &m, e) < 0)
			return init_ended(c, e);
		switch (m.type) {
		case SYNC_READY:
			return traced("wait for init to be ready", 0);
		case SYNC_WARN:
			creation_warn((void *)req, m.err.step);
			break;
		case SYNC_USER:
			if (traced("map users", userns_map(c->pid, &c->spec.idmaps, e)) < 0 || sync_send(c->sync, &m, e) < 0)
				return -e->code;
			break;
		case SYNC_DEVICES:
			if (traced("move network devices", netdev_move(&c->spec, c->link_sock, c->pid, e)) < 0 || sync_send(c->sync, &m, e) < 0)
				return -e->code;
			break;
		case SYNC_HOOKS: {
			struct sync_msg answer = { .type = SYNC_HOOKS, .pid = c->pid };
			int r = run_hooks(c, req, e);

			if (r < 0)
				return r;
			if (sync_send(c->sync, &answer, e) < 0)
				return -e->code;
			break;
		}
		case SYNC_ERROR:
			*e = m.err;
			return -(e->code ? e->code : (e->code = EIO));
		default:
			return err_set(e, EPROTO, "set up the container: message %d", m.type);
		}
	}
}

void creation_give_back(struct creation *c, const struct container_create *req)
{
	if (c->pid > 0) {
		struct pollfd p = { .fd = c->pidfd, .events = POLLIN };

		sys_pidfd_send_signal(c->pidfd, SIGKILL);
		poll(&p, 1, 5000);
	}
	creation_drop_cgroup(c);
	rdt_undo(&c->spec.rdt, req->id, &c->rdt);
}

static int prepare_mounts(struct creation *c, const struct container_create *req, struct err *e)
{
	cleanup_free char *rootfs = NULL;
	struct mounts *m = &c->mounts;

	rootfs = c->spec.rootfs[0] == '/' ? strdup(c->spec.rootfs) : path_join(req->bundle, c->spec.rootfs);
	if (!rootfs)
		return err_set(e, ENOMEM, "rootfs path");
	if (path_clean(rootfs, m->rootfs, sizeof(m->rootfs)) < 0)
		return err_set(e, EINVAL, "rootfs \"%.200s\" is no absolute path", rootfs);
	m->spec = &c->spec;
	m->cgroup = c->cgroup;
	m->trees = req->trees;
	m->tree_count = req->tree_count;
	m->bundle = req->bundle;
	m->user_ns = c->spec.ns[NS_USER].present;
	m->late = c->late;
	if (c->late) {
		m->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		return m->proc < 0 ? err_set(e, errno, "open /proc") : 0;
	}
	if (mounts_open_sources(m, &c->spec, e) < 0)
		return -e->code;
	if (!m->user_ns)
		return 0;
	/* The rootfs of a prepared namespace is there, not here. */
	if (req->mntns_fd >= 0 && setns(req->mntns_fd, CLONE_NEWNS) < 0)
		return err_set(e, errno, "enter the prepared mount namespace");
	return rootfs_clone(m, e);
}

static int set_up(struct creation *c, const struct container_create *req, struct err *e)
{
	struct spec *s = &c->spec;
	int pair[2];

	if (req->spec)
		*s = *req->spec;
	else if (spec_load(req->spec_path, s, e) < 0)
		return -e->code;
	if (req->userns_fd >= 0) {
		snprintf(c->user_path, sizeof(c->user_path), "/proc/self/fd/%d", req->userns_fd);
		s->ns[NS_USER].present = true;
		s->ns[NS_USER].path = c->user_path;
	}
	if (traced("check the configuration", check(s, req, e)) < 0 || add_env(c, req, e) < 0)
		return -e->code;
	c->late = geteuid() != 0 && spec_ns_new(s, NS_USER);
	if (traced("open namespaces", open_namespaces(c, req, e)) < 0 ||
	    traced("seccomp filter", seccomp_prepare(s->seccomp, req->seccomp_cache, &c->seccomp, e)) < 0 ||
	    seccomp_notify_connect(s->seccomp, &c->seccomp, e) < 0 ||
	    traced("open mount sources", prepare_mounts(c, req, e)) < 0 ||
	    process_before_clone(&s->process, s->ns[NS_USER].present, creation_warn, (void *)req, e) < 0 ||
	    netdev_open(s, &c->link_sock, e) < 0 || creation_make_cgroup(c, req, e) < 0 ||
	    rdt_prepare(&s->rdt, req->id, &c->rdt, e) < 0)
		return -e->code;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "socket pair");
	c->sync = pair[0];
	c->sync_init = pair[1];
	if (needs_keeper(c) ? creation_inside(c, req, e) < 0 :
			      creation_enter(c, e) < 0 || creation_clone(c, req, e) < 0 || creation_attend(c, req, e) < 0)
		return -e->code;
	systemd_end_waiter(&c->waiter);
	return 0;
}

int container_create(const struct container_create *req, struct container_created *ret_created, struct err *e)
{
	struct creation c = { .sync = -1, .sync_init = -1, .pidfd = -1, .link_sock = -1, .rdt = RDT_NONE,
			      .mounts = { .null = -1, .proc = -1, .root = -1, .rootfs_tree = -1 } };
	int r;

	memset(c.ns, 0xff, sizeof(c.ns));
	memset(&c.join, 0xff, sizeof(c.join));
	/* Inherited by init: nothing of the container may look into us before execve (CVE-2016-9962). */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set(e, errno, "become non-dumpable");
	/* Folders and files that we make have the modes that we say, whatever the caller's mask. */
	c.umask = umask(022);
	r = set_up(&c, req, e);
	if (r < 0) {
		creation_give_back(&c, req);
	} else {
		ret_created->pid = c.pid;
		snprintf(ret_created->cgroup, sizeof(ret_created->cgroup), "%s", c.cgroup);
		bound_from_spec(&c.spec, c.seccomp.flags, &ret_created->bound);
	}
	for (int kind = 0; kind < NS_KINDS; kind++)
		if (c.ns[kind] >= 0)
			close(c.ns[kind]);
	if (c.sync >= 0)
		close(c.sync);
	if (c.sync_init >= 0)
		close(c.sync_init);
	if (c.pidfd >= 0)
		close(c.pidfd);
	if (c.link_sock >= 0)
		close(c.link_sock);
	rdt_close(&c.rdt);
	cgroup_join_close(&c.join);
	seccomp_filter_free(&c.seccomp);
	mounts_close(&c.mounts);
	if (c.env)
		c.spec.process.env = c.given_env;
	free(c.env);
	if (!req->spec)
		spec_free(&c.spec);
	return r;
}
