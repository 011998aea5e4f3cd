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
	    mount_set(tree, o->set | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0, MS_PRIVATE, false, e) < 0)
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
	return mount_set(tree, o->set & MOUNT_ATTR_RDONLY, 0, MS_PRIVATE, false, e);
}

static int mount_v2(struct mounts *m, const struct cgroup_hierarchy *h, const char *destination, bool own_ns,
		    const struct mount_options *o, struct err *e)
{
	cleanup_fd int tree = -1, source = -1;

	if (own_ns) {
		if (mount_new_fs("cgroup2", "cgroup", NULL, NULL, o->set, &tree, e) < 0)
			return -e->code;
		return attach(m, tree, destination, e);
	}
	/* The host's namespace means the host's view. */
	source = open(h->mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (source < 0)
		return err_set(e, errno, "open %s", h->mount);
	if (mount_clone(source, false, &tree, e) < 0 || mount_set(tree, o->set, 0, MS_PRIVATE, false, e) < 0)
		return -e->code;
	return attach(m, tree, destination, e);
}

int cgroup_mount(struct mounts *m, const struct spec_mount *mount, bool own_ns, struct err *e)
{
	const struct cgroup_host *host = cgroup_host(e);
	struct mount_options o;
	char slashed[4096], clean[4096];
	int r;

	if (!host)
		return -e->code;
	snprintf(slashed, sizeof(slashed), "/%s", mount->destination);
	if (path_clean(slashed, clean, sizeof(clean)) < 0 || !clean[1])
		return err_set(e, EINVAL, "destination");
	r = mount_options_parse(mount->options, &o, e);
	if (r < 0)
		return r;
	o.set |= o.rec_set;
	r = host->count == 1 && host->list[0].v2 ? mount_v2(m, &host->list[0], clean, own_ns, &o, e) :
						   mount_v1(m, host, clean, &o, e);
	mount_options_free(&o);
	return r;
}
