/* SPDX-License-Identifier: Apache-2.0 */
/* What passes between a runtime's program and its runner by files: pids, terminals, a hidden cgroup. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "monitor/oci.h"

/* What the program left running became a child of ours; any other pid is nobody's to signal. */
static bool is_child(pid_t pid)
{
	char path[64], text[1024], *p;
	int parent;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (io_read_small_at(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return false;
	p = strrchr(text, ')');
	return p && sscanf(p + 1, " %*c %d", &parent) == 1 && parent == getpid();
}

int oci_read_pid(const char *path, pid_t *ret, struct err *e)
{
	char text[32], *end;
	ssize_t n = io_read_small_at(AT_FDCWD, path, text, sizeof(text));
	long pid;

	if (n < 0)
		return err_set(e, (int)-n, "pid file \"%s\" of %s", path, oci.path);
	pid = strtol(text, &end, 10);
	if (*end || pid < 2 || pid > INT_MAX)
		return err_set(e, OCI_SAID, "%s wrote a pid file without a pid", oci.path);
	if (!is_child((pid_t)pid))
		return err_set(e, OCI_SAID, "%s wrote pid %ld, which is no process that it made", oci.path, pid);
	*ret = (pid_t)pid;
	return 0;
}

int oci_console_listen(const char *name, int *ret_fd, struct err *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
	unlink(name);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		return err_set(e, errno, "console socket");
	*ret_fd = take_fd(&fd);
	return 0;
}

int oci_console_take(int sock, int *ret_master, struct err *e)
{
	cleanup_fd int fd = accept4(sock, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	char text[PATH_MAX], control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { text, sizeof(text) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c;

	/* The pty's name comes along with its master, as many bytes as there are. */
	if (fd < 0 || recvmsg(fd, &msg, MSG_CMSG_CLOEXEC) <= 0)
		return err_set(e, OCI_SAID, "%s sent no terminal", oci.path);
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != SCM_RIGHTS)
		return err_set(e, OCI_SAID, "%s sent no terminal", oci.path);
	memcpy(ret_master, CMSG_DATA(c), sizeof(int));
	if (!isatty(*ret_master)) {
		close(*ret_master);
		return err_set(e, OCI_SAID, "%s sent no terminal", oci.path);
	}
	return 0;
}

int oci_hidden_cgroup(const char *cgroup, struct err *e)
{
	char path[PATH_MAX];
	size_t from;
	int fd;

	if (!oci.hide || !cgroup[0])
		return 0;
	if ((size_t)snprintf(path, sizeof(path), "%s%s", oci.hide, cgroup) >= sizeof(path))
		return err_set(e, ENAMETOOLONG, "cgroup %s", cgroup);
	from = strlen(oci.hide) + 1;
	for (char *slash = strchr(path + from, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return err_set(e, errno, "make cgroup \"%s\"", path);
		if (!slash)
			break;
		*slash = '/';
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "open cgroup \"%s\"", path);
	oci_begin_in(fd);
	return 0;
}
