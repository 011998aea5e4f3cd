/* SPDX-License-Identifier: Apache-2.0 */
#include "pod.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "cgroup/systemd.h"
#include "monitor/oci.h"
#include "monitor/pause.h"
#include "monitor/pod_user.h"
#include "monitor/sysctl.h"

struct pod pod;

void process_start_time(pid_t pid, char ret[24])
{
	char path[64], buf[1024], *p;
	ssize_t n;

	ret[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	n = io_read_small_at(AT_FDCWD, path, buf, sizeof(buf));
	p = n > 0 ? strrchr(buf, ')') : NULL; /* a command's name may hold anything, also ") 1 2" */
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p)
		snprintf(ret, 24, "%.*s", (int)strcspn(p + 1, " "), p + 1);
}

/* From the child that made the namespaces: one message with the descriptors in this order. */
enum { FD_NET, FD_IPC, FD_UTS, FD_SHM, FD_NET_DEV, FD_USER, FD_COUNT };

static int pin_netns(const char *pin, struct err *e)
{
	cleanup_unlink const char *made = NULL;
	cleanup_fd int fd = -1;
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(pin, '/') - pin), pin);
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return err_set(e, errno, "make folder \"%s\"", dir);
	fd = open(pin, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
	if (fd < 0)
		return err_set(e, errno, "create netns pin \"%s\"", pin);
	made = pin;
	if (mount("/proc/self/ns/net", pin, NULL, MS_BIND, NULL) < 0)
		return err_set(e, errno, "bind the network namespace to \"%s\"", pin);
	made = NULL;
	return 0;
}

/*
 * A mount namespace of nothing but the pod's /dev/shm: a container's runner enters it, clones its
 * root, and takes the clone along. Nothing of the host is held busy by it.
 */
static int make_shm(const struct pod *p, int *ret_fd, struct err *e)
{
	cleanup_fd int fs = -1;
	cleanup_fd int tree = -1;
	cleanup_fd int ns = -1;
	char size[32], root[16];

	if (unshare(CLONE_NEWNS) < 0)
		return err_set(e, errno, "unshare the mount namespace of /dev/shm");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_set(e, errno, "make the mounts beside /dev/shm private");
	ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (ns < 0)
		return err_set(e, errno, "open the mount namespace of /dev/shm");
	fs = sys_fsopen("tmpfs", FSOPEN_CLOEXEC);
	snprintf(root, sizeof(root), "%u", p->id_map.outside);
	/* size=0 would be no limit at all. */
	snprintf(size, sizeof(size), "%llu", (unsigned long long)(p->shm_bytes ? p->shm_bytes : 4096));
	if (fs < 0 || sys_fsconfig_string(fs, "source", "shm") < 0 || sys_fsconfig_string(fs, "size", size) < 0 ||
	    sys_fsconfig_string(fs, "mode", "1777") < 0 ||
	    (p->own_user && (sys_fsconfig_string(fs, "uid", root) < 0 || sys_fsconfig_string(fs, "gid", root) < 0)) ||
	    sys_fsconfig_create(fs) < 0)
		return err_set(e, errno, "make the pod's /dev/shm of %s bytes", size);
	tree = sys_fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (tree < 0 || sys_move_mount(tree, "", AT_FDCWD, p->run_dir, MOVE_MOUNT_F_EMPTY_PATH) < 0 || fchdir(tree) < 0)
		return err_set(e, errno, "mount the pod's /dev/shm");
	/* pivot_root(2) refuses when the root is the initramfs: then the mount is moved over it. */
	if (sys_pivot_root(".", ".") == 0) {
		if (umount2(".", MNT_DETACH) < 0)
			return err_set(e, errno, "detach the host's mounts from /dev/shm");
	} else if (mount(".", "/", NULL, MS_MOVE, NULL) < 0) {
		return err_set(e, errno, "make /dev/shm a root");
	}
	*ret_fd = take_fd(&ns);
	return 0;
}

static int make_namespaces(const struct pod *p, int fds[FD_COUNT], bool *pinned, struct err *e)
{
	int flags = (p->network == NS_POD ? CLONE_NEWNET : 0) | (p->ipc == NS_POD ? CLONE_NEWIPC : 0) |
		    (p->uts == NS_POD ? CLONE_NEWUTS : 0);

	if (p->own_user) {
		if (pod_user_make(p, flags, &fds[FD_USER], e) < 0)
			return -e->code;
	} else if (flags && unshare(flags) < 0) {
		return err_set(e, errno, "unshare the pod's namespaces");
	} else if (pod_sysctls(p->sysctls, p->network == NS_POD, p->ipc == NS_POD, e) < 0) {
		return -e->code;
	}
	if (p->uts == NS_POD && p->hostname && p->hostname[0] && sethostname(p->hostname, strlen(p->hostname)) < 0)
		return err_set(e, errno, "set hostname \"%s\"", p->hostname);
	if (p->network == NS_POD)
		fds[FD_NET] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (p->ipc == NS_POD)
		fds[FD_IPC] = open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC);
	if (p->uts == NS_POD)
		fds[FD_UTS] = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
	fds[FD_NET_DEV] = open("/proc/self/net/dev", O_RDONLY | O_CLOEXEC);
	if ((p->network == NS_POD && fds[FD_NET] < 0) || (p->ipc == NS_POD && fds[FD_IPC] < 0) ||
	    (p->uts == NS_POD && fds[FD_UTS] < 0) || fds[FD_NET_DEV] < 0)
		return err_set(e, errno, "open the pod's namespaces");
	if (p->netns_pin && pin_netns(p->netns_pin, e) < 0)
		return -e->code;
	*pinned = p->netns_pin != NULL;
	return make_shm(p, &fds[FD_SHM], e);
}

