/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cgroup mount of a container. v1: a tmpfs with one folder per hierarchy, each the container's
 * own sub-cgroup; the rest of the tree, and release_agent with it, is not there. v2: the cgroup2
 * filesystem, whose root is the container's cgroup when it has a cgroup namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/sys.h"
#include "container/internal.h"
#include "spec/mount-options.h"

static int attach(struct mounts *m, int tree, const char *path, struct err *e)
{
	cleanup_fd int target = -1;

	if (path_target(m->root, path, true, &target, e) < 0)
		return -e->code;
	return sys_move_mount_fd(tree, target) < 0 ? err_set(e, errno, "attach at \"%s\"", path) : 0;
}

/* The mount is the container's own: nothing of it goes anywhere if nothing is said. */
static int propagate(int tree, const struct mount_options *o, struct err *e)
{
	return mount_set(tree, 0, 0, o->propagation ? o->propagation : MS_PRIVATE, o->propagation_rec, e);
}

static int bind_hierarchy(struct mounts *m, const struct cgroup_hierarchy *h, const char *destination,
			  const struct mount_options *o, struct err *e)
{
	cleanup_fd int source = -1, tree = -1;
	char path[4096];
	const char *name = strrchr(h->mount, '/') + 1;

	snprintf(path, sizeof(path), "%s%s", h->mount, m->cgroup);
	source = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (source < 0)
		return err_set(e, errno, "open cgroup %s", path);
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", destination, name) >= sizeof(path))
		return err_set(e, ENAMETOOLONG, "cgroup %s", name);
	if (mount_clone(source, false, &tree, e) < 0 ||
	    mount_set(tree, o->set | o->rec_set | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0, MS_PRIVATE, false, e) < 0)
		return err_wrap(e, "cgroup %s", name);
	return attach(m, tree, path, e);
}

/* "cpu" and "cpuacct" where both are mounted as "cpu,cpuacct". */
static int link_members(int dir, const struct cgroup_hierarchy *h, struct err *e)
{
	const char *name = strrchr(h->mount, '/') + 1;
	char part[64];

	if (!strchr(name, ','))
		return 0;
	for (const char *p = name; *p; p += strcspn(p, ","), p += *p == ',') {
		snprintf(part, sizeof(part), "%.*s", (int)strcspn(p, ","), p);
		if (symlinkat(name, dir, part) < 0 && errno != EEXIST)
			return err_set(e, errno, "link %s to %s", part, name);
	}
	return 0;
}

static int mount_v1(struct mounts *m, const struct cgroup_host *host, const char *destination,
		    const struct mount_options *o, struct err *e)
{
	static const char *const data[] = { "mode=755", "size=1m", NULL };
	cleanup_fd int tree = -1;

	if (mount_new_fs("tmpfs", "cgroup", data, m->spec->mount_label, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, &tree, e) < 0 ||
	    attach(m, tree, destination, e) < 0)
		return -e->code;
	for (int i = 0; i < host->count; i++) {
		if (bind_hierarchy(m, &host->list[i], destination, o, e) < 0 ||
		    link_members(tree, &host->list[i], e) < 0)
			return -e->code;
	}
	mounts_warn_data(m, destination, o, "v1 cgroup");
	return mount_set(tree, (o->set | o->rec_set) & MOUNT_ATTR_RDONLY, 0, 0, false, e) < 0 ? -e->code : propagate(tree, o, e);
}

static int mount_v2(struct mounts *m, const struct cgroup_hierarchy *h, const char *destination,
		    const struct mount_options *o, struct err *e)
{
	cleanup_fd int tree = -1, source = -1;

	if (spec_ns_new(m->spec, NS_CGROUP)) {
		if (mount_new_fs("cgroup2", "cgroup", (const char *const *)o->data, NULL, o->set | o->rec_set, &tree, e) < 0)
			return -e->code;
	} else {
		/* The host's namespace means the host's view. */
		source = open(h->mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (source < 0)
			return err_set(e, errno, "open %s", h->mount);
		mounts_warn_data(m, destination, o, "cgroup");
		if (mount_clone(source, false, &tree, e) < 0 || mount_set(tree, o->set | o->rec_set, 0, 0, false, e) < 0)
			return -e->code;
	}
	return propagate(tree, o, e) < 0 ? -e->code : attach(m, tree, destination, e);
}

int cgroup_mount(struct mounts *m, const char *destination, const struct mount_options *o, struct err *e)
{
	const struct cgroup_host *host = cgroup_host(e);

	if (!host)
		return -e->code;
	if (!destination[1])
		return err_set(e, EINVAL, "the root itself is no mount point");
	if (o->copy_up)
		return err_set(e, EINVAL, "option \"tmpcopyup\" is for tmpfs only");
	return host->count == 1 && host->list[0].v2 ? mount_v2(m, &host->list[0], destination, o, e) :
						      mount_v1(m, host, destination, o, e);
}
