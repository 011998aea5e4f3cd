/* SPDX-License-Identifier: Apache-2.0 */
/* From the runtime's identity to the process's, in an order where each step still has the rights it needs. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "base/sys.h"
#include "base/trace.h"
#include "container/internal.h"
#include "spec/caps.h"

static void __attribute__((format(printf, 3, 4))) warn(void (*to)(void *, const char *), void *arg, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	if (!to)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	to(arg, text);
}

/* --- capabilities -------------------------------------------------------------------------------- */

static int capabilities_get(uint64_t *ret_permitted)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) < 0)
		return -errno;
	*ret_permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted;
	return 0;
}

static int capabilities_set(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ (uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable },
		{ (uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32) },
	};

	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

int process_raise_capabilities(struct err *e)
{
	uint64_t held;
	int r = capabilities_get(&held);

	if (r == 0)
		r = capabilities_set(held, held, 0);
	return r < 0 ? err_set(e, -r, "raise the capabilities") : 0;
}

/* What can't be granted is a warning and not an error (config.md, "Linux Process"). */
static int limit_capabilities(struct spec_caps *c, void (*to)(void *, const char *), void *arg, struct err *e)
{
	uint64_t held = 0, missing;
	int r = capabilities_get(&held);

	if (r < 0)
		return err_set(e, -r, "read the runtime's own capabilities");
	missing = (c->bounding | c->permitted | c->inheritable) & ~held;
	for (int i = 0; i < CAPS_KNOWN; i++)
		if (missing & (UINT64_C(1) << i))
			warn(to, arg, "process.capabilities: %s is not held by the runtime itself", caps_name(i));
	c->bounding &= held;
	c->permitted &= held;
	c->effective &= held;
	c->inheritable &= held;
	c->ambient &= held;
	return 0;
}

/* The value of the specification; without one the caller's is kept (config.md, "oomScoreAdj"). */
static int set_oom_score(const struct spec_process *p, void (*to)(void *, const char *), void *arg, struct err *e)
{
	bool root = geteuid() == 0;
	char text[16];
	int r;

	if (!p->has_oom_score_adj)
		return 0;
	snprintf(text, sizeof(text), "%" PRId64, p->oom_score_adj);
	/* The files of a non-dumpable process are root's (proc(5)); nothing of a container is near yet. */
	if (!root)
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	r = io_write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", text);
	if (!root && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set(e, errno, "become non-dumpable");
	if (r == -EACCES || r == -EPERM)
		warn(to, arg, "oom_score_adj %s: lowering it is not permitted here", text);
	else if (r < 0)
		return err_set(e, -r, "oom_score_adj %s", text);
	return 0;
}

int process_before_clone(struct spec_process *p, bool own_user_ns, void (*to)(void *, const char *), void *arg,
			 struct err *e)
{
	if (p->caps.unknown)
		warn(to, arg, "process.capabilities: \"%.40s\" is no capability", p->caps.unknown);
	if (!own_user_ns && limit_capabilities(&p->caps, to, arg, e) < 0)
		return -e->code;
	return set_oom_score(p, to, arg, e);
}

static int drop_bounding(const struct spec_caps *caps, struct err *e)
{
	for (int i = 0; i < 64; i++) {
		int code;

		if ((caps->bounding & (UINT64_C(1) << i)) || prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0)
			continue;
		code = errno;
		if (code == EINVAL)
			break; /* past the last one of this kernel */
		/* Who may drop none has perhaps none to drop. */
		if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) != 0)
			return err_set(e, code, "drop %s from the bounding set", caps_name(i) ? caps_name(i) : "a capability");
	}
	return 0;
}

