/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mounts of a spec. Sources are cloned first, by the runner and in the caller's mount namespace,
 * where they still belong to their peer groups; init then attaches the clones onto descriptors that
 * it resolved inside the rootfs. No path is used twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "base/sys.h"
#include "base/trace.h"
#include "container/internal.h"
#include "spec/mount-options.h"

static bool is_bind(const struct spec_mount *m, const struct mount_options *o)
{
	return o->bind || (m->type && !strcmp(m->type, "bind"));
}

/* The tree that the caller brought for this destination, or -1. */
static int brought(const struct mounts *m, const char *destination)
{
	for (size_t i = 0; i < m->tree_count; i++)
		if (!strcmp(m->trees[i].destination, destination))
			return m->trees[i].fd;
	return -1;
}

/* Whether the mount that `fd` is on passes mounts on ("shared:N") or receives them ("master:N"). */
static int propagation_of(int fd, bool *ret_shared, bool *ret_slave, struct err *e)
{
	cleanup_free char *text = NULL;
	struct statx st;
	size_t len;
	char *save = NULL;

	if (sys_statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return err_set(e, errno, "find the mount of a source");
	if (io_read_file_at(AT_FDCWD, "/proc/self/mountinfo", 64u << 20, &text, &len, e) < 0)
		return -e->code;
	*ret_shared = *ret_slave = false;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *end = strstr(line, " - ");

		if (strtoull(line, NULL, 10) != st.stx_mnt_id || !end)
			continue;
		*end = '\0';
		*ret_shared = strstr(line, " shared:") != NULL;
		*ret_slave = strstr(line, " master:") != NULL;
	}
	return 0;
}

/* A propagation that the source can't take part in is refused: the kernel would set it up with nobody. */
static int check_propagation(int fd, const struct spec_mount *m, const struct mount_options *o, struct err *e)
{
	bool shared = false, slave = false;

	if (o->propagation != MS_SHARED && o->propagation != MS_SLAVE)
		return 0;
	if (propagation_of(fd, &shared, &slave, e) < 0)
		return -e->code;
	if (o->propagation == MS_SHARED && !shared)
		return err_set(e, EINVAL, "source \"%s\" is not on a shared mount", m->source);
	if (o->propagation == MS_SLAVE && !shared && !slave)
		return err_set(e, EINVAL, "source \"%s\" is on neither a shared nor a slave mount", m->source);
	return 0;
}

static int open_source(const struct spec_mount *m, const struct mount_options *o, const char *bundle, int *ret_fd,
		       struct err *e)
{
	cleanup_free char *full = NULL;
	cleanup_fd int at = -1;
	const char *path = m->source;

	if (!path || !*path)
		return err_set(e, EINVAL, "a bind mount without source");
	if (*path != '/') {
		full = path_join(bundle, path);
		if (!full)
			return err_set(e, ENOMEM, "source \"%s\"", path);
		path = full;
	}
	at = open(path, O_PATH | O_CLOEXEC);
	if (at < 0)
		return err_set(e, errno, "source \"%s\"", path);
	if (check_propagation(at, m, o, e) < 0)
		return -e->code;
	if (mount_clone(at, o->recursive, ret_fd, e) < 0)
		return err_wrap(e, "source \"%s\"", path);
	return 0;
}

