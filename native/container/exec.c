/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One more process in a running container. The runner enters all its namespaces with one setns(2) on
 * the pidfd of init, then clones once; the child drops what it has and runs the program.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "base/trace.h"
#include "container/internal.h"

#define CHILD_STACK (256 * 1024)

struct execution {
	struct spec spec;
	json_t *doc;
	struct spec_process process;
	struct seccomp_filter seccomp;
	struct cgroup_join join;
	char cgroup[CGROUP_PATH_MAX]; /* of the exec itself, when one was made; else "" */
	mode_t umask; /* the caller's */
	bool no_setgroups;
	int home; /* the runner's own mount namespace: where the cgroup filesystem is */
	int proc;
	int stdio[3];
	int sync;
	pid_t pid;
	int pidfd;
};

static void warn_caller(void *arg, const char *text)
{
	const struct container_exec *req = arg;

	if (req->warn)
		req->warn(text);
}

/*
 * An exec never has more than its container, unless who asks may make containers as well: what the process object leaves out is the container's,
 * what it asks for on top is refused.
 */
static int bound(struct execution *x, const struct container_exec *req, const struct jnode *given, struct err *e)
{
	const struct spec_process *of = &x->spec.process;
	struct spec_process *p = &x->process;
	struct jnode caps = json_get(given, "capabilities");

	if (!p->caps.present) {
		p->caps = of->caps;
		/* A user of its own takes no ambient or effective set with it that root was meant to have. */
		if (p->uid != 0 && of->uid == 0)
			p->caps.effective = p->caps.permitted = p->caps.ambient;
	} else if (!req->trusted && (p->caps.bounding | p->caps.permitted | p->caps.inheritable) & ~of->caps.bounding) {
		return json_refuse(&caps, e, "more than the container has");
	}
	if (!json_get(given, "noNewPrivileges").value)
		p->no_new_privileges = of->no_new_privileges;
	if (!json_get(given, "apparmorProfile").value)
		p->apparmor_profile = of->apparmor_profile;
	if (!json_get(given, "selinuxLabel").value)
		p->selinux_label = of->selinux_label;
	if (!p->has_oom_score_adj) {
		p->oom_score_adj = of->oom_score_adj;
		p->has_oom_score_adj = of->has_oom_score_adj;
	}
	if (!p->exec_cpus_initial.present)
		p->exec_cpus_initial = of->exec_cpus_initial;
	if (!p->exec_cpus_final.present)
		p->exec_cpus_final = of->exec_cpus_final;
	/* Masks are inherited by what a container starts; an exec has no such parent there. */
	if (p->umask < 0)
		p->umask = of->umask;
	if (!json_get(given, "rlimits").value) {
		free(p->rlimits);
		p->rlimits = calloc(of->rlimit_count + 1, sizeof(*p->rlimits));
		if (!p->rlimits)
			return err_set(e, ENOMEM, "copy the rlimits");
		memcpy(p->rlimits, of->rlimits, of->rlimit_count * sizeof(*p->rlimits));
		p->rlimit_count = of->rlimit_count;
	}
	return 0;
}

/* What the container is allowed, and its filter; in short where the caller knows it and the filter is compiled. */
static int read_container(struct execution *x, const struct container_exec *req, struct err *e)
{
	const struct container_bound *b = req->bound;

	if (b && b->usable) {
		if (bound_to_spec(b, &x->spec, e) < 0)
			return -e->code;
		if (!b->has_seccomp)
			return 0;
		if (seccomp_cached(req->seccomp_cache, b->seccomp, &x->seccomp, e) == 0) {
			x->seccomp.flags = b->seccomp_flags;
			return 0;
		}
		spec_free(&x->spec);
	}
	if (spec_load(req->spec_path, &x->spec, e) < 0)
		return -e->code;
	if (!x->spec.has_process)
		return err_set(e, EINVAL, "%s: process is missing", req->spec_path);
	if (seccomp_prepare(x->spec.seccomp, req->seccomp_cache, &x->seccomp, e) < 0)
		return -e->code;
	return seccomp_notify_connect(x->spec.seccomp, &x->seccomp, e);
}

static int read_request(struct execution *x, const struct container_exec *req, struct err *e)
{
	struct jnode process;

	if (read_container(x, req, e) < 0)
		return -e->code;
	if (json_parse(req->process_json, req->process_len, &x->doc, e) < 0)
		return err_wrap(e, "process");
	process = json_top(x->doc, "process");
	if (spec_process_parse(&process, &x->process, e) < 0 || bound(x, req, &process, e) < 0)
		return -e->code;
	if (x->process.terminal && req->console_sock < 0)
		return err_set(e, EINVAL, "process.terminal: nobody takes the terminal");
	return labels_check(NULL, &x->process, e);
}

