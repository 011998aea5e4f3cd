/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "unpack/seccomp.h"

/* zstd's window of 128 MiB, the list of folders of a very large layer, and room. */
#define MEMORY_MAX (768ul << 20)
#define FILES_MAX 64
#define PARENTS_MAX 500

/* Keep CHOWN, DAC_OVERRIDE, FOWNER, FSETID, MKNOD, SETFCAP. */
static const int kept[] = { CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_MKNOD, CAP_SETFCAP };

static int drop_capabilities(struct err *e)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };
	uint64_t keep = 0;

	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		keep |= 1ull << kept[i];
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap) < 0)
			return err_set(e, errno, "drop capability %d", cap);
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_set(e, errno, "clear ambient capabilities");
	data[0].permitted = data[0].effective = (uint32_t)keep;
	data[1].permitted = data[1].effective = (uint32_t)(keep >> 32);
	if (syscall(SYS_capset, &header, data) < 0)
		return err_set(e, errno, "set capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(e, errno, "no_new_privs");
	return 0;
}

/*
 * Landlock, where it is there and knows renames and links between folders (ABI 2, kernel 5.19): files
 * below the root may be read and written, none executed; and no TCP where it knows that (ABI 4).
 * Beside the root of its own it is a second fence.
 */
static int landlock(struct err *e)
{
	const long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	/* With the fields of newer kernels: handled_access_net came with ABI 4. */
	struct {
		uint64_t fs, net;
	} rules = { .fs = (LANDLOCK_ACCESS_FS_REFER << 1) - 1, .net = abi >= 4 ? 3 : 0 /* bind, connect */ };
	struct landlock_path_beneath_attr all = { 0 };
	cleanup_fd int ruleset = -1, root = -1;

	if (abi < 2)
		return 0;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, abi >= 4 ? sizeof(rules) : sizeof(rules.fs), 0);
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ruleset < 0 || root < 0)
		return err_set(e, errno, "make Landlock rules");
	all.allowed_access = rules.fs & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE;
	all.parent_fd = root;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &all, 0) < 0 ||
	    syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return err_set(e, errno, "set Landlock rules");
	return 0;
}

static int limit(int resource, rlim_t value, struct err *e)
{
	const struct rlimit to = { value, value };

	return setrlimit(resource, &to) < 0 ? err_set(e, errno, "set limit %d", resource) : 0;
}

static int limits(struct err *e)
{
	int r = limit(RLIMIT_NOFILE, FILES_MAX, e);

	if (r == 0)
		r = limit(RLIMIT_CORE, 0, e);
#ifndef __SANITIZE_ADDRESS__ /* the sanitizer reserves terabytes of addresses */
	if (r == 0)
		r = limit(RLIMIT_AS, MEMORY_MAX, e);
#endif
	return r;
}

/*
 * The lower layers in one read-only view: by overlayfs, from binds with short names, which need no
 * escaping and fit into mount(2)'s one page on any kernel.
 */
static int mount_lower(const struct sandbox *box, struct err *e)
{
	char options[4096] = "userxattr,lowerdir=";
	size_t used = strlen(options);

	if (box->parent_count > PARENTS_MAX)
		return err_set(e, EINVAL, "%zu lower layers", box->parent_count);
	if ((mkdir("lower", 0700) < 0 && errno != EEXIST) ||
	    mount("tmpfs", "lower", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0 ||
	    mkdir(SANDBOX_LOWER, 0700) < 0)
		return err_set(e, errno, "prepare the view of the lower layers");
	for (size_t i = 0; i < box->parent_count; i++) {
		char at[32];

		snprintf(at, sizeof(at), "lower/%zu", i);
		if (mkdir(at, 0700) < 0 || mount(box->parents[i], at, NULL, MS_BIND, NULL) < 0)
			return err_set(e, errno, "bind the lower layer %s", box->parents[i]);
		used += (size_t)snprintf(options + used, sizeof(options) - used, "%s%s", i ? ":" : "", at);
	}
	/* Overlayfs wants two; a layer on top that is empty makes no difference. */
	if (box->parent_count == 1) {
		if (mkdir("lower/none", 0700) < 0)
			return err_set(e, errno, "prepare the view of the lower layers");
		snprintf(options + used, sizeof(options) - used, ":lower/none");
	}
	if (mount("overlay", SANDBOX_LOWER, "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		return err_set(e, errno, "mount the view of %zu lower layers", box->parent_count);
	return 0;
}

/* The folder becomes "/"; nothing of the host stays mounted. */
static int pivot(const struct sandbox *box, struct err *e)
{
	int r;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_set(e, errno, "make mounts private");
	if (mount(box->dir, box->dir, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, box->dir, NULL, MS_BIND | MS_REMOUNT | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return err_set(e, errno, "bind %s", box->dir);
	if (chdir(box->dir) < 0)
		return err_set(e, errno, "enter %s", box->dir);
	if (box->parent_count) {
		r = mount_lower(box, e);
		if (r < 0)
			return r;
	}
	if (sys_pivot_root(".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_set(e, errno, "pivot to %s", box->dir);
	return 0;
}

static int enter(const struct sandbox *box, struct err *e)
{
	int r = pivot(box, e);

	if (r == 0)
		r = limits(e);
	if (r == 0)
		r = drop_capabilities(e);
	if (r == 0)
		r = landlock(e);
#ifndef __SANITIZE_ADDRESS__ /* its runtime makes calls of its own */
	if (r == 0)
		r = seccomp_lock(e);
#endif
	return r;
}

static void child(const struct sandbox *box, int (*fn)(void *ctx), void *ctx, int report)
{
	struct err e = { 0 };

	/* PID 1 of its namespace: killed when the parent goes, whatever way. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 0);
	if (report != 3) {
		dup3(report, 3, O_CLOEXEC);
		report = 3;
	}
	sys_close_range(4, ~0u, 0);
	umask(0);
	if (enter(box, &e) < 0) {
		/* One write of a small struct to a pipe: whole or not at all. */
		if (write(report, &e, sizeof(e)) < 0)
			_exit(255);
		_exit(254);
	}
	close(report);
	exit(fn(ctx));
}

static int wait_for(pid_t pid, struct err *e)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "wait for the unpacking process");
	if (WIFSIGNALED(status))
		return err_set(e, WTERMSIG(status) == SIGSYS ? EPERM : EIO,
			       "unpacking process was ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

int sandbox_run(const struct sandbox *box, int (*fn)(void *ctx), void *ctx, struct err *e)
{
	cleanup_fd int read_end = -1, write_end = -1;
	struct err failed;
	int ends[2];
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(e, errno, "make a pipe");
	read_end = ends[0];
	write_end = ends[1];
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID) < 0)
		return err_set(e, errno, "make namespaces");
	pid = fork();
	if (pid < 0)
		return err_set(e, errno, "fork");
	if (pid == 0)
		child(box, fn, ctx, write_end);
	close(write_end);
	write_end = -1;
	do
		n = read(read_end, &failed, sizeof(failed));
	while (n < 0 && errno == EINTR);
	if (n == sizeof(failed)) {
		waitpid(pid, NULL, 0);
		failed.step[sizeof(failed.step) - 1] = '\0';
		*e = failed;
		return -e->code;
	}
	return wait_for(pid, e);
}
