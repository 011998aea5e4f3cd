/* SPDX-License-Identifier: Apache-2.0 */
#include "prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "monitor/mapped_layers.h"
#include "monitor/oci.h"
#include "monitor/pod.h"
#include "monitor/user.h"

/* fsconfig(2) takes at most 255 bytes of a string. */
#define FSCONFIG_STRING_MAX 255

int prepare_option_ok(const char *option)
{
	size_t word = strspn(option, "abcdefghijklmnopqrstuvwxyz_");

	if (word == 0)
		return 0;
	if (option[word] == '\0')
		return 1;
	if (option[word] != '=' || option[word + 1] == '\0')
		return 0;
	return strspn(option + word + 1, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(option + word + 1);
}

int prepare_path(struct json_view v, const char *what, char ret[PATH_MAX], struct err *e)
{
	if (json_view_string(v, ret, PATH_MAX) < 0 || ret[0] != '/')
		return err_set(e, EINVAL, "prepare: \"%s\" is not an absolute path", what);
	return 0;
}

/*
 * A folder as the kernel is to find it. A path that fsconfig can't take is opened, and named by its
 * descriptor; the folder stays open, the runner is short-lived.
 */
static int folder_name(const char *path, char ret[FSCONFIG_STRING_MAX + 1], struct err *e)
{
	int fd;

	if (strlen(path) <= FSCONFIG_STRING_MAX) {
		memcpy(ret, path, strlen(path) + 1);
		return 0;
	}
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "open layer \"%s\"", path);
	snprintf(ret, FSCONFIG_STRING_MAX + 1, "/proc/self/fd/%d", fd);
	return 0;
}

static int set_folder(int fs, const char *key, const char *path, struct err *e)
{
	char name[FSCONFIG_STRING_MAX + 1];

	if (folder_name(path, name, e) < 0)
		return -e->code;
	if (sys_fsconfig_string(fs, key, name) < 0)
		return err_set(e, errno, "overlay %s \"%s\"", key, path);
	return 0;
}

static int set_options(int fs, struct json_view options, struct err *e)
{
	struct json_view key, value;
	char option[64], *word;
	size_t pos = 0;

	while (json_view_next(options, &pos, &key, &value)) {
		int r;

		if (json_view_string(value, option, sizeof(option)) < 0 || !prepare_option_ok(option))
			return err_set(e, EINVAL, "overlay option %.*s", value.len > 64 ? 64 : (int)value.len, value.at);
		word = strchr(option, '=');
		if (word)
			*word++ = '\0';
		r = word ? sys_fsconfig_string(fs, option, word) : sys_fsconfig_flag(fs, option);
		if (r < 0)
			return err_set(e, errno, "overlay option \"%s\"", option);
	}
	return 0;
}

/* The next layer's path, or where its id-mapped mount is found. 0 at the end. */
static int next_layer(struct json_view lower, size_t *pos, const struct mapped_layers *mapped, int i, char ret[PATH_MAX],
		      struct err *e)
{
	struct json_view key, layer;

	if (!json_view_next(lower, pos, &key, &layer))
		return 0;
	if (mapped)
		snprintf(ret, PATH_MAX, "/proc/self/fd/%d", mapped->fds[i]);
	else if (prepare_path(layer, "lower", ret, e) < 0)
		return -e->code;
	return 1;
}

/*
 * One folder per step, no list that must fit a page. Returns -EINVAL/-ENOSYS where the kernel lacks it.
 * Not writable: of the layers alone.
 */
static int overlay_new_api(struct json_view rootfs, const struct mapped_layers *mapped, bool writable, int *ret_mount,
			   struct err *e)
{
	struct json_view lower = json_view_get(rootfs, "lower");
	cleanup_fd int fs = sys_fsopen("overlay", FSOPEN_CLOEXEC);
	char path[PATH_MAX];
	size_t pos = 0;
	int r;

