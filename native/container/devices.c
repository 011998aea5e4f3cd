/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes and links in /dev (config-linux.md, "Devices", "Default Devices"; runtime-linux.md, "Dev symbolic links"). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "base/sys.h"
#include "container/internal.h"
#include "spec/mount-options.h"

static const struct {
	const char *name;
	unsigned int major, minor;
} defaults[] = { { "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 }, { "urandom", 1, 9 },
		 { "tty", 5, 0 } };

static const struct {
	const char *name, *target;
} links[] = { { "fd", "/proc/self/fd" }, { "stdin", "/proc/self/fd/0" }, { "stdout", "/proc/self/fd/1" },
	      { "stderr", "/proc/self/fd/2" }, { "core", "/proc/kcore" }, { "ptmx", "pts/ptmx" } };

/* /dev bound from the host is the host's: nothing is made in it. */
static bool dev_is_bound(const struct mounts *m)
{
	for (size_t i = 0; i < m->spec->mount_count; i++) {
		const struct spec_mount *mount = &m->spec->mounts[i];
		char clean[256];

		if (path_clean(mount->destination, clean, sizeof(clean)) == 0 && !strcmp(clean, "/dev") &&
		    (!mount->type || !strcmp(mount->type, "bind") || !strcmp(mount->type, "none")))
			return true;
	}
	return false;
}

/* Makes the node, or takes over one of the same kind and number; anything else there is an error. */
static int make_node(const struct mounts *m, int dir, const char *name, mode_t type, mode_t mode, dev_t number, uid_t uid, gid_t gid,
		     struct err *e)
{
	cleanup_fd int fd = -1;
	struct stat st;
	char by_fd[32];

	if (mknodat(dir, name, type | mode, number) < 0 && errno != EEXIST)
		return err_set(e, errno, "make device node \"%s\"", name);
	fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, errno, "open device node \"%s\"", name);
	if ((st.st_mode & S_IFMT) != type || (type != S_IFIFO && st.st_rdev != number))
		return err_set(e, EEXIST, "device node \"%s\": something else is there", name);
	if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		return err_set(e, errno, "owner of device node \"%s\"", name);
	/* umask(2) is 0 here, so this is for nodes that were there already. By descriptor: in a shared volume the
	 * name may be a link by now, and fchmodat(2) would follow it out. */
	snprintf(by_fd, sizeof(by_fd), "self/fd/%d", fd);
	if ((st.st_mode & 07777) != mode && fchmodat(m->proc, by_fd, mode, 0) < 0)
		return err_set(e, errno, "mode of device node \"%s\"", name);
	return 0;
}

/*
 * In a user namespace nodes can't be made (user_namespaces(7)): the host's is bound, when it is the one meant.
 * host: its path outside, where init still is.
 */
static int bind_node(int dir, const char *name, const char *host, mode_t type, dev_t number, struct err *e)
{
	cleanup_fd int from = open(host, O_PATH | O_NOFOLLOW | O_CLOEXEC), to = -1, tree = -1;
	struct stat st;

	if (from < 0 || fstat(from, &st) < 0)
		return err_set(e, errno, "device node \"%s\" of the host", host);
	if ((st.st_mode & S_IFMT) != type || st.st_rdev != number)
		return err_set(e, EINVAL, "device node \"%s\" of the host is another device", host);
	to = openat(dir, name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
	if (to < 0 && errno == EEXIST)
		to = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0 || fstat(to, &st) < 0)
		return err_set(e, errno, "make \"%s\"", name);
	if (S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode))
		return err_set(e, EEXIST, "device node \"%s\": something else is there", name);
	if (mount_clone(from, false, &tree, e) < 0)
		return err_wrap(e, "device node \"%s\"", host);
	return sys_move_mount_fd(tree, to) < 0 ? err_set(e, errno, "bind device node \"%s\"", host) : 0;
}

/*
 * Made, or bound where that is known to be all there is. Root of a user namespace around the runtime itself (a rootless
 * engine's) learns it by the first refusal.
 */
static int put_node(struct mounts *m, int dir, const char *name, const char *host, const struct spec_device *d, struct err *e)
{
	dev_t number = makedev((unsigned int)d->major, (unsigned int)d->minor);
	int r = 0;

	if (d->type == S_IFIFO || !m->bind_nodes) {
		r = make_node(m, dir, name, d->type, d->mode, number, d->uid, d->gid, e);
		if (r != -EPERM || d->type == S_IFIFO)
			return r;
		m->bind_nodes = true;
	}
	return bind_node(dir, name, host, d->type, number, e);
}

static int make_extra(struct mounts *m, const struct spec_device *d, struct err *e)
{
	char clean[4096], *slash;
	cleanup_fd int dir = -1;

	if (path_clean(d->path, clean, sizeof(clean)) < 0 || !clean[1])
		return err_set(e, EINVAL, "device \"%s\"", d->path);
	slash = strrchr(clean, '/');
	*slash = '\0';
	if (path_mkdirs(m->root, slash == clean ? "/" : clean, 0755, &dir, e) < 0)
		return err_wrap(e, "device \"%s\"", d->path);
	return put_node(m, dir, slash + 1, d->path, d, e) < 0 ? err_wrap(e, "device \"%s\"", d->path) : 0;
}

static bool is_listed(const struct spec *s, const char *name)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/%s", name);
	for (size_t i = 0; i < s->device_count; i++)
		if (!strcmp(s->devices[i].path, path))
			return true;
	return false;
}

static int make_defaults(struct mounts *m, int dev, struct err *e)
{
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		struct spec_device d = { .type = S_IFCHR, .mode = 0666, .major = defaults[i].major, .minor = defaults[i].minor };
		char host[16];

		snprintf(host, sizeof(host), "/dev/%s", defaults[i].name);
		if (!is_listed(m->spec, defaults[i].name) && put_node(m, dev, defaults[i].name, host, &d, e) < 0)
			return -e->code;
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		/* Host kernels without /proc/kcore have nothing to link to. */
		if (!strcmp(links[i].name, "core") && faccessat(m->proc, "kcore", F_OK, 0) < 0)
			continue;
		if (is_listed(m->spec, links[i].name))
			continue;
		if (symlinkat(links[i].target, dev, links[i].name) < 0 && errno != EEXIST)
			return err_set(e, errno, "link /dev/%s", links[i].name);
	}
	return 0;
}

int devices_make(struct mounts *m, struct err *e)
{
	cleanup_fd int dev = -1;
	mode_t mask;
	int r = 0;

	if (dev_is_bound(m))
		return 0;
	m->bind_nodes = m->user_ns;
	/* A real folder, not a link of the image: mounts_apply made sure where it was mounted. */
	if (mkdirat(m->root, "dev", 0755) < 0 && errno != EEXIST)
		return err_set(e, errno, "make /dev");
	dev = openat(m->root, "dev", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dev < 0)
		return err_set(e, errno, "open /dev of the rootfs");
	mask = umask(0);
	r = make_defaults(m, dev, e);
	for (size_t i = 0; r == 0 && i < m->spec->device_count; i++)
		r = make_extra(m, &m->spec->devices[i], e);
	umask(mask);
	return r;
}
