/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources (config-linux.md, "Control groups") on one cgroup: the way of one apply. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cgroup/internal.h"

int limits_dir(struct limits *l, enum cgroup_controller c, const struct jnode *what, bool *ret_v2)
{
	int i = cgroup_find(l->host, c), r;
	char path[160];

	if (i < 0)
		return err_set(l->e, ENOTSUP, "%s: this machine has no %s cgroup controller",
			       json_path(what, path, sizeof(path)), cgroup_controller_names[c]);
	if (l->dirs[i] < 0) {
		l->dirs[i] = cgroup_open(l->host, i, l->path);
		if (l->dirs[i] < 0)
			return err_set(l->e, -l->dirs[i], "open cgroup %s%s", l->host->list[i].mount, l->path);
	}
	*ret_v2 = l->host->list[i].v2;
	if (*ret_v2) {
		r = cgroup_enable(l->host, i, l->path, c);
		/* A cgroup gives its children controllers or has processes of its own, never both (but the root). */
		if (r == -EBUSY)
			return err_set(l->e, EBUSY,
				       "%s: let the %s controller reach cgroup %s: a cgroup above it has processes of its own, "
				       "move them into one below that",
				       json_path(what, path, sizeof(path)), cgroup_controller_names[c], l->path);
		if (r < 0)
			return err_set(l->e, -r, "%s: let the %s controller reach cgroup %s",
				       json_path(what, path, sizeof(path)), cgroup_controller_names[c], l->path);
	}
	return l->dirs[i];
}

int limits_write(struct limits *l, int dir, const char *file, const struct jnode *of, const char *key,
		 const char *fmt, ...)
{
	struct jnode member = key ? json_get(of, key) : *of;
	char text[512], path[160];
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if ((size_t)r >= sizeof(text))
		return json_refuse(&member, l->e, "longer than %s takes", file);
	r = io_write_file_at(dir, file, text);
	if (r < 0)
		return err_set(l->e, -r, "%s: write \"%.60s\" to %s of cgroup %s", json_path(&member, path, sizeof(path)),
			       text, file, l->path);
	return 0;
}

static int open_limits(struct limits *ret, const char *path, const struct jnode *resources, struct err *e)
{
	*ret = (struct limits){ .host = cgroup_host(e), .path = path, .e = e };
	if (!ret->host)
		return -e->code;
	memset(ret->dirs, 0xff, sizeof(ret->dirs));
	return json_want_object(resources, e);
}

static void close_limits(struct limits *l)
{
	for (int i = 0; i < CGROUP_HIERARCHIES; i++)
		if (l->dirs[i] >= 0)
			close(l->dirs[i]);
}

static int apply(const char *path, const struct jnode *resources, bool devices, struct err *e)
{
	struct limits l;
	int r = open_limits(&l, path, resources, e);

	if (r < 0)
		return r;
	if (devices)
		r = limits_devices(&l, resources);
	if (resources->value && r == 0) {
		(void)((r = limits_memory(&l, resources)) < 0 || (r = limits_cpu(&l, resources)) < 0 ||
		       (r = limits_pids(&l, resources)) < 0 || (r = limits_blkio(&l, resources)) < 0 ||
		       (r = limits_hugetlb(&l, resources)) < 0 || (r = limits_rdma(&l, resources)) < 0 ||
		       (r = limits_network(&l, resources)) < 0 || (r = limits_unified(&l, resources)) < 0);
	}
	close_limits(&l);
	return r;
}

int cgroup_check_usage(const char *path, const struct jnode *resources, struct err *e)
{
	struct limits l;
	int r = open_limits(&l, path, resources, e);

	if (r < 0)
		return r;
	if (resources->value)
		r = limits_check_usage(&l, resources);
	close_limits(&l);
	return r;
}

int limits_complete_member(struct limits *l, json_t *whole, const char *group, const char *key, int64_t value)
{
	if (json_object_set_new(json_object_get(whole, group), key, json_integer(value)) < 0)
		return err_set(l->e, ENOMEM, "resources.%s.%s", group, key);
	return 0;
}

int limits_complete(struct limits *l, const struct jnode *resources, json_t *whole)
{
	int r = limits_complete_memory(l, resources, whole);

	return r < 0 ? r : limits_complete_cpu(l, resources, whole);
}

int cgroup_complete(const char *path, const struct jnode *resources, json_t **ret, struct err *e)
{
	struct limits l;
	json_t *whole = NULL;
	int r = open_limits(&l, path, resources, e);

	if (r < 0)
		return r;
	whole = resources->value ? json_deep_copy(resources->value) : json_object();
	r = whole ? limits_complete(&l, resources, whole) : err_set(e, ENOMEM, "resources");
	close_limits(&l);
	if (r < 0)
		json_decref(whole);
	else
		*ret = whole;
	return r;
}

int cgroup_apply(const char *path, const struct jnode *resources, struct err *e)
{
	return apply(path, resources, true, e);
}

int cgroup_update(const char *path, const struct jnode *resources, struct err *e)
{
	return apply(path, resources, false, e);
}