/* The host's /dev/null and /proc, held by descriptor and known to be what they are called. */
static int open_verified(struct mounts *m, struct err *e)
{
	cleanup_fd int null = open("/dev/null", O_PATH | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	struct statfs fs;

	if (null < 0 || fstat(null, &st) < 0)
		return err_set(e, errno, "open /dev/null");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return err_set(e, EINVAL, "/dev/null of the host is not the null device");
	if (mount_clone(null, false, &m->null, e) < 0)
		return err_wrap(e, "/dev/null");
	m->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (m->proc < 0 || fstatfs(m->proc, &fs) < 0)
		return err_set(e, errno, "open /proc");
	if (fs.f_type != PROC_SUPER_MAGIC)
		return err_set(e, EINVAL, "/proc of the host is not procfs");
	return 0;
}

/* Whose ids a mount shows: its own maps, or with "idmap" alone those of the container's user namespace. */
static int map_source(const struct mounts *m, const struct spec_mount *mount, const struct mount_options *o, int tree,
		      struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	const struct spec_idmaps *maps = mount->idmaps.uid_count ? &mount->idmaps : &m->spec->idmaps;
	cleanup_fd int user = -1;

	if (!mount->idmaps.uid_count && !o->idmap)
		return 0;
	if (m->spec->ns[NS_USER].path && (!mount->idmaps.uid_count || userns_same_maps(maps, &m->spec->idmaps))) {
		if (ns_open(NS_USER, m->spec->ns[NS_USER].path, &user, e) < 0)
			return -e->code;
	} else if (!maps->uid_count) {
		return err_set(e, EINVAL, "option \"%s\" without uidMappings, and the container has no user namespace",
			       o->ridmap ? "ridmap" : "idmap");
	} else if (m->late) {
		return err_set(e, EPERM, "uidMappings: a mapped mount needs the rights of root");
	} else if (userns_make(maps, &user, e) < 0) {
		return -e->code;
	}
	attr.userns_fd = (uint64_t)user;
	if (sys_mount_setattr(tree, "", AT_EMPTY_PATH | (o->ridmap ? AT_RECURSIVE : 0), &attr) < 0)
		return err_set(e, errno, "uidMappings: map the owners of the files of \"%s\" (does its filesystem support it?)",
			       mount->source ? mount->source : "");
	return 0;
}

/* early: in the caller's mount namespace, where nothing may be attached for a moment. */
static int new_filesystem(const struct mounts *m, const struct spec_mount *mount, const struct mount_options *o, bool early,
			  int *ret_fd, struct err *e)
{
	/* A tmpfs that takes its content from below is writable until it has it. */
	uint64_t attrs = o->copy_up ? o->set & ~(uint64_t)MOUNT_ATTR_RDONLY : o->set | (o->rec_set & MOUNT_ATTR_RDONLY);
	const char *type = mount->type ? mount->type : "", *label = m->spec->mount_label;
	const char *const *data = (const char *const *)o->data;

	bool by_page = !early && mount_has_long_value(mount->source, data);

	if ((by_page ? mount_new_fs_by_page : mount_new_fs)(type, mount->source, data, label, attrs, ret_fd, e) < 0)
		return -e->code;
	return label && !strcmp(type, "mqueue") ? labels_file(*ret_fd, label, e) : 0;
}

/*
 * Made where the device can be opened: init is under the container's device rules, which are about what its program may open.
 * In another user namespace the kernel mounts no device anyway.
 */
static bool is_made_early(const struct mounts *m, const struct spec_mount *mount, const struct mount_options *o)
{
	return !m->user_ns && !o->remount && mount_is_of_device(mount->source);
}

int mounts_open_sources(struct mounts *m, const struct spec *s, struct err *e)
{
	m->spec = s;
	m->sources = malloc((s->mount_count + 1) * sizeof(*m->sources));
	if (!m->sources)
		return err_set(e, ENOMEM, "open mount sources");
	for (size_t i = 0; i < s->mount_count; i++)
		m->sources[i] = -1;
	for (size_t i = 0; i < s->mount_count; i++) {
		const struct spec_mount *mount = &s->mounts[i];
		struct mount_options o = { 0 };
		int r = mount_options_parse(mount->options, &o, e), tree = brought(m, mount->destination);

		if (r == 0 && is_bind(mount, &o) && !o.remount && tree < 0) {
			r = open_source(mount, &o, m->bundle, &m->sources[i], e);
			tree = m->sources[i];
		} else if (r == 0 && tree < 0 && is_made_early(m, mount, &o)) {
			r = new_filesystem(m, mount, &o, true, &m->sources[i], e);
		}
		if (r == 0 && tree < 0 && (mount->idmaps.uid_count || o.idmap))
			r = err_set(e, EINVAL, "uidMappings: only of a bind mount");
		if (r == 0 && tree >= 0)
			r = map_source(m, mount, &o, tree, e);
		mount_options_free(&o);
		if (r < 0)
			return err_wrap(e, "mount on \"%s\"", mount->destination);
	}
	return open_verified(m, e);
}

void mounts_close(struct mounts *m)
{
	for (size_t i = 0; m->sources && i < m->spec->mount_count; i++)
		if (m->sources[i] >= 0)
			close(m->sources[i]);
	free(m->sources);
	m->sources = NULL;
	for (int i = 0; i < 4; i++) {
		int *fd = i == 0 ? &m->null : i == 1 ? &m->proc : i == 2 ? &m->root : &m->rootfs_tree;

		if (*fd >= 0)
			close(*fd);
		*fd = -1;
	}
}

/* Files of procfs that may be covered (lxcfs and the like do), besides what is masked. */
static bool may_cover(const char *path)
{
	static const char *const files[] = { "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps",
					     "/proc/uptime", "/proc/loadavg", "/proc/slabinfo", "/proc/sys/kernel/ns_last_pid",
					     "/proc/sys/crypto/fips_enabled" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (!strcmp(path, files[i]))
			return true;
	return false;
}

/*
 * /proc, /sys and /dev must be real folders of the image, so that what is mounted there is found
 * there; /proc takes procfs only, and nothing but a few files inside it can be covered.
 */
static int open_target(const struct mounts *m, const char *clean, int tree, bool dir, int *ret_fd, struct err *e)
{
	bool system = !strcmp(clean, "/proc") || !strcmp(clean, "/sys") || !strcmp(clean, "/dev");
	cleanup_fd int fd = -1;
	struct statfs over, what;
	struct stat st;

	if (!strcmp(clean, "/"))
		return err_set(e, EINVAL, "the root itself is no mount point");
	if (system) {
		/* One part only: made or there, it is never a link. */
		if (mkdirat(m->root, clean + 1, 0755) < 0 && errno != EEXIST)
			return err_set(e, errno, "make folder");
		fd = openat(m->root, clean + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) < 0)
			return err_set(e, errno, "open");
		if (!S_ISDIR(st.st_mode))
			return err_set(e, ENOTDIR, "is a link or a file in the image");
	} else if (path_target(m->root, clean, dir, &fd, e) < 0) {
		return -e->code;
	}
	if (fstatfs(fd, &over) < 0 || fstatfs(tree, &what) < 0)
		return err_set(e, errno, "look at the target");
	if (!strcmp(clean, "/proc") && what.f_type != PROC_SUPER_MAGIC)
		return err_set(e, EPERM, "only procfs may be mounted there");
	if (!system && over.f_type == PROC_SUPER_MAGIC && !may_cover(clean))
		return err_set(e, EPERM, "is inside procfs");
	*ret_fd = take_fd(&fd);
	return 0;
}

/* Attributes of the mount and, for the "r" forms, of all mounts below; then propagation. */
static int set_attributes(const struct mounts *m, int tree, const struct mount_options *o, bool bind, struct err *e)
{
	unsigned long propagation = o->propagation;
	bool recursive = o->propagation_rec;

	if (!propagation && bind) {
		/* Nothing said: a root that receives takes its volumes along; else mounts made later outside stay outside. */
		propagation = m->spec->rootfs_propagation & MS_SLAVE ? MS_SLAVE : MS_PRIVATE;
		recursive = true;
	}
	/* What is said of the top alone leaves the mounts below it the host's to change, and never ours the host's. */
	if (bind && !recursive && propagation != MS_SHARED && mount_set(tree, 0, 0, MS_SLAVE, true, e) < 0)
		return -e->code;
	/* A new filesystem got its own flags when it was mounted. */
	if ((bind || o->copy_up) && mount_set(tree, o->set, o->clear, 0, false, e) < 0)
		return -e->code;
	if (mount_set(tree, o->rec_set, o->rec_clear, 0, true, e) < 0)
		return -e->code;
	return mount_set(tree, 0, 0, propagation, recursive, e);
}

/* "remount": the mount that is there gets other attributes, and its filesystem other options. */
static int remount(const struct mounts *m, const char *clean, const struct mount_options *o, struct err *e)
{
	cleanup_fd int target = -1, fs = -1;
	struct statx st;
	int r = path_open(m->root, clean, O_PATH, 0, &target, e);

	if (r < 0)
		return r;
	if (sys_statx(target, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) < 0)
		return err_set(e, errno, "look at the target");
	if (!(st.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return err_set(e, EINVAL, "option \"remount\": nothing is mounted there");
	if (mount_set(target, o->set, o->clear, 0, false, e) < 0 ||
	    mount_set(target, o->rec_set, o->rec_clear, 0, true, e) < 0 ||
	    mount_set(target, 0, 0, o->propagation, o->propagation_rec, e) < 0)
		return -e->code;
	if (o->bind || !o->data[0])
		return 0;
	fs = (int)syscall(SYS_fspick, target, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
	if (fs < 0)
		return err_set(e, errno, "take up the filesystem");
	return mount_reconfigure(fs, o->data, e);
}

void mounts_warn_data(const struct mounts *m, const char *destination, const struct mount_options *o, const char *kind)
{
	char text[300];

	for (const char **d = o->data; d && *d; d++) {
		snprintf(text, sizeof(text), "mount on \"%.150s\": option \"%.60s\" has no effect on a %s mount", destination,
			 *d, kind);
		if (m->warn)
			m->warn(m->warn_arg, text);
	}
}

static int apply_one(struct mounts *m, size_t i, struct err *e)
{
	const struct spec_mount *mount = i < m->spec->mount_count ? &m->spec->mounts[i] : NULL;
	const char *destination = mount ? mount->destination : m->trees[i - m->spec->mount_count].destination;
	const char *type = mount && mount->type ? mount->type : "";
	cleanup_fd int tree = -1, target = -1;
	char slashed[4096], clean[4096];
	struct mount_options o = { 0 };
	struct stat st;
	bool bind;
	int r;

	/* Relative destinations start at the root (config.md, "Mounts"). */
	if ((size_t)snprintf(slashed, sizeof(slashed), "/%s", destination) >= sizeof(slashed))
		return err_set(e, ENAMETOOLONG, "destination of %zu bytes", strlen(destination));
	r = path_clean(slashed, clean, sizeof(clean));
	if (r < 0)
		return err_set(e, -r, "destination");
	if (mount && (r = mount_options_parse(mount->options, &o, e)) < 0)
		return r;
	if (o.remount) {
		r = remount(m, clean, &o, e);
		mount_options_free(&o);
		return r;
	}
	if (mount && m->sources[i] < 0 && (!strcmp(type, "cgroup") || !strcmp(type, "cgroup2"))) {
		r = cgroup_mount(m, clean, &o, e);
		mount_options_free(&o);
		return r;
	}
	tree = brought(m, destination);
	bind = tree >= 0 || is_bind(mount, &o);
	if (tree >= 0)
		tree = fcntl(tree, F_DUPFD_CLOEXEC, 3);
	else if (m->sources[i] >= 0)
		tree = take_fd(&m->sources[i]);
	else
		r = new_filesystem(m, mount, &o, false, &tree, e);
	if (bind)
		mounts_warn_data(m, destination, &o, "bind");
	if (r == 0 && fstat(tree, &st) < 0)
		r = err_set(e, errno, "look at the source");
	if (r == 0)
		r = open_target(m, clean, tree, S_ISDIR(st.st_mode), &target, e);
	if (r == 0 && o.copy_up)
		r = !strcmp(type, "tmpfs") ? copy_up(target, tree, e) :
					     err_set(e, EINVAL, "option \"tmpcopyup\" is for tmpfs only");
	if (r == 0)
		r = set_attributes(m, tree, &o, bind, e);
	if (r == 0 && sys_move_mount_fd(tree, target) < 0)
		r = err_set(e, errno, "attach");
	mount_options_free(&o);
	return r;
}

int mounts_apply(struct mounts *m, struct err *e)
{
	for (size_t i = 0; i < m->spec->mount_count; i++) {
		const struct spec_mount *mount = &m->spec->mounts[i];
		const char *type = mount->type ? mount->type : "";

		if (apply_one(m, i, e) < 0)
			return err_wrap(e, "mount %s%s\"%s\" on \"%s\"", m->sources[i] >= 0 ? "" : type, *type ? " " : "",
					mount->source ? mount->source : "", mount->destination);
		trace_step("mount", mount->destination);
	}
	/* What the caller brought and the spec did not name. */
	for (size_t t = 0; t < m->tree_count; t++) {
		bool named = false;

		for (size_t i = 0; i < m->spec->mount_count; i++)
			named |= !strcmp(m->spec->mounts[i].destination, m->trees[t].destination);
		if (!named && apply_one(m, m->spec->mount_count + t, e) < 0)
			return err_wrap(e, "mount on \"%s\"", m->trees[t].destination);
	}
	return 0;
}