static int open_cgroup(struct execution *x, const struct container_exec *req, struct err *e)
{
	char path[CGROUP_PATH_MAX];

	if (req->container_cgroup && !*req->container_cgroup)
		return 0; /* made by a caller without rights to cgroups */
	if (req->container_cgroup)
		snprintf(path, sizeof(path), "%s", req->container_cgroup);
	else if (cgroup_path(x->spec.cgroups_path, req->id, path, e) < 0)
		return -e->code;
	if (req->join)
		x->join = *req->join;
	else if (cgroup_join_open(path, &x->join, e) < 0)
		return -e->code;
	for (const char *const *below = req->cgroups; below && *below; below++)
		if (cgroup_join_below(path, *below, &x->join, e) < 0)
			return -e->code;
	if (!req->cgroup)
		return 0;
	x->home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (x->home < 0)
		return err_set(e, errno, "open the own mount namespace");
	if (cgroup_create_sub(path, req->cgroup, &x->join, e) < 0)
		return -e->code;
	if ((size_t)snprintf(x->cgroup, sizeof(x->cgroup), "%s/%s", path, req->cgroup) >= sizeof(x->cgroup))
		return err_set(e, ENAMETOOLONG, "cgroup of the exec");
	return 0;
}

/* The runner itself, whose child inherits it. */
static int join_rdt(struct execution *x, const struct container_exec *req, struct err *e)
{
	struct rdt rdt;

	return rdt_prepare(&x->spec.rdt, req->id, &rdt, e) < 0 || rdt_enter(&rdt, 0, e) < 0 ? -e->code : 0;
}

/* Whether the process is in another namespace of this kind than we are. */
static bool is_other(int proc, enum spec_ns_kind kind)
{
	char own[40], path[24];
	struct stat a, b;

	snprintf(path, sizeof(path), "ns/%s", spec_ns_names[kind].proc);
	snprintf(own, sizeof(own), "/proc/self/%s", path);
	return fstatat(proc, path, &a, 0) < 0 || stat(own, &b) < 0 || a.st_ino != b.st_ino || a.st_dev != b.st_dev;
}

static int join_namespaces(struct execution *x, const struct container_exec *req, struct err *e)
{
	int flags = CLONE_NEWNS;

	/* All of init's: what it shares with us is joined for nothing, what it got by inheritance is not in the spec. */
	flags |= CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
	/* Not yet the cgroup namespace: from inside, a v2 hierarchy with nsdelegate lets nobody be put from
	 * outside into it (ENOENT, cgroups(7)). The child enters it when it is in its cgroup. */
	if (x->spec.ns[NS_TIME].present)
		flags |= CLONE_NEWTIME;
	if (x->spec.ns[NS_USER].present) {
		cleanup_fd int proc = -1;
		char path[32];

		snprintf(path, sizeof(path), "/proc/%d", req->init_pid);
		proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (proc < 0)
			return err_set(e, errno, "open %s", path);
		/* The host's are not for the namespace's root to enter, and we may be no more than that. */
		flags = 0;
		for (int kind = 0; kind < NS_KINDS; kind++)
			if (kind != NS_CGROUP && is_other(proc, (enum spec_ns_kind)kind))
				flags |= spec_ns_names[kind].flag;
		x->no_setgroups = !process_may_setgroups(proc);
	}
	if (setns(req->init_pidfd, flags) < 0)
		return err_set(e, errno, "enter the namespaces of process %d", req->init_pid);
	return 0;
}

static void __attribute__((noreturn)) fail(int fd, const struct err *why)
{
	struct sync_msg m = { .type = SYNC_ERROR, .err = *why };
	struct err ignored;

	sync_send(fd, &m, &ignored);
	_exit(1);
}

static void warn_runner(void *arg, const char *text)
{
	const struct execution *x = arg;
	struct sync_msg m = { .type = SYNC_WARN };
	struct err ignored;

	snprintf(m.err.step, sizeof(m.err.step), "%s", text);
	sync_send(x->sync, &m, &ignored);
}

