/* SPDX-License-Identifier: Apache-2.0 */
/* Where an external runtime works for a container: the mount namespace it finds, the cgroup it begins in. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"
#include "monitor/member_oci_internal.h"
#include "monitor/pod.h"

/* Sources that are given to a container with the host's propagation. */
#define SHARES_MAX 64

/* The place of everything that a sandboxed runtime starts. Before the mounts change: cgroups are opened by path. */
int oci_join_pod(struct err *e)
{
	struct cgroup_join join;
	int r;

	if (!oci.sandboxed)
		return 0;
	if (cgroup_join_open(pod.pod_cgroup, &join, e) < 0)
		return -e->code;
	r = cgroup_join_self(&join, e);
	oci_begin_in(take_fd(&join.v2));
	cgroup_join_close(&join);
	return r;
}

int oci_enter(const struct member *m, struct err *e)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* without its monitor nobody waits for what the program makes */
	if (oci_join_pod(e) < 0)
		return -e->code;
	if (m->mntns_fd >= 0 && setns(m->mntns_fd, CLONE_NEWNS) < 0)
		return err_set(e, errno, "enter the mount namespace of container %s", m->id);
	oci_mend_record(m);
	return 0;
}

/* A tree that was cloned before the container's namespace was entered, and where it goes there. */
struct share {
	int tree;
	bool dir;
	char target[PATH_MAX];
};

static int clone_shares(struct json_view list, struct share *ret, int *ret_count, struct err *e)
{
	struct json_view key, item;
	char source[PATH_MAX];
	size_t pos = 0;
	struct stat st;
	int n = 0;

	while (json_view_next(list, &pos, &key, &item)) {
		if (n == SHARES_MAX)
			return err_set(e, EINVAL, "create: more than %d \"shares\"", SHARES_MAX);
		if (json_view_string(json_view_get(item, "source"), source, sizeof(source)) <= 0 ||
		    json_view_string(json_view_get(item, "target"), ret[n].target, PATH_MAX) <= 0)
			return err_set(e, EINVAL, "create: \"shares\" without source or target");
		ret[n].tree = sys_open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
		if (ret[n].tree < 0 || fstat(ret[n].tree, &st) < 0)
			return err_set(e, errno, "clone \"%s\"", source);
		ret[n++].dir = S_ISDIR(st.st_mode);
	}
	*ret_count = n;
	return 0;
}

static int attach(int tree, bool dir, const char *target, struct err *e)
{
	int fd;

	if (dir) {
		if (mkdir(target, 0700) < 0 && errno != EEXIST)
			return err_set(e, errno, "make folder \"%s\"", target);
	} else {
		fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return err_set(e, errno, "make file \"%s\"", target);
		close(fd);
	}
	if (sys_move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_set(e, errno, "attach \"%s\"", target);
	return 0;
}

/* The pod's namespaces as files <bundle>/ns/<kind>, seen in the container's mount namespace alone. */
static int bind_namespaces(const char *bundle, struct err *e)
{
	const struct {
		const char *kind;
		int fd;
	} list[] = { { "net", pod.net_fd }, { "ipc", pod.ipc_fd }, { "uts", pod.uts_fd }, { "pid", pod.pid_fd },
		     { "user", pod.user_fd } };
	char path[PATH_MAX], source[64];

	snprintf(path, sizeof(path), "%s/ns", bundle);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_set(e, errno, "make folder \"%s\"", path);
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		int fd;

		if (list[i].fd < 0)
			continue;
		snprintf(path, sizeof(path), "%s/ns/%s", bundle, list[i].kind);
		fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0400);
		if (fd < 0)
			return err_set(e, errno, "make file \"%s\"", path);
		close(fd);
		snprintf(source, sizeof(source), "/proc/self/fd/%d", list[i].fd);
		if (mount(source, path, NULL, MS_BIND, NULL) < 0)
			return err_set(e, errno, "bind the pod's namespace to \"%s\"", path);
	}
	return 0;
}

/*
 * In a user namespace the program goes to the root filesystem as root of that, for whom the folders above the bundle
 * are closed. So the bundle becomes this root's and is also found at a place to which the way is open: a folder that is
 * empty for everybody outside this mount namespace.
 */
static int open_the_way(const char *bundle, struct err *e)
{
	cleanup_fd int tree = -1;

	if (mkdir(OCI_OPEN_BUNDLE, 0755) < 0 && errno != EEXIST)
		return err_set(e, errno, "make folder \"%s\"", OCI_OPEN_BUNDLE);
	if (lchown(bundle, pod.id_map.outside, pod.id_map.outside) < 0)
		return err_set(e, errno, "give \"%s\" to root of the pod's user namespace", bundle);
	tree = sys_open_tree(AT_FDCWD, bundle, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (tree < 0)
		return err_set(e, errno, "clone \"%s\"", bundle);
	return attach(tree, true, OCI_OPEN_BUNDLE, e);
}

int oci_make_place(const struct oci_create *w, const char *cgroup, struct err *e)
{
	cleanup_free struct share *shares = calloc(SHARES_MAX + 1, sizeof(*shares));
	int count = 0;

	if (!shares)
		return err_set(e, ENOMEM, "create container %s", w->m->id);
	if (clone_shares(w->shares, shares, &count, e) < 0)
		return -e->code;
	if (w->m->shm) {
		snprintf(shares[count].target, PATH_MAX, "%s/shm", w->m->bundle);
		shares[count].dir = true;
		if (pod_clone_shm(&shares[count].tree, e) < 0)
			return -e->code;
		count++;
	}
	if (oci_hidden_cgroup(cgroup, e) < 0 || oci_enter(w->m, e) < 0 || bind_namespaces(w->m->bundle, e) < 0)
		return -e->code;
	for (int i = 0; i < count; i++)
		if (attach(shares[i].tree, shares[i].dir, shares[i].target, e) < 0)
			return -e->code;
	return pod.user_fd >= 0 ? open_the_way(w->m->bundle, e) : 0;
}
