/* SPDX-License-Identifier: Apache-2.0 */
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cleanup.h"

int io_read_all(int fd, size_t cap, char **ret_buf, size_t *ret_len, struct err *e)
{
	cleanup_free char *buf = NULL;
	size_t room = 0, len = 0, first = 4096;
	struct stat st;

	/* A file says how long it is, as far as it knows; one byte more tells that it ends there. */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= (off_t)first)
		first = (size_t)st.st_size + 1;
	for (;;) {
		ssize_t n;

		if (len == room) {
			size_t next = room ? room * 2 : first;
			char *more;

			if (next > cap + 1) /* one byte past the cap tells "full" from "too long" */
				next = cap + 1;
			more = realloc(buf, next + 1);
			if (!more)
				return err_set(e, ENOMEM, "read: %zu bytes of memory", next);
			buf = more;
			room = next;
		}
		n = read(fd, buf + len, room - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "read");
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > cap)
			return err_set(e, EFBIG, "read: more than %zu bytes", cap);
	}
	buf[len] = '\0';
	*ret_buf = take_ptr(&buf);
	*ret_len = len;
	return 0;
}

int io_read_file_at(int dirfd, const char *path, size_t cap, char **ret_buf, size_t *ret_len, struct err *e)
{
	cleanup_fd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_set(e, errno, "open \"%s\"", path);
	if (io_read_all(fd, cap, ret_buf, ret_len, e) < 0)
		return err_wrap(e, "\"%s\"", path);
	return 0;
}

ssize_t io_read_small_at(int dirfd, const char *path, char *buf, size_t size)
{
	cleanup_fd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t len = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len == size)
			return -EFBIG;
	}
	if (len && buf[len - 1] == '\n')
		len--;
	buf[len] = '\0';
	return (ssize_t)len;
}

int io_write_all(int fd, const void *data, size_t len, struct err *e)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "write");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int io_write_file_at(int dirfd, const char *path, const char *text)
{
	cleanup_fd int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	do
		n = write(fd, text, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

int io_write_atomic_at(int dirfd, const char *name, const void *data, size_t len, mode_t mode, struct err *e)
{
	char temp[512];
	cleanup_fd int fd = -1;
	int r;

	/* The pid makes writers of one name apart; a leftover of a dead one with our pid is replaced. */
	if ((size_t)snprintf(temp, sizeof(temp), "%s.%d.tmp", name, (int)getpid()) >= sizeof(temp))
		return err_set(e, ENAMETOOLONG, "write \"%s\"", name);
	unlinkat(dirfd, temp, 0);
	fd = openat(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(e, errno, "create \"%s\"", temp);
	r = io_write_all(fd, data, len, e);
	if (r < 0)
		err_wrap(e, "\"%s\"", temp);
	else if (fchmod(fd, mode) < 0)
		r = err_set(e, errno, "chmod \"%s\"", temp);
	else if (renameat(dirfd, temp, dirfd, name) < 0)
		r = err_set(e, errno, "rename \"%s\" to \"%s\"", temp, name);
	if (r < 0)
		unlinkat(dirfd, temp, 0);
	return r;
}

int io_open_stdio(struct err *e)
{
	struct stat st;

	for (int fd = 0; fd < 3; fd++) {
		int null;

		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		null = open("/dev/null", O_RDWR | O_NOCTTY); /* the lowest number that is free: this one */
		if (null < 0 || fstat(null, &st) < 0)
			return err_set(e, errno, "open /dev/null");
		if (null != fd || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
			return err_set(e, ENODEV, "open /dev/null");
	}
	return 0;
}

int io_send_fd(int sock, int fd, struct err *e)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char byte = 'F';
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	while (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "send a descriptor");
	return 0;
}

int io_recv_fd(int sock, int *ret_fd, struct err *e)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control.room) };
	struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(e, errno, "receive a descriptor");
	c = CMSG_FIRSTHDR(&msg);
	if (n == 0 || !c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(int)))
		return err_set(e, EPROTO, "receive a descriptor: none came");
	memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	return 0;
}
