/* SPDX-License-Identifier: Apache-2.0 */
#include "seal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "sys.h"

int seal_self(char *const argv[], char *const envp[], struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	cleanup_fd int tree = -1;
	struct statvfs fs;

	if (statvfs("/proc/self/exe", &fs) == 0 && (fs.f_flag & ST_RDONLY))
		return 0;
	tree = sys_open_tree(AT_FDCWD, "/proc/self/exe", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0 || sys_mount_setattr(tree, "", AT_EMPTY_PATH, &attr) < 0)
		return err_set(e, errno, "mount the own program read-only");
	sys_execveat(tree, "", argv, envp, AT_EMPTY_PATH);
	return err_set(e, errno, "run the own program from a read-only mount");
}
