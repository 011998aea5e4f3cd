/* SPDX-License-Identifier: Apache-2.0 */
/* Where the hierarchies are, and which cgroup path a container gets. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cgroup/internal.h"

const char *const cgroup_controller_names[CG_CONTROLLERS] = {
	[CG_CPU] = "cpu",         [CG_CPUACCT] = "cpuacct", [CG_CPUSET] = "cpuset",   [CG_MEMORY] = "memory",
	[CG_DEVICES] = "devices", [CG_FREEZER] = "freezer", [CG_BLKIO] = "blkio",     [CG_PIDS] = "pids",
	[CG_HUGETLB] = "hugetlb", [CG_RDMA] = "rdma",       [CG_NET_CLS] = "net_cls", [CG_NET_PRIO] = "net_prio",
	[CG_PERF] = "perf_event", [CG_MISC] = "misc",
};

static int controller_number(const char *name, size_t len)
{
	for (int c = 0; c < CG_CONTROLLERS; c++)
		if (strlen(cgroup_controller_names[c]) == len && !memcmp(name, cgroup_controller_names[c], len))
			return c;
	return len == 2 && !memcmp(name, "io", 2) ? CG_BLKIO : -1;
}

/* "cpu,cpuacct" or "cpuset cpu io" as bits. */
static uint32_t controllers_of(const char *text, const char *separators)
{
	uint32_t bits = 0;

	while (*text) {
		size_t len = strcspn(text, separators);
		int c = controller_number(text, len);

		if (c >= 0)
			bits |= UINT32_C(1) << c;
		text += len;
		text += strspn(text, separators);
	}
	return bits;
}

/* mountinfo writes space, tab, newline and backslash as \ooo. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

/* One line: id parent major:minor root mountpoint options optional... - type source superoptions. */
static void add_line(struct cgroup_host *h, char *line)
{
	char *fields[6], *save = NULL, *rest = strstr(line, " - "), *type, *super;
	struct cgroup_hierarchy *new = &h->list[h->count];

	if (!rest || h->count == CGROUP_HIERARCHIES)
		return;
	*rest = '\0';
	for (int i = 0; i < 6; i++)
		if (!(fields[i] = strtok_r(i ? NULL : line, " ", &save)))
			return;
	type = strtok_r(rest + 3, " ", &save);
	if (!type || (strcmp(type, "cgroup") && strcmp(type, "cgroup2")))
		return;
	strtok_r(NULL, " ", &save); /* source */
	super = strtok_r(NULL, " ", &save);
	unescape(fields[4]);
	if (fields[4][0] != '/' || strlen(fields[4]) >= sizeof(new->mount))
		return;
	memset(new, 0, sizeof(*new));
	strcpy(new->mount, fields[4]);
	new->v2 = !strcmp(type, "cgroup2");
	if (!new->v2 && super) {
		new->controllers = controllers_of(super, ",");
		new->named = !new->controllers;
	}
	/* A hierarchy that is mounted twice (binds, nested mounts) counts once: the first. Its device number tells. */
	if (strlen(fields[2]) >= sizeof(new->device))
		return;
	strcpy(new->device, fields[2]);
	for (int i = 0; i < h->count; i++)
		if (!strcmp(h->list[i].device, new->device))
			return;
	h->count++;
}

int cgroup_host_parse(const char *mountinfo, struct cgroup_host *ret)
{
	cleanup_free char *copy = strdup(mountinfo);
	char *save = NULL;

	if (!copy)
		return -ENOMEM;
	memset(ret, 0, sizeof(*ret));
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strstr(line, " - cgroup"))
			add_line(ret, line);
	return ret->count ? 0 : -ENOENT;
}

const struct cgroup_host *cgroup_host(struct err *e)
{
	static struct cgroup_host host;
	cleanup_free char *text = NULL;
	size_t len;
	int i, r;

	if (host.count)
		return &host;
	if (io_read_file_at(AT_FDCWD, "/proc/self/mountinfo", 64u << 20, &text, &len, e) < 0)
		return NULL;
	r = cgroup_host_parse(text, &host);
	if (r < 0) {
		err_set(e, -r, "find a cgroup filesystem in /proc/self/mountinfo");
		return NULL;
	}
	i = cgroup_find_v2(&host);
	if (i >= 0) {
		char file[300], names[512];

		snprintf(file, sizeof(file), "%s/cgroup.controllers", host.list[i].mount);
		if (io_read_small_at(AT_FDCWD, file, names, sizeof(names)) > 0)
			host.list[i].controllers = controllers_of(names, " ");
	}
	return &host;
}

