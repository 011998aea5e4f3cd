// SPDX-License-Identifier: Apache-2.0
#include "lease.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

#define LEASE_SIZE 4096 /* an id and a name; more is broken */

static int make_dirs(const char *path)
{
	cleanup_free char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	for (char *at = copy + 1;; at++) {
		char c = *at;

		if (c && c != '/')
			continue;
		*at = 0;
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return -errno;
		*at = c;
		if (!c)
			return 0;
	}
}

int leases_open(const char *data_dir, const char *network, bool make, struct leases *ret, struct err *e)
{
	char path[4096];
	cleanup_fd int dir = -1;
	cleanup_fd int lock = -1;
	int r;

	if (data_dir[0] != '/' || (size_t)snprintf(path, sizeof(path), "%s/%s", data_dir, network) >= sizeof(path))
		return err_set(e, EINVAL, "ipam.dataDir: \"%.100s\" is no absolute path", data_dir);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 && errno == ENOENT && make) {
		r = make_dirs(path);
		if (r < 0)
			return err_set(e, -r, "create %s", path);
		dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (dir < 0)
		return err_set(e, errno, "open %s", path);
	lock = openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (lock < 0)
		return err_set(e, errno, "open %s/lock", path);
	while (flock(lock, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "lock %s/lock", path);
	ret->dir_fd = take_fd(&dir);
	ret->lock_fd = take_fd(&lock);
	return 0;
}

void leases_close(struct leases *l)
{
	if (l->lock_fd >= 0)
		close(l->lock_fd);
	if (l->dir_fd >= 0)
		close(l->dir_fd);
	l->lock_fd = l->dir_fd = -1;
}

enum lease_owner lease_owner(const char *data, size_t len, const char *id, const char *ifname)
{
	size_t id_len = strlen(id);

	while (len && isspace((unsigned char)data[len - 1]))
		len--;
	while (len && isspace((unsigned char)*data))
		data++, len--;
	if (!len || !isalnum((unsigned char)*data))
		return LEASE_BROKEN;
	for (size_t i = 0; i < len; i++)
		if (!isprint((unsigned char)data[i]) && data[i] != '\r' && data[i] != '\n')
			return LEASE_BROKEN;
	if (len < id_len || memcmp(data, id, id_len))
		return LEASE_OTHER;
	if (len == id_len)
		return LEASE_OWN;
	if (len == id_len + 2 + strlen(ifname) && !memcmp(data + id_len, "\r\n", 2) &&
	    !memcmp(data + id_len + 2, ifname, strlen(ifname)))
		return LEASE_OWN;
	return LEASE_OTHER;
}

static ssize_t read_lease(int dir, const char *name, char *buf)
{
	cleanup_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, LEASE_SIZE);
	return n < 0 ? -errno : n;
}

static int write_file(int dir, const char *name, int flags, const char *data, size_t len, struct err *e)
{
	cleanup_fd int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);

	if (fd < 0)
		return err_set(e, errno, "write %s", name);
	if (io_write_all(fd, data, len, e) < 0)
		return err_wrap(e, "write %s", name);
	return 0;
}

int lease_take(struct leases *l, const struct ip *a, size_t set, const char *id, const char *ifname, struct err *e)
{
	char name[IP_TEXT], last[32], data[LEASE_SIZE];
	int len, r;

	ip_print(a, name);
	snprintf(last, sizeof(last), "last_reserved_ip.%zu", set);
	len = snprintf(data, sizeof(data), "%s\r\n%s", id, ifname);
	if (len < 0 || (size_t)len >= sizeof(data))
		return err_set(e, ENAMETOOLONG, "container id of an address");
	r = write_file(l->dir_fd, name, O_EXCL, data, (size_t)len, e);
	if (r == -EEXIST) {
		char old[LEASE_SIZE];
		ssize_t n = read_lease(l->dir_fd, name, old);

		if (n < 0 || lease_owner(old, (size_t)n, id, ifname) != LEASE_BROKEN)
			return 0;
		r = write_file(l->dir_fd, name, O_TRUNC, data, (size_t)len, e);
	}
	if (r < 0) {
		if (e->code == ENOSPC)
			unlinkat(l->dir_fd, name, 0);
		return r;
	}
	/* Only a hint for the next search: it may fail. */
	if (write_file(l->dir_fd, last, O_TRUNC, name, strlen(name), &(struct err){ 0 }) < 0)
		unlinkat(l->dir_fd, last, 0);
	return 1;
}

struct ip lease_last(struct leases *l, size_t set)
{
	char name[32], text[LEASE_SIZE + 1];
	struct ip a = { 0 };
	ssize_t n;

	snprintf(name, sizeof(name), "last_reserved_ip.%zu", set);
	n = read_lease(l->dir_fd, name, text);
	if (n > 0) {
		text[n] = 0;
		ip_parse(text, &a);
	}
	return a;
}

int leases_walk(struct leases *l, lease_visit visit, void *arg, struct err *e)
{
	int fd = openat(l->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;
	int r = 0;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		r = err_set(e, errno, "list addresses in use");
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (!r && (entry = readdir(dir))) {
		char data[LEASE_SIZE];
		struct ip a;
		ssize_t n;

		if (!ip_parse(entry->d_name, &a))
			continue;
		n = read_lease(l->dir_fd, entry->d_name, data);
		if (n >= 0)
			r = visit(l, entry->d_name, data, (size_t)n, arg);
	}
	closedir(dir);
	return r < 0 ? err_set(e, -r, "go through addresses in use") : 0;
}

struct release {
	const char *id, *ifname;
	size_t count;
};

static int release_one(struct leases *l, const char *name, const char *data, size_t len, void *arg)
{
	struct release *release = arg;

	if (lease_owner(data, len, release->id, release->ifname) != LEASE_OWN)
		return 0;
	if (unlinkat(l->dir_fd, name, 0) < 0 && errno != ENOENT)
		return -errno;
	release->count++;
	return 0;
}

int lease_release(struct leases *l, const char *id, const char *ifname, size_t *ret_count, struct err *e)
{
	struct release release = { id, ifname, 0 };
	int r = leases_walk(l, release_one, &release, e);

	if (!r && ret_count)
		*ret_count = release.count;
	return r;
}