	if (fs < 0)
		return err_set(e, errno, "open the overlay filesystem");
	sys_fsconfig_string(fs, "source", "overlay");
	for (int i = 0; (r = next_layer(lower, &pos, mapped, i, path, e)) > 0; i++)
		if (set_folder(fs, "lowerdir+", path, e) < 0)
			return -e->code;
	if (r < 0)
		return r;
	if (writable &&
	    (prepare_path(json_view_get(rootfs, "upper"), "upper", path, e) < 0 || set_folder(fs, "upperdir", path, e) < 0 ||
	     prepare_path(json_view_get(rootfs, "work"), "work", path, e) < 0 || set_folder(fs, "workdir", path, e) < 0))
		return -e->code;
	if (set_options(fs, json_view_get(rootfs, "options"), e) < 0)
		return -e->code;
	if (sys_fsconfig_create(fs) < 0)
		return err_set(e, errno, "mount overlay, its last folder being \"%s\"", path);
	*ret_mount = sys_fsmount(fs, FSMOUNT_CLOEXEC, 0);
	return *ret_mount < 0 ? err_set(e, errno, "mount overlay") : 0;
}

/*
 * Kernels before 6.5 take all folders in one page of options. Seen from /proc/self/fd an open folder
 * has a name of one to three digits: 500 layers fit, and no path needs escaping.
 */
static int overlay_one_page(struct json_view rootfs, const struct mapped_layers *mapped, bool writable, const char *target,
			    struct err *e)
{
	struct json_view key, v, lower = json_view_get(rootfs, "lower");
	struct rlimit files = { 4096, 4096 };
	char options[4096], path[PATH_MAX], word[64];
	size_t pos = 0, len = 0;
	int target_fd, fd, r;

	setrlimit(RLIMIT_NOFILE, &files);
	target_fd = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (target_fd < 0)
		return err_set(e, errno, "open \"%s\"", target);
	len = (size_t)snprintf(options, sizeof(options), "lowerdir=");
	for (int i = 0; (r = next_layer(lower, &pos, mapped, i, path, e)) > 0; i++) {
		fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return err_set(e, errno, "open layer \"%s\"", path);
		len += (size_t)snprintf(options + len, sizeof(options) - len, "%s%d", i ? ":" : "", fd);
		if (len >= sizeof(options) - 256)
			return err_set(e, E2BIG, "too many layers for this kernel");
	}
	if (r < 0)
		return r;
	for (int i = 0; writable && i < 2; i++) {
		const char *what = i ? "work" : "upper";

		if (prepare_path(json_view_get(rootfs, what), what, path, e) < 0)
			return -e->code;
		fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return err_set(e, errno, "open %s folder \"%s\"", what, path);
		len += (size_t)snprintf(options + len, sizeof(options) - len, ",%sdir=%d", what, fd);
	}
	pos = 0;
	while (json_view_next(json_view_get(rootfs, "options"), &pos, &key, &v)) {
		if (json_view_string(v, word, sizeof(word)) < 0 || !prepare_option_ok(word) ||
		    len + strlen(word) + 2 > sizeof(options))
			return err_set(e, EINVAL, "overlay option %.*s", v.len > 64 ? 64 : (int)v.len, v.at);
		len += (size_t)snprintf(options + len, sizeof(options) - len, ",%s", word);
	}
	if (chdir("/proc/self/fd") < 0)
		return err_set(e, errno, "chdir /proc/self/fd");
	/* The target by its own number too: a longer path could be changed meanwhile. */
	snprintf(word, sizeof(word), "%d", target_fd);
	if (mount("overlay", word, "overlay", 0, options) < 0)
		return err_set(e, errno, "mount overlay on \"%s\"", target);
	close(target_fd);
	return 0;
}

static int count_layers(struct json_view lower, struct err *e)
{
	struct json_view key, layer;
	size_t pos = 0;
	int n = 0;

	while (json_view_next(lower, &pos, &key, &layer))
		n++;
	if (n == 0)
		return err_set(e, EINVAL, "prepare: no layers");
	if (n > PREPARE_LAYERS_MAX)
		return err_set(e, EINVAL, "prepare: %d layers, the kernel takes %d", n, PREPARE_LAYERS_MAX);
	return n;
}

