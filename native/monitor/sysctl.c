/* SPDX-License-Identifier: Apache-2.0 */
#include "sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"

/* Source: ipc_namespaces(7) and ipc/ipc_sysctl.c: all that a new IPC namespace has of its own. */
static const char *const ipc_names[] = {
	"kernel/auto_msgmni", "kernel/msg_next_id", "kernel/msgmax", "kernel/msgmnb",	  "kernel/msgmni",
	"kernel/sem",	      "kernel/sem_next_id", "kernel/shm_next_id", "kernel/shm_rmid_forced", "kernel/shmall",
	"kernel/shmmax",      "kernel/shmmni",
};

static bool is_ipc_name(const char *path)
{
	for (size_t i = 0; i < sizeof(ipc_names) / sizeof(ipc_names[0]); i++)
		if (strcmp(path, ipc_names[i]) == 0)
			return true;
	return strncmp(path, "fs/mqueue/", 10) == 0;
}

/* No part may be empty, "." or "..", or hold a byte that sysctl names have not. */
static bool plain_parts(const char *path)
{
	const char *part = path;

	for (const char *p = path;; p++) {
		if (*p == '/' || *p == '\0') {
			size_t n = (size_t)(p - part);

			if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
				return false;
			if (*p == '\0')
				return true;
			part = p + 1;
		} else if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
			     *p == '_' || *p == '-' || *p == '.' || *p == '@' || *p == ':')) {
			return false;
		}
	}
}

int pod_sysctl_path(const char *name, const char *value, bool own_net, bool own_ipc, char ret[SYSCTL_PATH_MAX], struct err *e)
{
	size_t n = strlen(name);
	bool dots;

	if (n == 0 || n >= SYSCTL_PATH_MAX)
		return err_set(e, EINVAL, "sysctl \"%.64s\": name of %zu bytes", name, n);
	/* The first separator says which form it is; in the dotted one, "/" stands for a dot of an interface's name. */
	dots = name[strcspn(name, "./")] == '.';
	for (size_t i = 0; i <= n; i++) {
		ret[i] = name[i];
		if (dots && name[i] == '.')
			ret[i] = '/';
		else if (dots && name[i] == '/')
			ret[i] = '.';
	}
	if (!plain_parts(ret))
		return err_set(e, EINVAL, "sysctl \"%s\": not a name below /proc/sys", name);
	if (strlen(value) > 4096 || strpbrk(value, "\n\r"))
		return err_set(e, EINVAL, "sysctl \"%s\": its value is not one line", name);
	if (strncmp(ret, "net/", 4) == 0)
		return own_net ? 0 : err_set(e, EINVAL, "sysctl \"%s\": the pod uses the host's network namespace", name);
	if (is_ipc_name(ret))
		return own_ipc ? 0 : err_set(e, EINVAL, "sysctl \"%s\": the pod uses the host's IPC namespace", name);
	return err_set(e, EINVAL, "sysctl \"%s\": not a setting of a pod's namespaces", name);
}

int pod_sysctl_write(const char *path, const char *value, struct err *e)
{
	struct open_how how = {
		.flags = O_WRONLY | O_CLOEXEC | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};
	cleanup_fd int root = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int fd = -1;
	struct statfs fs;

	if (root < 0 || fstatfs(root, &fs) < 0)
		return err_set(e, errno, "open /proc/sys");
	if (fs.f_type != PROC_SUPER_MAGIC)
		return err_set(e, EINVAL, "/proc/sys is not procfs");
	fd = sys_openat2(root, path, &how);
	if (fd < 0)
		return err_set(e, errno, "open sysctl \"%s\"", path);
	if (io_write_all(fd, value, strlen(value), e) < 0)
		return err_wrap(e, "sysctl \"%s\"", path);
	return 0;
}

int pod_sysctls(struct json_view sysctls, bool own_net, bool own_ipc, struct err *e)
{
	struct json_view key, value;
	char name[SYSCTL_PATH_MAX], path[SYSCTL_PATH_MAX], text[4097];
	size_t pos = 0;

	while (json_view_next(sysctls, &pos, &key, &value)) {
		if (json_view_string(key, name, sizeof(name)) < 0 || json_view_string(value, text, sizeof(text)) < 0)
			return err_set(e, EINVAL, "sysctl \"%.*s\": not a name with one value", key.len > 64 ? 64 : (int)key.len,
				       key.at);
		if (pod_sysctl_path(name, text, own_net, own_ipc, path, e) < 0 || pod_sysctl_write(path, text, e) < 0)
			return -e->code;
	}
	return 0;
}
