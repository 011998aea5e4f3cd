/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole reads and writes on descriptors, with caps: nothing from outside is read without one.
 */
#ifndef KOBAKO_BASE_IO_H
#define KOBAKO_BASE_IO_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * First of all in main(): /dev/null for what the caller left closed of 0, 1 and 2. Else the next descriptors to be
 * opened (a cgroup, a pidfd) would have these numbers, and a child or a container would get them as its own.
 */
int io_open_stdio(struct err *e);

/*
 * Reads to the end of fd, at most `cap` bytes; more is EFBIG, found without reading past the cap.
 * *ret_buf is allocated, one byte longer than *ret_len and terminated with 0.
 */
int io_read_all(int fd, size_t cap, char **ret_buf, size_t *ret_len, struct err *e);

/* Opens `path` below dirfd (O_CLOEXEC|O_NOCTTY) and reads all of it, as io_read_all. */
int io_read_file_at(int dirfd, const char *path, size_t cap, char **ret_buf, size_t *ret_len, struct err *e);

/*
 * Reads a short kernel file into buf with one open and read, terminated, the last newline cut.
 * Returns its length or -errno (EFBIG when it does not fit). No struct err: callers often tolerate.
 */
ssize_t io_read_small_at(int dirfd, const char *path, char *buf, size_t size);

/* Writes all len bytes. EINTR is retried; EAGAIN is an error. */
int io_write_all(int fd, const void *data, size_t len, struct err *e);

/*
 * Writes `text` to an existing file in ONE write(2), as kernel files want it. Returns 0 or -errno.
 */
int io_write_file_at(int dirfd, const char *path, const char *text);

/*
 * Puts a file in place as a whole: temporary name beside it, mode, rename. An old file is replaced,
 * a link of that name too; readers see all or nothing. Not synced to disk.
 */
int io_write_atomic_at(int dirfd, const char *name, const void *data, size_t len, mode_t mode, struct err *e);

/* Sends one byte and a descriptor over a unix socket. */
int io_send_fd(int sock, int fd, struct err *e);

/* Receives what io_send_fd sent; the descriptor is close-on-exec. */
int io_recv_fd(int sock, int *ret_fd, struct err *e);

#endif