static int mount_overlay(struct json_view rootfs, const struct mapped_layers *mapped, bool writable, const char *target,
			 int *ret_tree, struct err *e)
{
	int r = overlay_new_api(rootfs, mapped, writable, ret_tree, e);

	/* No call (5.2), no "lowerdir+" (6.5), or an option that only mount(2) takes there. */
	if (r == -ENOSYS || r == -EINVAL) {
		struct err second = { 0 };

		r = overlay_one_page(rootfs, mapped, writable, target, &second);
		if (r < 0)
			*e = second;
	}
	return r;
}

static int mount_rootfs(struct json_view rootfs, bool writable, const char *target, struct err *e)
{
	cleanup_free struct mapped_layers *mapped = NULL;
	struct json_view lower = json_view_get(rootfs, "lower");
	char layers[PATH_MAX + 16];
	cleanup_fd int tree = -1;
	int r;

	if (mkdir(target, 0700) < 0 && errno != EEXIST)
		return err_set(e, errno, "make folder \"%s\"", target);
	r = count_layers(lower, e);
	if (r < 0)
		return r;
	if (writable && pod.user_fd >= 0) {
		mapped = calloc(1, sizeof(*mapped));
		if (!mapped)
			return err_set(e, ENOMEM, "map layers");
		snprintf(layers, sizeof(layers), "%s.layers", target);
		if (mapped_layers_open(lower, pod.user_fd, layers, mapped, e) < 0)
			return -e->code;
	}
	r = mount_overlay(rootfs, mapped, writable, target, &tree, e);
	if (r < 0)
		return r;
	if (mapped && mapped_layers_release(mapped, layers, e) < 0)
		return -e->code;
	if (tree >= 0 && sys_move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_set(e, errno, "attach the root filesystem at \"%s\"", target);
	return 0;
}

struct wanted_user {
	char user[512], group[16];
	uint32_t *extra;
	size_t extra_count;
	bool merge;
};

static int take_user(struct json_view params, struct wanted_user *w, struct err *e)
{
	struct json_view key, value, v = json_view_get(params, "supplemental_groups");
	char policy[16] = "merge";
	size_t pos = 0;

	v = json_view_get(params, "user");
	if (v.at && json_view_string(v, w->user, sizeof(w->user)) < 0)
		return err_set(e, EINVAL, "prepare: \"user\" is not a name of less than %zu bytes", sizeof(w->user));
	v = json_view_get(params, "group");
	if (v.at && json_view_string(v, w->group, sizeof(w->group)) < 0)
		return err_set(e, EINVAL, "prepare: \"group\" is not a group id");
	v = json_view_get(params, "groups_policy");
	if (v.at && (json_view_string(v, policy, sizeof(policy)) < 0 ||
		     (strcmp(policy, "merge") != 0 && strcmp(policy, "strict") != 0)))
		return err_set(e, EINVAL, "prepare: \"groups_policy\" is neither merge nor strict");
	w->merge = strcmp(policy, "merge") == 0;
	v = json_view_get(params, "supplemental_groups");
	while (json_view_next(v, &pos, &key, &value)) {
		uint64_t gid;

		if (json_view_u64(value, USER_ID_MAX, &gid) < 0)
			return err_set(e, EINVAL, "supplemental group %.*s: not a group id between 0 and %u",
				       value.len > 32 ? 32 : (int)value.len, value.at, USER_ID_MAX);
		if ((w->extra_count & (w->extra_count - 1)) == 0) {
			uint32_t *more = realloc(w->extra, (w->extra_count ? w->extra_count * 2 : 1) * sizeof(*more));

			if (!more)
				return err_set(e, ENOMEM, "supplemental groups");
			w->extra = more;
		}
		w->extra[w->extra_count++] = (uint32_t)gid;
	}
	return 0;
}

static void put_user(const struct user *u, struct text *body)
{
	text_fmt(body, "{\"uid\":%u,\"gid\":%u,\"additional_gids\":[", u->uid, u->gid);
	for (size_t i = 0; i < u->gid_count; i++)
		text_fmt(body, "%s%u", i ? "," : "", u->gids[i]);
	text_str(body, "],\"home\":");
	text_json(body, u->home);
	text_str(body, ",\"username\":");
	text_json(body, u->name);
	text_str(body, "}");
}

static int make_namespace(int *ret_fd, struct err *e)
{
	if (unshare(CLONE_NEWNS) < 0)
		return err_set(e, errno, "unshare the container's mount namespace");
	/*
	 * Slave, not private: an unmount on the host still ends the mount here. Nothing goes back: mounts
	 * made below a slave have no peers, also where the host's root is shared (systemd).
	 */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_set(e, errno, "make the container's mounts receive only");
	/* Of this namespace alone: a hierarchy of cgroups that the pod's runtime can't do with. */
	if (oci.hide && umount2(oci.hide, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
		return err_set(e, errno, "hide \"%s\"", oci.hide);
	*ret_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? err_set(e, errno, "open the container's mount namespace") : 0;
}

/* Mounted in a mount namespace that lasts as long as *ret_ns. */
static int open_rootfs(struct json_view rootfs, bool writable, const char *target, int *ret_root, int *ret_ns, struct err *e)
{
	if (make_namespace(ret_ns, e) < 0 || mount_rootfs(rootfs, writable, target, e) < 0)
		return -e->code;
	*ret_root = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *ret_root < 0 ? err_set(e, errno, "open \"%s\"", target) : 0;
}

/*
 * The layers, for a look at the image's files. Not the container's own overlay: a folder that one wrote to without
 * syncing it (`volatile`) is taken by no second one, and that is somebody else's to mount.
 * A detached mount is gone with its descriptor; kernels before 6.5 need a place to mount it at.
 */
static int open_layers(struct json_view rootfs, const char *target, int *ret_root, struct err *e)
{
	struct json_view lower = json_view_get(rootfs, "lower");
	char layer[PATH_MAX];
	cleanup_fd int ns = -1;
	struct err unwanted; /* what is wrong with it the other way says */
	size_t pos = 0;
	int r = count_layers(lower, e);

	if (r < 0)
		return r;
	if (r == 1) { /* which the kernel makes no overlay of */
		if (next_layer(lower, &pos, NULL, 0, layer, e) < 0)
			return -e->code;
		*ret_root = open(layer, O_PATH | O_DIRECTORY | O_CLOEXEC);
		return *ret_root < 0 ? err_set(e, errno, "open layer \"%s\"", layer) : 0;
	}
	if (overlay_new_api(rootfs, NULL, false, ret_root, &unwanted) == 0)
		return 0;
	return open_rootfs(rootfs, false, target, ret_root, &ns, e);
}

int prepare_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	struct json_view params = *(struct json_view *)arg, rootfs = json_view_get(params, "rootfs");
	char bundle[PATH_MAX], target[PATH_MAX + 8];
	struct json_view only = json_view_get(params, "only_user");
	cleanup_fd int root = -1;
	bool only_user = false;
	struct wanted_user w = { 0 };
	struct user_request request;
	struct user user;

	pod_await_moves();
	report->kind = KIND_INVALID_ARGUMENT;
	if (prepare_path(json_view_get(params, "bundle"), "bundle", bundle, &report->e) < 0 ||
	    take_user(params, &w, &report->e) < 0)
		return -1;
	if (only.at && json_view_bool(only, &only_user) < 0)
		return err_set(&report->e, EINVAL, "prepare: \"only_user\"");
	report->kind = KIND_INTERNAL;
	snprintf(target, sizeof(target), "%s/rootfs", bundle);
	if ((only_user ? open_layers(rootfs, target, &root, &report->e) :
			 open_rootfs(rootfs, true, target, &root, fd, &report->e)) < 0)
		return -1;
	request = (struct user_request){ w.user, w.group, w.extra, w.extra_count, w.merge };
	if (user_resolve_in(root, &request, &user, &report->e) < 0) {
		report->kind = report->e.code == EINVAL ? KIND_INVALID_ARGUMENT : error_kind_of(report->e.code);
		return -1;
	}
	put_user(&user, body);
	return 0;
}
