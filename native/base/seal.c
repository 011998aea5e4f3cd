/* SPDX-License-Identifier: Apache-2.0 */
#include "seal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "sys.h"

int seal_exec(const char *path, char *const argv[], char *const envp[], struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	cleanup_fd int tree = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0 || sys_mount_setattr(tree, "", AT_EMPTY_PATH, &attr) < 0)
		return err_set(e, errno, "mount the program %s read-only", path);
	sys_execveat(tree, "", argv, envp, AT_EMPTY_PATH);
	return err_set(e, errno, "run the program %s from a read-only mount", path);
}

int seal_self(char *const argv[], char *const envp[], struct err *e)
{
	struct statvfs fs;

	if (statvfs("/proc/self/exe", &fs) == 0 && (fs.f_flag & ST_RDONLY))
		return 0;
	return seal_exec("/proc/self/exe", argv, envp, e);
}