struct ns_message {
	struct err e;
	bool pinned;
	bool have[FD_COUNT];
};

static void send_namespaces(int sock, struct ns_message *m, const int fds[FD_COUNT])
{
	char control[CMSG_SPACE(sizeof(int) * FD_COUNT)] = { 0 };
	struct iovec iov = { m, sizeof(*m) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int n = 0;

	for (int i = 0; i < FD_COUNT; i++) {
		m->have[i] = fds[i] >= 0;
		if (fds[i] >= 0) {
			msg.msg_control = control;
			memcpy(CMSG_DATA((struct cmsghdr *)control) + sizeof(int) * (size_t)n++, &fds[i], sizeof(int));
		}
	}
	if (n) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n);
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n);
	}
	sendmsg(sock, &msg, MSG_NOSIGNAL);
}

static int receive_namespaces(int sock, struct ns_message *m, int fds[FD_COUNT], struct err *e)
{
	char control[CMSG_SPACE(sizeof(int) * FD_COUNT)];
	struct iovec iov = { m, sizeof(*m) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	ssize_t n;
	int next = 0;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(*m))
		return err_set(e, EPROTO, "make the pod's namespaces: the child ended");
	c = CMSG_FIRSTHDR(&msg);
	for (int i = 0; i < FD_COUNT; i++) {
		fds[i] = -1;
		if (m->have[i] && c)
			memcpy(&fds[i], CMSG_DATA(c) + sizeof(int) * (size_t)next++, sizeof(int));
	}
	return 0;
}

/* Runs in the child. It is thrown away afterwards: unshare(2) moves the caller, the monitor stays on the host. */
static void __attribute__((noreturn)) namespaces_child(const struct pod *p, int sock)
{
	int fds[FD_COUNT] = { -1, -1, -1, -1, -1, -1 };
	struct ns_message m = { 0 };

	if (make_namespaces(p, fds, &m.pinned, &m.e) < 0)
		for (int i = 0; i < FD_COUNT; i++)
			fds[i] = -1;
	send_namespaces(sock, &m, fds);
	_exit(0);
}

int pod_begin(const struct pod *p, int *ret_sock, pid_t *ret_child, struct err *e)
{
	int pair[2];
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "socket to the namespaces' child");
	child = fork();
	if (child == 0)
		namespaces_child(p, pair[1]);
	close(pair[1]);
	if (child < 0) {
		close(pair[0]);
		return err_set(e, errno, "fork the namespaces' child");
	}
	*ret_sock = pair[0];
	*ret_child = child;
	return 0;
}

static int finish_namespaces(struct pod *p, int sock, struct err *e)
{
	int fds[FD_COUNT] = { -1, -1, -1, -1, -1, -1 };
	struct ns_message m;

	if (receive_namespaces(sock, &m, fds, e) < 0)
		return -e->code;
	p->pinned = m.pinned;
	if (m.e.code) {
		*e = m.e;
		return -e->code;
	}
	p->net_fd = fds[FD_NET];
	p->ipc_fd = fds[FD_IPC];
	p->uts_fd = fds[FD_UTS];
	p->shm_fd = fds[FD_SHM];
	p->net_dev_fd = fds[FD_NET_DEV];
	p->user_fd = fds[FD_USER];
	return 0;
}

int pod_make_cgroup(struct pod *p, struct err *e)
{
	struct systemd_unit unit;
	struct cgroup_made made;

	if (p->systemd_cgroup && (systemd_unit_of_path(p->pod_cgroup, &unit, e) < 0 ||
				  systemd_begin(&unit, NULL, NULL, &p->waiter, e) < 0))
		return -e->code;
	return cgroup_create(p->pod_cgroup, &made, e);
}

/* Its sandbox comes later, and may end before the pod does. */
static int make_sandbox_cgroup(struct pod *p, struct err *e)
{
	if (!p->pod_cgroup)
		return err_set(e, EINVAL, "start request: a sandboxed runtime needs pod_cgroup");
	return pod_make_cgroup(p, e) < 0 ? err_wrap(e, "cgroup of the sandbox") : 0;
}

