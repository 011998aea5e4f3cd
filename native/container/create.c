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
#include "cgroup/systemd.h"
#include "container/internal.h"

/* Everything that a failed create has to give back. */
struct creation {
	struct spec spec;
	struct mounts mounts;
	struct seccomp_filter seccomp;
	char cgroup[CGROUP_PATH_MAX];
	struct cgroup_made made;
	struct cgroup_join join;
	bool cgroup_made;
	bool unit_made;
	pid_t waiter; /* what a scope begins with; 0: none */
	const char **env, **given_env; /* process.env with the caller's additions (NULL: none), and without */
	mode_t umask; /* the caller's */
	bool late;    /* without the rights of root: what needs rights is done inside the user namespace */
	int ns[NS_KINDS]; /* namespaces to join, by descriptor */
	int link_sock; /* netlink of the caller's network namespace; -1: no devices to move */
	int sync, sync_init; /* our end; init's, until it has it */
	pid_t pid;
	int pidfd;
};

static void warn_caller(void *arg, const char *text)
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
	if (s->rdt.present)
		return err_set(e, ENOTSUP, "linux.intelRdt: no resctrl filesystem is mounted");
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

/*
 * All but the mount and the cgroup namespace (init's join_cgroup) are joined here, before init exists; it inherits them. The runner ends
 * soon; of the PID namespace only its children become members (pid_namespaces(7)).
 */
static int join_namespaces(const struct creation *c, struct err *e)
{
	for (int kind = 0; kind < NS_KINDS; kind++)
		if (kind != NS_MOUNT && kind != NS_CGROUP && kind != NS_USER && c->ns[kind] >= 0 &&
		    setns(c->ns[kind], spec_ns_names[kind].flag) < 0)
			return err_set(e, errno, "join the %s namespace \"%s\"", spec_ns_names[kind].type,
				       c->spec.ns[kind].path);
	return 0;
}

/* A scope has a process from its beginning: one that waits until init is in it. */
static int start_unit(struct creation *c, const struct container_create *req, const struct jnode *resources, struct err *e)
{
	struct systemd_unit unit;

	if (systemd_running(e) < 0 || systemd_unit(c->spec.cgroups_path, req->id, &unit, e) < 0)
		return -e->code;
	memcpy(c->cgroup, unit.path, sizeof(c->cgroup));
	if (systemd_begin(&unit, resources, req->systemd_annotations ? c->spec.annotations : NULL, &c->waiter, e) < 0)
		return -e->code;
	c->unit_made = true;
	return 0;
}

/* Anything but device rules: without device nodes (they can't be made here) these have no object. */
static bool asks_for_limits(const json_t *resources)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)resources, key, value)
		if (strcmp(key, "devices") && json_object_size(value))
			return true;
	return false;
}

/* A caller without rights goes without a cgroup, when nothing is asked of it. */
static int make_cgroup_late(struct creation *c, const struct container_create *req, struct err *e)
{
	struct err why = { 0 };
	char text[640];

	if (cgroup_path(c->spec.cgroups_path, req->id, c->cgroup, e) < 0)
		return -e->code;
	if (cgroup_create(c->cgroup, &c->made, &why) == 0)
		return 1;
	*c->cgroup = '\0';
	if (asks_for_limits(c->spec.resources)) {
		*e = why;
		return err_wrap(e, "linux.resources");
	}
	snprintf(text, sizeof(text), "no cgroup: %s: %s", why.step, strerror(why.code));
	warn_caller((void *)req, text);
	return 0;
}

static int make_cgroup(struct creation *c, const struct container_create *req, struct err *e)
{
	struct jnode resources = json_top(c->spec.resources, "linux.resources");
	int r;

	if (c->late) {
		r = make_cgroup_late(c, req, e);
		if (r <= 0)
			return r;
	} else {
		r = req->systemd_cgroup ? start_unit(c, req, &resources, e) :
					  cgroup_path(c->spec.cgroups_path, req->id, c->cgroup, e);
		if (r == 0)
			r = cgroup_create(c->cgroup, &c->made, e);
		if (r < 0)
			return -e->code;
	}
	c->cgroup_made = true;
	if (cgroup_apply(c->cgroup, &resources, e) < 0)
		return -e->code;
	return cgroup_join_open(c->cgroup, &c->join, e);
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

static int clone_init(struct creation *c, const struct container_create *req, struct err *e)
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
		close(c->sync);
		init_main(&in);
	}
	for (int i = 0; i < 3; i++)
		if (req->stdio[i] < 0)
			close(in.stdio[i]);
	close(take_fd(&c->sync_init));
	return c->pid < 0 ? err_set(e, errno, "clone the container's init") : 0;
}

