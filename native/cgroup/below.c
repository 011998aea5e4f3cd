/* SPDX-License-Identifier: Apache-2.0 */
/* Joining an existing cgroup below a container's, controller by controller (exec --cgroup). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cgroup/internal.h"

/* ".." would lead to a cgroup that is not the container's. */
static bool stays_below(const char *path)
{
	for (const char *p = path; *p; p += strcspn(p, "/"), p += *p == '/')
		if (!strncmp(p, "..", 2) && (p[2] == '/' || !p[2]))
			return false;
	return true;
}

static int join_one(const struct cgroup_host *host, int i, const char *path, const char *below, struct cgroup_join *j,
		    struct err *e)
{
	int *slot = host->list[i].v2 ? &j->v2 : &j->tasks[i], fd;
	char full[300 + 2 * CGROUP_PATH_MAX];

	if ((size_t)snprintf(full, sizeof(full), "%s%s/%s%s", host->list[i].mount, path, below,
			     host->list[i].v2 ? "" : "/tasks") >= sizeof(full))
		return err_set(e, ENAMETOOLONG, "cgroup \"%.100s\" of the exec", below);
	fd = open(full, (host->list[i].v2 ? O_RDONLY | O_DIRECTORY : O_WRONLY) | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "open cgroup %s", full);
	if (*slot >= 0)
		close(*slot);
	*slot = fd;
	return 0;
}

/* The hierarchy of a controller by its name, of a named hierarchy by its mount point's last part; -1: none. */
static int hierarchy_of(const struct cgroup_host *host, const char *name, size_t len)
{
	for (int c = 0; c < CG_CONTROLLERS; c++)
		if (strlen(cgroup_controller_names[c]) == len && !memcmp(cgroup_controller_names[c], name, len))
			return cgroup_find(host, (enum cgroup_controller)c);
	for (int i = 0; i < host->count; i++) {
		const char *last = strrchr(host->list[i].mount, '/');

		if (host->list[i].named && last && strlen(last + 1) == len && !memcmp(last + 1, name, len))
			return i;
	}
	return -1;
}

int cgroup_join_below(const char *path, const char *asked, struct cgroup_join *j, struct err *e)
{
	const struct cgroup_host *host = cgroup_host(e);
	const char *colon = strchr(asked, ':'), *below = colon ? colon + 1 : asked;

	if (!host)
		return -e->code;
	if (!stays_below(below))
		return err_set(e, EINVAL, "cgroup \"%.100s\" of the exec is not below the container's", asked);
	if (!colon) {
		int v2 = cgroup_find_v2(host);

		if (v2 < 0 || host->count > 1)
			return err_set(e, EINVAL, "cgroup \"%.100s\" of the exec: name its controllers, as in cpu,memory:PATH", asked);
		return join_one(host, v2, path, below, j, e);
	}
	for (const char *name = asked; name < colon + 1; ) {
		size_t len = strcspn(name, ",:");
		int i = hierarchy_of(host, name, len);

		if (i < 0)
			return err_set(e, EINVAL, "cgroup \"%.100s\" of the exec: this machine has no controller \"%.*s\"", asked,
				       (int)len, name);
		if (join_one(host, i, path, below, j, e) < 0)
			return -e->code;
		name += len + 1;
	}
	return 0;
}