int pod_finish(struct pod *p, int sock, struct err *e)
{
	int r = finish_namespaces(p, sock, e);

	close(sock);
	if (r == 0 && oci.sandboxed)
		r = make_sandbox_cgroup(p, e); /* its sandbox has a PID 1 of its own */
	else if (r == 0 && p->pid == NS_POD)
		r = pause_start(p, e);
	if (r < 0)
		pod_give_back(p);
	return r;
}

int pod_clone_shm(int *ret_tree, struct err *e)
{
	cleanup_fd int home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	if (home < 0 || setns(pod.shm_fd, CLONE_NEWNS) < 0)
		return err_set(e, errno, "enter the namespace of /dev/shm");
	*ret_tree = sys_open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (*ret_tree < 0)
		return err_set(e, errno, "clone the pod's /dev/shm");
	if (setns(home, CLONE_NEWNS) < 0)
		return err_set(e, errno, "go back to the host's mounts");
	return 0;
}

int pod_enter(const struct pod *p, struct err *e)
{
	if (p->net_fd >= 0 && setns(p->net_fd, CLONE_NEWNET) < 0)
		return err_set(e, errno, "enter the pod's network namespace");
	if (p->ipc_fd >= 0 && setns(p->ipc_fd, CLONE_NEWIPC) < 0)
		return err_set(e, errno, "enter the pod's IPC namespace");
	if (p->uts_fd >= 0 && setns(p->uts_fd, CLONE_NEWUTS) < 0)
		return err_set(e, errno, "enter the pod's UTS namespace");
	if (p->pid_fd >= 0 && setns(p->pid_fd, CLONE_NEWPID) < 0)
		return err_set(e, errno, "enter the pod's PID namespace");
	return 0;
}

/* Mounts of a folder onto itself that are taken off one after the other to find a pin below them. */
#define COVERS_MAX 8

/*
 * Removes a pin that is mounted below a mount of its folder, where it can't be named any more: the first `ip netns add`
 * of a host binds /run/netns onto itself. In a mount namespace of a child's own, what lies above is taken off; a file
 * that is no mount point there may go, and with it go the mounts on it everywhere (unlink(2) since Linux 3.18).
 */
static int unlink_covered(const char *path)
{
	char folder[PATH_MAX];
	pid_t child = fork();
	int status;

	if (child < 0)
		return -1;
	if (child == 0) {
		if (snprintf(folder, sizeof(folder), "%s", path) >= (int)sizeof(folder) || !strrchr(folder, '/') ||
		    unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			_exit(1);
		*strrchr(folder, '/') = '\0';
		for (int i = 0; i < COVERS_MAX && umount2(folder, MNT_DETACH | UMOUNT_NOFOLLOW) == 0; i++) {
			while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
				;
			if (unlink(path) == 0)
				_exit(0);
		}
		_exit(1);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

int pod_unpin(const char *path, struct err *e)
{
	cleanup_fd int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct statfs fs;
	struct stat st;
	int failed;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return err_set(e, errno, "netns pin \"%s\"", path);
	if (!S_ISREG(st.st_mode) || (fs.f_type != NSFS_MAGIC && st.st_size != 0))
		return err_set(e, EINVAL, "netns pin \"%s\": neither a namespace nor an empty file", path);
	if (fs.f_type == NSFS_MAGIC && umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
		return err_set(e, errno, "unmount netns pin \"%s\"", path);
	if (unlink(path) == 0)
		return 0;
	failed = errno;
	if (failed == ENOENT || (failed == EBUSY && unlink_covered(path) == 0))
		return 0;
	return err_set(e, failed, "remove netns pin \"%s\"", path);
}

void pod_give_back(struct pod *p)
{
	int *fds[] = { &p->net_fd, &p->ipc_fd, &p->uts_fd, &p->pid_fd, &p->shm_fd, &p->net_dev_fd, &p->user_fd };
	struct err ignored;

	if (p->pause_pid > 0) {
		kill(p->pause_pid, SIGKILL);
		while (waitpid(p->pause_pid, NULL, 0) < 0 && errno == EINTR)
			;
		p->pause_pid = 0;
	}
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	/* Its program may not have ended the sandbox. */
	if (oci.sandboxed && p->pod_cgroup)
		cgroup_kill_all(p->pod_cgroup, &ignored);
	systemd_end_waiter(&p->waiter);
	if (p->pinned)
		pod_unpin(p->netns_pin, &ignored);
	p->pinned = false;
	if (p->pod_cgroup && (p->pid == NS_POD || oci.sandboxed))
		cgroup_remove(p->pod_cgroup, 200, &ignored);
}

void pod_await_moves(void)
{
	struct err e;

	if ((pod.shim_cgroup || (oci.path && !oci.sandboxed)) && cgroup_await_moves(pod.monitor_cgroup, &e) < 0)
		dprintf(STDERR_FILENO, "kobako-monitor: wait for moves between cgroups: %s\n", e.step);
}

void pod_hold_moves(void)
{
	struct err e;

	if (cgroup_hold_moves(pod.monitor_cgroup, &e) < 0)
		dprintf(STDERR_FILENO, "kobako-monitor: wait for moves between cgroups: %s\n", e.step);
}