static int run_hooks(struct creation *c, const struct container_create *req, struct err *e)
{
	struct hook_state state = { .id = req->id, .bundle = req->bundle, .status = "creating", .pid = c->pid };

	if (hooks_run(&c->spec, HOOK_PRESTART, &state, e) < 0)
		return -e->code;
	return hooks_run(&c->spec, HOOK_CREATE_RUNTIME, &state, e);
}

/* Until init is ready or gives up. It ends by itself when we do: its next send fails. */
static int attend_init(struct creation *c, const struct container_create *req, struct err *e)
{
	for (;;) {
		struct sync_msg m;

		if (sync_recv(c->sync, &m, e) < 0)
			return err_wrap(e, "set up the container");
		switch (m.type) {
		case SYNC_READY:
			return 0;
		case SYNC_WARN:
			warn_caller((void *)req, m.err.step);
			break;
		case SYNC_USER:
			if (userns_map(c->pid, &c->spec.idmaps, e) < 0 || sync_send(c->sync, &m, e) < 0)
				return -e->code;
			break;
		case SYNC_DEVICES:
			if (netdev_move(&c->spec, c->link_sock, c->pid, e) < 0 || sync_send(c->sync, &m, e) < 0)
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

/* Init is the caller's child and reaped there; here only that it is dead is waited for. */
static void give_back(struct creation *c)
{
	struct err ignored;

	if (c->pid > 0) {
		struct pollfd p = { .fd = c->pidfd, .events = POLLIN };

		sys_pidfd_send_signal(c->pidfd, SIGKILL);
		poll(&p, 1, 5000);
	}
	if (c->cgroup_made) {
		cgroup_join_close(&c->join);
		cgroup_kill_all(c->cgroup, &ignored);
		/* The whole cgroup only if it is ours; else what is empty of it. */
		cgroup_remove(c->cgroup, 1000, &ignored);
		cgroup_undo(c->cgroup, &c->made);
	}
	systemd_end_waiter(&c->waiter);
	if (c->unit_made)
		systemd_stop(strrchr(c->cgroup, '/') + 1, &ignored);
}

/*
 * Joining a user namespace gives up the rights outside, for good. A keeper is forked that stays: it attends
 * to init, runs the hooks and undoes a failure, while the runner goes in and clones init from there.
 */
struct verdict {
	int code; /* 0, or negative with err */
	struct err err;
};

static void __attribute__((noreturn)) keep_outside(struct creation *c, const struct container_create *req, int link)
{
	struct verdict v = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(take_fd(&c->sync_init));
	if (recv(link, &c->pid, sizeof(c->pid), 0) != sizeof(c->pid) || io_recv_fd(link, &c->pidfd, &v.err) < 0)
		v.code = err_set(&v.err, EPROTO, "join the user namespace");
	else
		v.code = attend_init(c, req, &v.err);
	if (v.code < 0)
		give_back(c);
	_exit(send(link, &v, sizeof(v), MSG_NOSIGNAL) < 0);
}

static int create_inside(struct creation *c, const struct container_create *req, struct err *e)
{
	struct verdict v = { 0 };
	int link[2], status;
	pid_t keeper;
	ssize_t n;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) < 0)
		return err_set(e, errno, "socket pair");
	keeper = fork();
	if (keeper == 0) {
		close(link[1]);
		keep_outside(c, req, link[0]);
	}
	close(link[0]);
	if (keeper < 0) {
		close(link[1]);
		return err_set(e, errno, "fork");
	}
	c->cgroup_made = false; /* the keeper's to undo */
	close(take_fd(&c->sync));
	c->sync = fcntl(2, F_DUPFD_CLOEXEC, 3); /* clone_init closes it in the child */
	if (setns(c->ns[NS_USER], CLONE_NEWUSER) < 0)
		v.code = err_set(&v.err, errno, "join the user namespace \"%s\"", c->spec.ns[NS_USER].path);
	else
		v.code = clone_init(c, req, &v.err);
	if (v.code == 0 && (send(link[1], &c->pid, sizeof(c->pid), MSG_NOSIGNAL) < 0 ||
			    io_send_fd(link[1], c->pidfd, &v.err) < 0))
		v.code = err_set(&v.err, EPIPE, "join the user namespace");
	if (v.code == 0) {
		do
			n = recv(link[1], &v, sizeof(v), 0);
		while (n < 0 && errno == EINTR);
		if (n != sizeof(v))
			v.code = err_set(&v.err, EPROTO, "the keeper of the outside ended without an answer");
	}
	close(link[1]);
	while (waitpid(keeper, &status, 0) < 0 && errno == EINTR)
		;
	if (v.code < 0)
		*e = v.err;
	return v.code;
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
	if (check(s, req, e) < 0 || add_env(c, req, e) < 0)
		return -e->code;
	c->late = geteuid() != 0 && spec_ns_new(s, NS_USER);
	if (open_namespaces(c, req, e) < 0 || seccomp_prepare(s->seccomp, req->seccomp_cache, &c->seccomp, e) < 0 ||
	    seccomp_notify_connect(s->seccomp, &c->seccomp, e) < 0 || prepare_mounts(c, req, e) < 0 ||
	    process_before_clone(&s->process, s->ns[NS_USER].present, warn_caller, (void *)req, e) < 0 ||
	    netdev_open(s, &c->link_sock, e) < 0 || make_cgroup(c, req, e) < 0 || join_namespaces(c, e) < 0 ||
	    (spec_ns_new(s, NS_TIME) && !c->late && ns_new_time(s, c->mounts.proc, e) < 0))
		return -e->code;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "socket pair");
	c->sync = pair[0];
	c->sync_init = pair[1];
	if (c->ns[NS_USER] >= 0 ? create_inside(c, req, e) < 0 : clone_init(c, req, e) < 0 || attend_init(c, req, e) < 0)
		return -e->code;
	systemd_end_waiter(&c->waiter);
	return 0;
}

