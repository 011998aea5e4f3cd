/* SPDX-License-Identifier: Apache-2.0 */
/* The cgroup of a container: made and limited at create, changed by update, removed at its end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
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

static int make(struct creation *c, const struct container_create *req, const struct jnode *resources, struct err *e)
{
	int r = req->systemd_cgroup ? start_unit(c, req, resources, e) :
				      cgroup_path(c->spec.cgroups_path, req->id, c->cgroup, e);

	if (r < 0 || (r = cgroup_create(c->cgroup, &c->made, e)) < 0)
		return r;
	/* Alone in it from here on: whoever is in it then may be killed. A new scope holds our waiter. */
	r = c->unit_made ? 0 : cgroup_check_free(c->cgroup, &c->made, e);
	if (r < 0)
		cgroup_undo(c->cgroup, &c->made);
	return r;
}

/* --- without the rights to make or limit one ------------------------------------------------------- */

/* Root of the whole machine, not of a user namespace of it (user_namespaces(7): the map of the first one). */
static bool has_roots_rights(void)
{
	char map[64];
	unsigned int inside, outside, count;

	return geteuid() == 0 && io_read_small_at(AT_FDCWD, "/proc/self/uid_map", map, sizeof(map)) > 0 &&
	       sscanf(map, "%u %u %u", &inside, &outside, &count) == 3 && !inside && !outside && count == UINT32_MAX;
}

static bool may_go_without(const struct container_create *req)
{
	return req->cgroup_need == CGROUP_OPTIONAL ||
	       (req->cgroup_need == CGROUP_BY_RIGHTS && !req->systemd_cgroup && !has_roots_rights());
}

static bool lacks_rights(int code)
{
	return code == EACCES || code == EPERM || code == EROFS;
}

/* Device rules have no object where the nodes can't be made anyway. */
static bool asks_for_limits(const json_t *resources)
{
	bool devices_too = has_roots_rights();
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)resources, key, value)
		if (devices_too || strcmp(key, "devices"))
			if (json_is_array(value) ? json_array_size(value) : json_object_size(value))
				return true;
	return false;
}

static void warn_of(const struct container_create *req, const char *what, const struct err *why)
{
	char text[640];

	snprintf(text, sizeof(text), "%s: %s: %s", what, why->step, strerror(why->code));
	creation_warn((void *)req, text);
}

/* why: a cgroup could not be made. No error when nothing is asked of it. */
static int go_without(struct creation *c, const struct container_create *req, const struct err *why, struct err *e)
{
	struct err ignored;

	if (asks_for_limits(c->spec.resources)) {
		*e = *why;
		return err_wrap(e, "linux.resources");
	}
	systemd_end_waiter(&c->waiter);
	if (c->unit_made)
		systemd_stop(strrchr(c->cgroup, '/') + 1, &ignored);
	c->unit_made = false;
	*c->cgroup = '\0';
	warn_of(req, "no cgroup", why);
	return 0;
}

static int limit(struct creation *c, const struct container_create *req, const struct jnode *resources, struct err *e)
{
	struct err why = { 0 };

	if (cgroup_apply(c->cgroup, resources, &why) == 0)
		return 0;
	if (!may_go_without(req) || !lacks_rights(why.code) || has_roots_rights()) {
		*e = why;
		return -e->code;
	}
	/* All but the device rules; these come first, so that an error of the rest is told for what it is. */
	if (cgroup_update(c->cgroup, resources, e) < 0)
		return -e->code;
	warn_of(req, "no device rules", &why);
	return 0;
}

static void tell_what_is_left(const struct jnode *resources, void (*warn)(const char *text))
{
	if (warn && cgroup_leaves_hugepages(resources))
		warn("linux.resources.hugepageLimits: this machine has no hugetlb cgroup controller, huge pages are not limited");
}

int creation_make_cgroup(struct creation *c, const struct container_create *req, struct err *e)
{
	struct jnode resources = json_top(c->spec.resources, "linux.resources");
	struct err why = { 0 };
	int r = make(c, req, &resources, &why);

	if (r < 0 && may_go_without(req) && lacks_rights(why.code))
		return go_without(c, req, &why, e);
	if (r < 0) {
		*e = why;
		return r;
	}
	c->cgroup_made = true;
	trace_step("make cgroups", c->cgroup);
	if (req->claimed && req->claimed(req->claimed_arg, e) < 0)
		return -e->code;
	if (traced("set limits", limit(c, req, &resources, e)) < 0)
		return -e->code;
	tell_what_is_left(&resources, req->warn);
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

int container_update(const char *cgroup, bool systemd_cgroup, const struct jnode *resources, void (*warn)(const char *text),
		     struct err *e)
{
	json_t *complete = NULL;
	struct jnode whole;
	int r = cgroup_check_usage(cgroup, resources, e);

	if (r < 0 || (r = cgroup_complete(cgroup, resources, &complete, e)) < 0)
		return r;
	whole = json_top(complete, resources->key);
	/* systemd first: it writes its own idea of some files when it is told of others. */
	if (systemd_cgroup)
		r = systemd_update(strrchr(cgroup, '/') + 1, &whole, e);
	if (r == 0)
		r = cgroup_update(cgroup, &whole, e);
	if (r == 0)
		tell_what_is_left(&whole, warn);
	json_decref(complete);
	return r;
}

int container_cgroup_remove(const char *cgroup, bool systemd_cgroup, int timeout_ms, struct err *e)
{
	int r = *cgroup ? cgroup_remove(cgroup, timeout_ms, e) : 0;

	return r == 0 && systemd_cgroup ? systemd_stop(strrchr(cgroup, '/') + 1, e) : r;
}

int container_discard(const char *id, const char *spec_path, bool systemd_cgroup, bool claimed, struct err *e)
{
	char path[CGROUP_PATH_MAX];
	struct systemd_unit unit;
	struct spec s;
	int r = spec_load(spec_path, &s, e);

	if (r < 0)
		return r;
	r = systemd_cgroup ? systemd_unit(s.cgroups_path, id, &unit, e) : cgroup_path(s.cgroups_path, id, path, e);
	if (r == 0)
		r = claimed ? cgroup_kill_all(systemd_cgroup ? unit.path : path, e) :
			      cgroup_check_free(systemd_cgroup ? unit.path : path, NULL, e);
	if (r == 0)
		r = container_cgroup_remove(systemd_cgroup ? unit.path : path, systemd_cgroup, 5000, e);
	if (r == 0)
		r = rdt_remove(&s.rdt, id, e);
	spec_free(&s);
	return r;
}
