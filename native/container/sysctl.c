/* SPDX-License-Identifier: Apache-2.0 */
/* linux.sysctl: only what belongs to a namespace that is the container's own. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "container/internal.h"

int sysctl_path(const char *name, char *buf, size_t size)
{
	/* As sysctl(8): the first separator tells the form; in "net.ipv4.conf.eth0/1.x" a slash stands for a dot. */
	size_t first = strcspn(name, "./"), at = 0, part = 0;
	bool dots = name[first] == '.';

	for (const char *p = name; ; p++) {
		char c = *p;

		if (c == '\0' || c == (dots ? '.' : '/')) {
			if (!part || (part == 1 && buf[at - 1] == '.') ||
			    (part == 2 && buf[at - 1] == '.' && buf[at - 2] == '.'))
				return -EINVAL;
			part = 0;
			if (c == '\0')
				break;
			c = '/';
		} else if (c == '/') {
			c = '.'; /* only in the dot form */
			part++;
		} else {
			if (!isalnum((unsigned char)c) && !strchr("_-.@:", c))
				return -EINVAL;
			part++;
		}
		if (at + 1 >= size)
			return -ENAMETOOLONG;
		buf[at++] = c;
	}
	buf[at] = '\0';
	return 0;
}

/* The namespace that a sysctl belongs to (sysctl(2), namespaces(7)); -1: the machine's. */
static int owner(const char *path)
{
	static const char *const ipc[] = { "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem",
					   "kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced" };

	if (!strncmp(path, "net/", 4))
		return NS_NETWORK;
	if (!strncmp(path, "fs/mqueue/", 10))
		return NS_IPC;
	if (!strcmp(path, "kernel/domainname"))
		return NS_UTS;
	for (size_t i = 0; i < sizeof(ipc) / sizeof(ipc[0]); i++)
		if (!strcmp(path, ipc[i]))
			return NS_IPC;
	return -1;
}

/* A namespace joined by path may be the runtime's own. */
static bool is_own(const struct spec *s, enum spec_ns_kind kind)
{
	char proc[64];
	struct stat a, b;

	if (!s->ns[kind].present)
		return false;
	if (!s->ns[kind].path)
		return true;
	snprintf(proc, sizeof(proc), "/proc/self/ns/%s", spec_ns_names[kind].proc);
	if (stat(s->ns[kind].path, &a) < 0 || stat(proc, &b) < 0)
		return false;
	return a.st_ino != b.st_ino || a.st_dev != b.st_dev;
}

int sysctl_check(const struct spec *s, struct err *e)
{
	for (size_t i = 0; i < s->sysctl_count; i++) {
		const char *name = s->sysctls[i].name;
		char path[256];
		int kind;

		if (sysctl_path(name, path, sizeof(path)) < 0)
			return err_set(e, EINVAL, "sysctl \"%.100s\" is no name", name);
		if (strpbrk(s->sysctls[i].value, "\n\r"))
			return err_set(e, EINVAL, "sysctl %s: more than one line", name);
		kind = owner(path);
		if (kind < 0)
			return err_set(e, EINVAL, "sysctl %s belongs to the machine, not to a namespace", name);
		if (!is_own(s, (enum spec_ns_kind)kind))
			return err_set(e, EINVAL, "sysctl %s: the container has no %s namespace of its own", name,
				       spec_ns_names[kind].type);
	}
	return 0;
}

int sysctl_apply(const struct spec *s, int proc, struct err *e)
{
	for (size_t i = 0; i < s->sysctl_count; i++) {
		char path[256], full[300];
		int r;

		if (sysctl_path(s->sysctls[i].name, path, sizeof(path)) < 0)
			return err_set(e, EINVAL, "sysctl \"%.100s\" is no name", s->sysctls[i].name);
		snprintf(full, sizeof(full), "sys/%s", path);
		r = io_write_file_at(proc, full, s->sysctls[i].value);
		if (r < 0)
			return err_set(e, -r, "sysctl %s = \"%.100s\"", s->sysctls[i].name, s->sysctls[i].value);
	}
	return 0;
}
