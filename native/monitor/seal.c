/* SPDX-License-Identifier: Apache-2.0 */
#include "seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/sys.h"

void seal_own_file(char *argv[])
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	char *const empty[] = { NULL };
	struct statvfs fs;
	int tree;

	if (statvfs("/proc/self/exe", &fs) == 0 && (fs.f_flag & ST_RDONLY))
		return;
	tree = sys_open_tree(AT_FDCWD, "/proc/self/exe", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree >= 0 && sys_mount_setattr(tree, "", AT_EMPTY_PATH, &attr) == 0)
		sys_execveat(tree, "", argv, empty, AT_EMPTY_PATH);
	dprintf(STDERR_FILENO, "kobako-monitor: run from a read-only mount of itself: %s\n", strerror(errno));
	if (tree >= 0)
		close(tree);
}
