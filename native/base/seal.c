/* SPDX-License-Identifier: Apache-2.0 */
#include "seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "sys.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U /* Linux 6.3 */
#endif

int seal_exec(const char *path, char *const argv[], char *const envp[], struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	cleanup_fd int tree = sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0 || sys_mount_setattr(tree, "", AT_EMPTY_PATH, &attr) < 0)
		return err_set(e, errno, "mount the program %s read-only", path);
	sys_execveat(tree, "", argv, envp, AT_EMPTY_PATH);
	return err_set(e, errno, "run the program %s from a read-only mount", path);
}

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

/* The owner of a file may always make it writable. */
static bool may_write(int fd, const char *path)
{
	struct stat st;

	return fstat(fd, &st) < 0 || st.st_uid == geteuid() || access(path, W_OK) == 0;
}

static int copy_sealed(int from, int *ret_fd, struct err *e)
{
	cleanup_fd int fd = memfd_create("kobako", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	ssize_t n;

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("kobako", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_set(e, errno, "make a file in memory for a copy of the program");
	do
		n = sendfile(fd, from, NULL, 1 << 30);
	while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return err_set(e, errno, "copy the program to memory");
	*ret_fd = take_fd(&fd);
	return 0;
}

/* From where nobody can write to it without a mount. Returns where that is so already. */
static int run_copy(const char *path, char *const argv[], char *const envp[], struct err *e)
{
	cleanup_fd int file = open(path, O_RDONLY | O_CLOEXEC), copy = -1;
	int seals;

	if (file < 0)
		return err_set(e, errno, "open the program %s", path);
	seals = fcntl(file, F_GET_SEALS);
	if ((seals >= 0 && (seals & SEALS) == SEALS) || !may_write(file, path))
		return 0;
	if (copy_sealed(file, &copy, e) < 0)
		return -e->code;
	sys_execveat(copy, "", argv, envp, AT_EMPTY_PATH);
	return err_set(e, errno, "run the program %s from a copy in memory", path);
}

int seal_self(char *const argv[], char *const envp[], struct err *e)
{
	struct statvfs fs;
	struct err no_mount;

	if (statvfs("/proc/self/exe", &fs) == 0 && (fs.f_flag & ST_RDONLY))
		return 0;
	seal_exec("/proc/self/exe", argv, envp, &no_mount);
	return run_copy("/proc/self/exe", argv, envp, e);
}