int container_update(const char *cgroup, bool systemd_cgroup, const struct jnode *resources, struct err *e)
{
	/* systemd first: it writes its own idea of some files when it is told of others. */
	int r = systemd_cgroup ? systemd_update(strrchr(cgroup, '/') + 1, resources, e) : 0;

	return r < 0 ? r : cgroup_update(cgroup, resources, e);
}

int container_cgroup_remove(const char *cgroup, bool systemd_cgroup, int timeout_ms, struct err *e)
{
	int r = *cgroup ? cgroup_remove(cgroup, timeout_ms, e) : 0;

	return r == 0 && systemd_cgroup ? systemd_stop(strrchr(cgroup, '/') + 1, e) : r;
}

int container_discard(const char *id, const char *spec_path, bool systemd_cgroup, struct err *e)
{
	char path[CGROUP_PATH_MAX];
	struct systemd_unit unit;
	struct spec s;
	int r = spec_load(spec_path, &s, e);

	if (r < 0)
		return r;
	r = systemd_cgroup ? systemd_unit(s.cgroups_path, id, &unit, e) : cgroup_path(s.cgroups_path, id, path, e);
	if (r == 0)
		r = cgroup_kill_all(systemd_cgroup ? unit.path : path, e);
	if (r == 0)
		r = container_cgroup_remove(systemd_cgroup ? unit.path : path, systemd_cgroup, 5000, e);
	spec_free(&s);
	return r;
}

int container_create(const struct container_create *req, struct container_created *ret_created, struct err *e)
{
	struct creation c = { .sync = -1, .sync_init = -1, .pidfd = -1, .link_sock = -1,
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
		give_back(&c);
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