int cgroup_find(const struct cgroup_host *host, enum cgroup_controller c)
{
	int found = -1;

	for (int i = 0; i < host->count; i++)
		if ((host->list[i].controllers & (UINT32_C(1) << c)) && (found < 0 || host->list[found].v2))
			found = i;
	return found;
}

int cgroup_find_v2(const struct cgroup_host *host)
{
	for (int i = 0; i < host->count; i++)
		if (host->list[i].v2)
			return i;
	return -1;
}

/* "kubepods-burstable-pod1.slice" lies in "kubepods.slice/kubepods-burstable.slice" (systemd.slice(5)). */
static int expand_slice(const char *slice, char *buf, size_t size)
{
	size_t len = strlen(slice), at = 0;

	buf[0] = '\0';
	if (!strcmp(slice, "-.slice"))
		return 0;
	if (len < 7 || strcmp(slice + len - 6, ".slice") || strchr(slice, '/') || slice[0] == '-' || strstr(slice, "--"))
		return -EINVAL;
	for (const char *p = slice; p; ) {
		const char *dash = strchr(p, '-'), *end = dash ? dash : slice + len - 6;
		int n = snprintf(buf + at, size - at, "/%.*s.slice", (int)(end - slice), slice);

		if (n < 0 || (size_t)n >= size - at)
			return -ENAMETOOLONG;
		at += (size_t)n;
		p = dash ? dash + 1 : NULL;
	}
	return 0;
}

static int systemd_path(const char *given, char *ret)
{
	const char *colon = strchr(given, ':'), *second = strchr(colon + 1, ':');
	char slice[256], parent[CGROUP_PATH_MAX / 2];
	int r;

	if (strchr(second + 1, ':') || (size_t)(colon - given) >= sizeof(slice) || strchr(colon, '/') || !second[1])
		return -EINVAL;
	snprintf(slice, sizeof(slice), "%.*s", (int)(colon - given), given);
	r = expand_slice(*slice ? slice : "system.slice", parent, sizeof(parent));
	if (r < 0)
		return r;
	/* A name that is a slice is one; else a scope "prefix-name.scope". */
	if (strlen(second + 1) > 6 && !strcmp(second + strlen(second) - 6, ".slice"))
		r = snprintf(ret, CGROUP_PATH_MAX, "%s/%s", parent, second + 1);
	else
		r = snprintf(ret, CGROUP_PATH_MAX, "%s/%.*s%s%s.scope", parent, (int)(second - colon - 1), colon + 1,
			     second - colon > 1 ? "-" : "", second + 1);
	return r < CGROUP_PATH_MAX ? 0 : -ENAMETOOLONG;
}

int cgroup_path(const char *cgroups_path, const char *id, char ret[CGROUP_PATH_MAX], struct err *e)
{
	const char *given = cgroups_path ? cgroups_path : id, *colon = strchr(given, ':');
	int r = 0;

	if (strlen(given) >= CGROUP_PATH_MAX - 64)
		return err_set(e, ENAMETOOLONG, "cgroup path of %zu bytes", strlen(given));
	if (cgroups_path && given[0] != '/' && colon && strchr(colon + 1, ':'))
		r = systemd_path(given, ret);
	else
		snprintf(ret, CGROUP_PATH_MAX, "%s%s", given[0] == '/' ? "" : "/", given);
	if (r < 0)
		return err_set(e, -r, "cgroup path \"%.200s\"", given);
	for (const char *p = ret; *p; ) {
		size_t len = strcspn(++p, "/"); /* p stood on a slash */

		if (!len || len > 255 || (p[0] == '.' && (len == 1 || (len == 2 && p[1] == '.'))))
			return err_set(e, EINVAL, "cgroup path \"%.200s\": no plain path below the root", given);
		for (size_t i = 0; i < len; i++)
			if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
				return err_set(e, EINVAL, "cgroup path: control character in it");
		p += len;
	}
	return 0;
}

int cgroup_open(const struct cgroup_host *host, int i, const char *path)
{
	char full[256 + CGROUP_PATH_MAX];
	int fd;

	snprintf(full, sizeof(full), "%s%s", host->list[i].mount, path);
	fd = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}
