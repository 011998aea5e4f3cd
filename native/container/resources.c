/* SPDX-License-Identifier: Apache-2.0 */
/* The cgroup of a container: made and limited at create, changed by update, removed at its end. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/trace.h"
#include "cgroup/systemd.h"
#include "container/creation.h"

/* A scope has a process from its beginning: one that waits until init is in it. */
static int start_unit(struct creation *c, const struct container_create *req, const struct jnode *resources, struct err *e)
{
	struct systemd_unit unit;

	if (systemd_running(e) < 0 || systemd_unit(c->spec.cgroups_path, req->id, &unit, e) < 0)
		return -e->code;
	memcpy(c->cgroup, unit.path, sizeof(c->cgroup));
	if (systemd_begin(&unit, resources, req->systemd_annotations ? c->spec.annotations : NULL, &c->waiter, e) < 0)
		return -e->code;
	c->unit_made = true;
	return 0;
}

/* Anything but device rules: without device nodes (they can't be made here) these have no object. */
static bool asks_for_limits(const json_t *resources)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)resources, key, value)
		if (strcmp(key, "devices") && json_object_size(value))
			return true;
	return false;
}

/* A caller without rights goes without a cgroup, when nothing is asked of it. */
static int make_cgroup_late(struct creation *c, const struct container_create *req, struct err *e)
{
	struct err why = { 0 };
	char text[640];

	if (cgroup_path(c->spec.cgroups_path, req->id, c->cgroup, e) < 0)
		return -e->code;
	if (cgroup_create(c->cgroup, &c->made, &why) == 0)
		return 1;
	*c->cgroup = '\0';
	if (asks_for_limits(c->spec.resources)) {
		*e = why;
		return err_wrap(e, "linux.resources");
	}
	snprintf(text, sizeof(text), "no cgroup: %s: %s", why.step, strerror(why.code));
	creation_warn((void *)req, text);
	return 0;
}

int creation_make_cgroup(struct creation *c, const struct container_create *req, struct err *e)
{
	struct jnode resources = json_top(c->spec.resources, "linux.resources");
	int r;

	if (c->late) {
		r = make_cgroup_late(c, req, e);
		if (r <= 0)
			return r;
	} else {
		r = req->systemd_cgroup ? start_unit(c, req, &resources, e) :
					  cgroup_path(c->spec.cgroups_path, req->id, c->cgroup, e);
		if (r == 0)
			r = cgroup_create(c->cgroup, &c->made, e);
		if (r < 0)
			return -e->code;
	}
	c->cgroup_made = true;
	trace_step("make cgroups", c->cgroup);
	if (traced("set limits", cgroup_apply(c->cgroup, &resources, e)) < 0)
		return -e->code;
	return cgroup_join_open(c->cgroup, &c->join, e);
}

void creation_drop_cgroup(struct creation *c)
{
	struct err ignored;

	if (c->cgroup_made) {
		cgroup_join_close(&c->join);
		cgroup_kill_all(c->cgroup, &ignored);
		/* The whole cgroup only if it is ours; else what is empty of it. */
		cgroup_remove(c->cgroup, 1000, &ignored);
		cgroup_undo(c->cgroup, &c->made);
	}
	systemd_end_waiter(&c->waiter);
	if (c->unit_made)
		systemd_stop(strrchr(c->cgroup, '/') + 1, &ignored);
}

int container_update(const char *cgroup, bool systemd_cgroup, const struct jnode *resources, struct err *e)
{
	/* systemd first: it writes its own idea of some files when it is told of others. */
	int r = systemd_cgroup ? systemd_update(strrchr(cgroup, '/') + 1, resources, e) : 0;

	return r < 0 ? r : cgroup_update(cgroup, resources, e);
}

int container_cgroup_remove(const char *cgroup, bool systemd_cgroup, int timeout_ms, struct err *e)
{
	int r = *cgroup ? cgroup_remove(cgroup, timeout_ms, e) : 0;

	return r == 0 && systemd_cgroup ? systemd_stop(strrchr(cgroup, '/') + 1, e) : r;
}

int container_discard(const char *id, const char *spec_path, bool systemd_cgroup, struct err *e)
{
	char path[CGROUP_PATH_MAX];
	struct systemd_unit unit;
	struct spec s;
	int r = spec_load(spec_path, &s, e);

	if (r < 0)
		return r;
	r = systemd_cgroup ? systemd_unit(s.cgroups_path, id, &unit, e) : cgroup_path(s.cgroups_path, id, path, e);
	if (r == 0)
		r = cgroup_kill_all(systemd_cgroup ? unit.path : path, e);
	if (r == 0)
		r = container_cgroup_remove(systemd_cgroup ? unit.path : path, systemd_cgroup, 5000, e);
	if (r == 0)
		r = rdt_remove(&s.rdt, id, e);
	spec_free(&s);
	return r;
}
