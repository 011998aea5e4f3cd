/* SPDX-License-Identifier: Apache-2.0 */
#include "mapped_layers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "container/container.h"

static int map_layer(const char *path, int user_fd, const char *at, int *ret_fd, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)user_fd };
	cleanup_fd int tree = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0)
		return err_set(e, errno, "open layer \"%s\"", path);
	if (sys_mount_setattr(tree, "", AT_EMPTY_PATH, &attr) < 0)
		return err_set(e, errno, "id-map layer \"%s\" (does its filesystem support it?)", path);
	if (sys_move_mount(tree, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_set(e, errno, "attach layer \"%s\"", path);
	*ret_fd = take_fd(&tree);
	return 0;
}

int mapped_layers_open(struct json_view lower, int user_fd, const char *at, struct mapped_layers *ret, struct err *e)
{
	struct rlimit files = { 4096, 4096 };
	struct json_view key, layer;
	char path[PATH_MAX];
	size_t pos = 0;

	if (mkdir(at, 0700) < 0 && errno != EEXIST)
		return err_set(e, errno, "make folder \"%s\"", at);
	setrlimit(RLIMIT_NOFILE, &files);
	for (ret->count = 0; json_view_next(lower, &pos, &key, &layer); ret->count++)
		if (prepare_path(layer, "lower", path, e) < 0 || map_layer(path, user_fd, at, &ret->fds[ret->count], e) < 0)
			return -e->code;
	return 0;
}

int mapped_layers_release(struct mapped_layers *l, const char *at, struct err *e)
{
	while (l->count > 0) {
		if (umount2(at, MNT_DETACH) < 0)
			return err_set(e, errno, "let the mapped layers go");
		close(l->fds[--l->count]);
	}
	return rmdir(at) < 0 ? err_set(e, errno, "remove \"%s\"", at) : 0;
}

int mapped_layers_probe(const char *const folders[2], struct err *e)
{
	struct spec_idmap line = { 0, 65536, 65536 };
	struct spec_idmaps maps = { &line, &line, 1, 1 };
	cleanup_fd int user = -1, fs = -1, tree = -1;
	char lower[64];
	int layers[2];

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_set(e, errno, "make a mount namespace");
	if (userns_make(&maps, &user, e) < 0)
		return -e->code;
	for (int i = 0; i < 2; i++)
		if (map_layer(folders[i], user, folders[i], &layers[i], e) < 0)
			return -e->code;
	snprintf(lower, sizeof(lower), "/proc/self/fd/%d:/proc/self/fd/%d", layers[0], layers[1]);
	fs = sys_fsopen("overlay", FSOPEN_CLOEXEC);
	if (fs < 0 || sys_fsconfig_string(fs, "lowerdir", lower) < 0 || sys_fsconfig_create(fs) < 0)
		return err_set(e, errno, "mount an overlay of id-mapped layers");
	tree = sys_fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
	return tree < 0 ? err_set(e, errno, "mount an overlay of id-mapped layers") : 0;
}