static int set_capabilities(const struct spec_caps *caps, struct err *e)
{
	int r;

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	r = capabilities_set(caps->effective, caps->permitted, caps->inheritable);
	if (r < 0)
		return err_set(e, -r, "set the capabilities");
	for (int i = 0; i < CAPS_KNOWN; i++)
		if ((caps->ambient & (UINT64_C(1) << i)) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
			return err_set(e, errno, "raise ambient %s", caps_name(i));
	return 0;
}

/* --- limits ------------------------------------------------------------------------ */

static int set_rlimit(const struct spec_rlimit *l, struct err *e)
{
	struct rlimit want = { l->soft, l->hard };

	if (setrlimit(l->resource, &want) < 0)
		return err_set(e, errno, "process.rlimits: set %s to %" PRIu64 ":%" PRIu64, l->name, l->soft, l->hard);
	return 0;
}

/* --- session, descriptors, folder ------------------------------------------------------------------ */

int process_session(const struct identity *id, struct err *e)
{
	if (setsid() < 0 && errno != EPERM) /* EPERM: leads one already */
		return err_set(e, errno, "start a session");
	if (id->keep_keyring)
		return 0;
	/* Else the container could read what lies in the session keyring of who started us. */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0) {
		if (errno != ENOSYS && errno != EPERM && errno != EDQUOT)
			return err_set(e, errno, "make a session keyring");
		if (errno != ENOSYS)
			warn(id->warn, id->warn_arg, "session keyring: %s", strerror(errno));
	}
	return 0;
}

int process_chdir(const struct spec_process *p, bool make, struct err *e)
{
	cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), dir = -1;
	char where[PATH_MAX];

	if (root < 0)
		return err_set(e, errno, "open the root");
	if (make ? path_mkdirs(root, p->cwd, 0755, &dir, e) < 0 :
		   path_open(root, p->cwd, O_PATH | O_DIRECTORY, 0, &dir, e) < 0)
		return err_wrap(e, "working folder \"%s\"", p->cwd);
	if (fchdir(dir) < 0)
		return err_set(e, errno, "working folder \"%s\"", p->cwd);
	/* A folder that is not below the root has no name from there: "(unreachable)..." (getcwd(3)). */
	if (syscall(SYS_getcwd, where, sizeof(where)) < 0 || where[0] != '/')
		return err_set(e, EPERM, "working folder \"%s\" is outside the container", p->cwd);
	return 0;
}