/* Asks the runner who we are outside. */
static int describe_to_agent(struct execution *x, const struct container_exec *req, struct err *e)
{
	cleanup_free char *folder = NULL;
	struct hook_state state = { .id = req->id, .bundle = req->bundle, .status = "running", .pid = req->init_pid };
	struct sync_msg m = { .type = SYNC_HOOKS };
	int r;

	if (!x->seccomp.notify)
		return 0;
	if (!state.bundle) {
		folder = strdup(req->spec_path);
		if (!folder)
			return err_set(e, ENOMEM, "state for the seccomp agent");
		state.bundle = dirname(folder);
	}
	if ((r = sync_send(x->sync, &m, e)) < 0 || (r = sync_recv(x->sync, &m, e)) < 0)
		return r;
	return seccomp_notify_describe(&x->spec, &state, m.pid, &x->seccomp, e);
}

static int child_console(struct execution *x, const struct container_exec *req, struct err *e)
{
	cleanup_fd int root = -1;
	int slave = -1;

	if (!x->process.terminal)
		return 0;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_set(e, errno, "open the root");
	if (console_open(root, &x->process, req->console_sock, &slave, e) < 0)
		return -e->code;
	x->stdio[0] = x->stdio[1] = x->stdio[2] = slave;
	return 0;
}

static void __attribute__((noreturn)) child_main(struct execution *x, const struct container_exec *req, bool foreign_ok)
{
	struct identity id = { .process = &x->process, .seccomp = &x->seccomp, .warn = warn_runner, .warn_arg = x,
			       .foreign_ok = foreign_ok, .umask = x->umask, .no_setgroups = x->no_setgroups };
	int keep[] = { x->sync, x->proc, x->stdio[0], x->stdio[1], x->stdio[2], req->console_sock,
		       x->seccomp.notify ? x->seccomp.agent : -1 };
	int last[] = { x->sync, x->seccomp.notify ? x->seccomp.agent : -1 };
	char program[PATH_MAX];
	struct err e = { 0 };

	trace_step("enter cgroups", NULL);
	process_close_others(req->preserve_fds, keep, sizeof(keep) / sizeof(keep[0]));
	if (process_cpus(&x->process, &e) < 0)
		fail(x->sync, &e);
	/* Root of the user namespace, which may be another than the runtime's: what it makes is then its own. */
	if (x->spec.ns[NS_USER].present && userns_become_root(&x->process, x->no_setgroups, &e) < 0)
		fail(x->sync, &e);
	if (describe_to_agent(x, req, &e) < 0 || process_session(&id, &e) < 0 || labels_apply(&x->process, x->proc, &e) < 0 ||
	    child_console(x, req, &e) < 0)
		fail(x->sync, &e);
	trace_step("session and console", NULL);
	if (process_memory_policy(&x->spec.memory_policy, &e) < 0)
		fail(x->sync, &e);
	if (x->spec.personality != PERSONALITY_NONE && personality((unsigned long)x->spec.personality) < 0) {
		err_set(&e, errno, "linux.personality");
		fail(x->sync, &e);
	}
	if (process_stdio(x->stdio, &x->process, &e) < 0)
		fail(x->sync, &e);
	process_close_others(req->preserve_fds, last, 2);
	trace_step("stdio", NULL);
	if (process_environment(&id, &e) < 0 || traced("working folder", process_chdir(&x->process, false, &e)) < 0 ||
	    traced("limits, user and capabilities", process_become(&id, &e)) < 0 ||
	    traced("find the program", process_find_program(&id, program, sizeof(program), &e)) < 0)
		fail(x->sync, &e);
	x->seccomp.errors = x->sync;
	process_exec(&id, program, &e);
	fail(x->sync, &e);
}

struct child {
	struct execution x; /* the runner's own stays as it is */
	const struct container_exec *req;
	bool foreign_ok;
};

static void child_begin(void *arg)
{
	struct child *c = arg;
	struct err e = { 0 };

	trace_as("process");
	/* Into the v1 groups first: what follows is the container's cost. */
	if (cgroup_join_self(&c->x.join, &e) < 0)
		fail(c->x.sync, &e);
	if (c->x.spec.ns[NS_CGROUP].present && setns(c->req->init_pidfd, CLONE_NEWCGROUP) < 0) {
		err_set(&e, errno, "enter the cgroup namespace of process %d", c->req->init_pid);
		fail(c->x.sync, &e);
	}
	child_main(&c->x, c->req, c->foreign_ok);
}

/* Below it a page that is no one's: a stack that is too small is a fault, and no other's memory. */
static char *child_stack(struct err *e)
{
	char *low = mmap(NULL, CHILD_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (low == MAP_FAILED || mprotect(low, 4096, PROT_NONE) < 0) {
		err_set(e, errno, "stack of the process");
		return NULL;
	}
	return low;
}

static int clone_child(struct execution *x, const struct container_exec *req, bool foreign_ok, struct err *e)
{
	struct sys_clone_args args = { .flags = CLONE_PARENT | CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&x->pidfd };
	struct child child = { .x = *x, .req = req, .foreign_ok = foreign_ok };
	const struct trace_place here = trace_here();
	char *stack = child_stack(e);
	int pair[2];

	if (!stack)
		return -e->code;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "socket pair");
	/* The runner has nothing to do until the program runs (its step "clone the process" lasts so long), unless an
	 * agent is to be told of the process; another time namespace is for a memory of its own (time_namespaces(7)). */
	if (!x->seccomp.notify && !x->spec.ns[NS_TIME].present)
		args.flags |= CLONE_VM | CLONE_VFORK;
	args.stack = (uint64_t)(uintptr_t)stack;
	args.stack_size = CHILD_STACK;
	if (x->join.v2 >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)x->join.v2;
	}
	child.x.sync = pair[1];
	x->pid = sys_clone3_run(&args, child_begin, &child);
	trace_back(here);
	x->sync = pair[0];
	close(pair[1]);
	return traced("clone the process", x->pid < 0 ? err_set(e, errno, "clone the process") : 0);
}

/* Until the program runs (the child's end closes at execve) or the child says why not. */
static int attend(struct execution *x, const struct container_exec *req, struct err *e)
{
	struct err why = { 0 };
	struct sync_msg m;
	int r;

	while ((r = sync_recv(x->sync, &m, &why)) == 0 && m.type != SYNC_ERROR) {
		if (m.type == SYNC_WARN) {
			warn_caller((void *)req, m.err.step);
			continue;
		}
		m = (struct sync_msg){ .type = SYNC_HOOKS, .pid = x->pid };
		if (sync_send(x->sync, &m, e) < 0)
			return -e->code;
	}
	if (r == -EPIPE)
		return 0;
	*e = r == 0 ? m.err : why;
	return -(e->code ? e->code : (e->code = EIO));
}

static int set_up(struct execution *x, const struct container_exec *req, struct err *e)
{
	bool foreign_ok = access("/proc/sys/fs/binfmt_misc/status", F_OK) == 0;

	if (traced("read the container and the process", read_request(x, req, e)) < 0 ||
	    process_before_clone(&x->process, x->spec.ns[NS_USER].present, warn_caller, (void *)req, e) < 0 ||
	    traced("open cgroups", open_cgroup(x, req, e)) < 0 || join_rdt(x, req, e) < 0)
		return -e->code;
	/* From the host's /proc; only labels need it, and only then does the child hold it. */
	if (x->process.apparmor_profile || x->process.selinux_label) {
		x->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (x->proc < 0)
			return err_set(e, errno, "open /proc");
	}
	for (int i = 0; i < 3; i++) {
		x->stdio[i] = req->stdio[i] >= 0 ? req->stdio[i] : open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
		if (x->stdio[i] < 0)
			return err_set(e, errno, "open /dev/null");
	}
	if (process_initial_cpus(&x->process, e) < 0)
		return -e->code;
	if (traced("join namespaces", join_namespaces(x, req, e)) < 0 || clone_child(x, req, foreign_ok, e) < 0)
		return -e->code;
	return traced("wait for the program to run", attend(x, req, e));
}

/* The child is the caller's to reap; here only that it is dead is waited for. */
static void give_back(struct execution *x)
{
	struct err ignored;

	if (x->pid > 0) {
		struct pollfd p = { .fd = x->pidfd, .events = POLLIN };

		sys_pidfd_send_signal(x->pidfd, SIGKILL);
		poll(&p, 1, 5000);
	}
	cgroup_join_close(&x->join);
	if (*x->cgroup && (x->home < 0 || setns(x->home, CLONE_NEWNS) == 0))
		cgroup_remove(x->cgroup, 1000, &ignored);
}

int container_exec(const struct container_exec *req, pid_t *ret_pid, struct err *e)
{
	struct execution x = { .home = -1, .proc = -1, .sync = -1, .pidfd = -1, .stdio = { -1, -1, -1 } };
	int r;

	memset(&x.join, 0xff, sizeof(x.join));
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set(e, errno, "become non-dumpable");
	x.umask = umask(022);
	r = set_up(&x, req, e);
	if (r < 0)
		give_back(&x);
	else
		*ret_pid = x.pid;
	return r;
}