static int compare_int(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Every descriptor in a range, but the trace's. */
static void close_range_but_trace(unsigned int first, unsigned int last)
{
	unsigned int trace = (unsigned int)trace_fd;

	if (trace_fd < 0 || trace < first || trace > last) {
		sys_close_range(first, last, 0);
		return;
	}
	if (trace > first)
		sys_close_range(first, trace - 1, 0);
	if (trace < last)
		sys_close_range(trace + 1, last, 0);
}

void process_close_others(int preserved, int *keep, size_t count)
{
	unsigned int next = 3 + (unsigned int)preserved;

	qsort(keep, count, sizeof(*keep), compare_int);
	for (size_t i = 0; i < count; i++) {
		if (keep[i] < (int)next)
			continue;
		if ((unsigned int)keep[i] > next)
			close_range_but_trace(next, (unsigned int)keep[i] - 1);
		next = (unsigned int)keep[i] + 1;
	}
	close_range_but_trace(next, ~0U);
}

/*
 * Pipes and terminals go to the process's user, who may open /dev/stdout again. Files and devices
 * (a shared /dev/null) keep their owner.
 */
static int own_stdio(const struct spec_process *p, struct err *e)
{
	for (int fd = 0; fd < 3; fd++) {
		struct stat st;

		if (fstat(fd, &st) < 0)
			return err_set(e, errno, "look at descriptor %d", fd);
		if (st.st_uid == p->uid || !(S_ISFIFO(st.st_mode) || (S_ISCHR(st.st_mode) && isatty(fd))))
			continue;
		if (fchown(fd, p->uid, (gid_t)-1) < 0 && errno != EPERM && errno != EROFS && errno != EINVAL)
			return err_set(e, errno, "give descriptor %d to user %u", fd, p->uid);
	}
	return 0;
}

int process_stdio(const int stdio[3], const struct spec_process *p, struct err *e)
{
	int from[3];

	/* Out of the way first: a source may be one of 0, 1, 2. */
	for (int i = 0; i < 3; i++) {
		from[i] = fcntl(stdio[i], F_DUPFD_CLOEXEC, 3);
		if (from[i] < 0)
			return err_set(e, errno, "duplicate descriptor %d", stdio[i]);
	}
	for (int i = 0; i < 3; i++) {
		if (dup2(from[i], i) < 0)
			return err_set(e, errno, "set descriptor %d", i);
	}
	for (int i = 0; i < 3; i++)
		close(from[i]);
	if (p->terminal && ioctl(0, TIOCSCTTY, 0) < 0)
		return err_set(e, errno, "take the terminal");
	return own_stdio(p, e);
}

/* --- becoming, finding, running -------------------------------------------------------------------- */

/*
 * Without no_new_privs a filter may be loaded with CAP_SYS_ADMIN only: then the permitted set shrinks
 * after it, just before execve. So the filter meets as few of our own calls as can be.
 */
static bool late_capabilities(const struct identity *id)
{
	return !id->process->no_new_privileges && id->seccomp->needed;
}

int process_become(const struct identity *id, struct err *e)
{
	const struct spec_process *p = id->process;

	for (size_t i = 0; i < p->rlimit_count; i++)
		if (set_rlimit(&p->rlimits[i], e) < 0)
			return -e->code;
	if (process_schedule(p, e) < 0 || drop_bounding(&p->caps, e) < 0)
		return -e->code;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_set(e, errno, "keep capabilities over the change of user");
	/* The raw calls: the C library would signal threads that a cloned process does not have. */
	/* EINVAL: the user namespace has no such id. */
	if (id->no_setgroups && p->group_count)
		return err_set(e, EPERM, "process.user.additionalGids: the user namespace denies setgroups");
	if (!id->no_setgroups && syscall(SYS_setgroups, p->group_count, p->groups) < 0)
		return err_set(e, errno, "process.user.additionalGids: set %zu groups", p->group_count);
	if (syscall(SYS_setresgid, p->gid, p->gid, p->gid) < 0)
		return err_set(e, errno, "process.user.gid: become group %u%s", p->gid, errno == EINVAL ? ", which is not mapped" : "");
	if (syscall(SYS_setresuid, p->uid, p->uid, p->uid) < 0)
		return err_set(e, errno, "process.user.uid: become user %u%s", p->uid, errno == EINVAL ? ", which is not mapped" : "");
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return err_set(e, errno, "end keeping capabilities");
	umask(p->umask >= 0 ? (mode_t)p->umask : id->umask);
	if (p->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(e, errno, "set no_new_privs");
	if (late_capabilities(id)) {
		uint64_t held;
		int r = capabilities_get(&held);

		/* What counts for file access is the effective set: from here on it is the process's. */
		if (r == 0)
			r = capabilities_set(p->caps.effective, held, 0);
		if (r < 0)
			return err_set(e, -r, "set the capabilities");
	} else if (set_capabilities(&p->caps, e) < 0) {
		return -e->code;
	}
	/* The change of user may have made us dumpable (proc(5), suid_dumpable); nobody may look until execve. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set(e, errno, "stay non-dumpable");
	return 0;
}

static const char *env_value(const char *const *env, const char *name)
{
	size_t len = strlen(name);
	const char *found = NULL;

	for (; *env; env++)
		if (!strncmp(*env, name, len) && (*env)[len] == '=')
			found = *env + len + 1;
	return found;
}

/* 0 when `path` can be run by who we are now; else -errno. A folder is EISDIR. */
static int is_program(const char *path)
{
	cleanup_fd int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EACCES;
	if (syscall(SYS_faccessat2, fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS) == 0)
		return 0;
	if (errno != ENOSYS && errno != EPERM)
		return -errno;
	/* No such call before 5.8, or a filter that does not know it. No bit at all is certain; else execve will tell. */
	return st.st_mode & 0111 ? 0 : -EACCES;
}

/* ELF machines that the kernel runs by itself here. Source: elf.h, arch/x86/entry, arch/arm64 compat. */
static bool is_native(unsigned int machine)
{
#if defined(__x86_64__)
	return machine == 62 || machine == 3;
#elif defined(__aarch64__)
	return machine == 183 || machine == 40;
#else
	return machine != 0;
#endif
}

static const char *machine_name(unsigned int machine)
{
	switch (machine) {
	case 3: return "386";
	case 40: return "arm";
	case 62: return "amd64";
	case 183: return "arm64";
	case 243: return "riscv64";
	case 21: return "ppc64";
	case 22: return "s390x";
	case 258: return "loong64";
	default: return "another machine";
	}
}

/* A program of another architecture fails here, with its name, and not after the container was reported. */
static int check_format(const struct identity *id, const char *path, struct err *e)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	unsigned char head[20];
	unsigned int machine;

	if (fd < 0 || read(fd, head, sizeof(head)) != sizeof(head) || memcmp(head, "\177ELF", 4))
		return 0; /* may be run and not read; scripts: execve knows best */
	machine = head[5] == 2 ? (unsigned int)head[18] << 8 | head[19] : (unsigned int)head[19] << 8 | head[18];
	if (!is_native(machine) && !id->foreign_ok)
		return err_set(e, ENOEXEC, "exec \"%s\": the program is for %s (in the rootfs)", path, machine_name(machine));
	return 0;
}

int process_find_program(const struct identity *id, char *ret_path, size_t size, struct err *e)
{
	const char *name = id->process->args[0], *search = env_value(id->env, "PATH");
	int worst = -ENOENT, r;

	if (strchr(name, '/')) {
		if (strlen(name) >= size)
			return err_set(e, ENAMETOOLONG, "exec \"%.200s\" (in the rootfs)", name);
		strcpy(ret_path, name);
		r = is_program(name);
		return r < 0 ? err_set(e, -r, "exec \"%s\" (in the rootfs)", name) : check_format(id, name, e);
	}
	if (!search || !*search)
		search = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	for (const char *p = search; ; p++) {
		size_t len = strcspn(p, ":");
		int n = len ? snprintf(ret_path, size, "%.*s/%s", (int)len, p, name) : snprintf(ret_path, size, "./%s", name);

		if (n > 0 && (size_t)n < size) {
			r = is_program(ret_path);
			if (r == 0)
				return check_format(id, ret_path, e);
			if (r != -ENOENT && r != -ENOTDIR && r != -EISDIR && worst == -ENOENT)
				worst = r;
		}
		p += len;
		if (!*p)
			break;
	}
	return err_set(e, -worst, "exec \"%.100s\" (in the rootfs, PATH %.200s)", name, search);
}

int process_exec(const struct identity *id, const char *path, struct err *e)
{
	const struct spec_process *p = id->process;
	int code;

	/* The last word: what the filter lets us do is not known. */
	trace_step("exec", path);
	if (late_capabilities(id)) {
		uint64_t held;
		int r = capabilities_get(&held);

		if (r == 0)
			r = capabilities_set(held, held, 0);
		if (r < 0)
			return err_set(e, -r, "raise capabilities for the seccomp filter");
		if (seccomp_load_filter(id->seccomp, e) < 0 || set_capabilities(&p->caps, e) < 0)
			return -e->code;
	} else if (seccomp_load_filter(id->seccomp, e) < 0) {
		return -e->code;
	}
	execve(path, (char *const *)p->args, (char *const *)id->env);
	code = errno;
	/* The program was there a moment ago: what is missing is its "#!" or ELF interpreter. */
	if (code == ENOENT && faccessat(AT_FDCWD, path, F_OK, 0) == 0)
		return err_set(e, code, "exec \"%s\": its interpreter is missing (in the rootfs)", path);
	return err_set(e, code, "exec \"%s\" (in the rootfs)", path);
}
