/* SPDX-License-Identifier: Apache-2.0 */
#include "linux.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "spec/idmap.h"
#include "spec/placement.h"

const struct spec_ns_name spec_ns_names[NS_KINDS] = {
	[NS_MOUNT] = { "mount", CLONE_NEWNS, "mnt" },
	[NS_PID] = { "pid", CLONE_NEWPID, "pid" },
	[NS_NETWORK] = { "network", CLONE_NEWNET, "net" },
	[NS_IPC] = { "ipc", CLONE_NEWIPC, "ipc" },
	[NS_UTS] = { "uts", CLONE_NEWUTS, "uts" },
	[NS_CGROUP] = { "cgroup", CLONE_NEWCGROUP, "cgroup" },
	[NS_USER] = { "user", CLONE_NEWUSER, "user" },
	[NS_TIME] = { "time", CLONE_NEWTIME, "time" },
};

const char *const spec_clock_names[SPEC_CLOCKS] = {
	[CLOCK_OF_MONOTONIC] = "monotonic",
	[CLOCK_OF_BOOTTIME] = "boottime",
};

static int parse_namespaces(const struct jnode *linux_, struct spec *s, struct err *e)
{
	struct jnode list = json_get(linux_, "namespaces");
	int r = json_want_array(&list, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < json_count(&list); i++) {
		struct jnode item = json_item(&list, i);
		const char *type, *path = NULL;
		int kind;

		if ((r = json_need_str(&item, "type", &type, e)) < 0 || (r = json_str(&item, "path", &path, e)) < 0)
			return r;
		for (kind = 0; kind < NS_KINDS; kind++)
			if (!strcmp(type, spec_ns_names[kind].type))
				break;
		if (kind == NS_KINDS)
			return json_refuse(&item, e, "\"%.40s\" is no namespace", type);
		if (s->ns[kind].present)
			return json_refuse(&item, e, "the %s namespace is given twice", type);
		if (path && !*path)
			path = NULL;
		if (path && *path != '/')
			return json_refuse(&item, e, "path \"%.80s\" is not absolute", path);
		s->ns[kind] = (struct spec_ns){ .present = true, .path = path };
	}
	return 0;
}

static int parse_device(const struct jnode *n, struct spec_device *d, struct err *e)
{
	struct jnode mode_node = json_get(n, "fileMode");
	uint32_t mode = 0666;
	const char *type;
	int r;

	if ((r = json_need_str(n, "path", &d->path, e)) < 0 || (r = json_need_str(n, "type", &type, e)) < 0 ||
	    (r = json_i64(n, "major", &d->major, e)) < 0 || (r = json_i64(n, "minor", &d->minor, e)) < 0 ||
	    (r = json_u32(n, "fileMode", &mode, e)) < 0 || (r = json_u32(n, "uid", &d->uid, e)) < 0 ||
	    (r = json_u32(n, "gid", &d->gid, e)) < 0)
		return r;
	if (d->path[0] != '/')
		return json_refuse(n, e, "path \"%.80s\" is not absolute", d->path);
	if (!strcmp(type, "c") || !strcmp(type, "u"))
		d->type = S_IFCHR;
	else if (!strcmp(type, "b"))
		d->type = S_IFBLK;
	else if (!strcmp(type, "p"))
		d->type = S_IFIFO;
	else
		return json_refuse(n, e, "\"%.20s\" is no device type", type);
	if (d->type != S_IFIFO && (!json_get(n, "major").value || !json_get(n, "minor").value))
		return json_refuse(n, e, "major and minor are needed");
	if (d->major < 0 || d->major > 0xfff || d->minor < 0 || d->minor > 0xfffff)
		return json_refuse(n, e, "%lld:%lld is no device number", (long long)d->major, (long long)d->minor);
	/* Some writers put the whole st_mode here: the type bits must then agree. */
	if (mode_node.value && (mode & S_IFMT) && (mode & S_IFMT) != d->type)
		return json_refuse(&mode_node, e, "is of another file type");
	d->mode = mode & 07777;
	return 0;
}

static int parse_devices(const struct jnode *linux_, struct spec *s, struct err *e)
{
	struct jnode list = json_get(linux_, "devices");
	int r = json_want_array(&list, e);

	if (r < 0)
		return r;
	s->devices = calloc(json_count(&list) + 1, sizeof(*s->devices));
	if (!s->devices)
		return err_set(e, ENOMEM, "read devices");
	for (size_t i = 0; i < json_count(&list); i++) {
		struct jnode item = json_item(&list, i);

		if ((r = parse_device(&item, &s->devices[i], e)) < 0)
			return r;
		s->device_count++;
	}
	return 0;
}

static int count_members(const struct jnode *map, size_t size, void *ret, struct err *e)
{
	void *list = calloc((map->value ? json_object_size(map->value) : 0) + 1, size);

	if (!list)
		return err_set(e, ENOMEM, "read %s", map->key);
	*(void **)ret = list;
	return 0;
}

static int parse_sysctls(const struct jnode *linux_, struct spec *s, struct err *e)
{
	struct jnode map = json_get(linux_, "sysctl");
	const char *key;
	json_t *value;
	int r = json_want_object(&map, e);

	if (r < 0)
		return r;
	if ((r = count_members(&map, sizeof(*s->sysctls), &s->sysctls, e)) < 0 || !map.value)
		return r;
	json_object_foreach ((json_t *)map.value, key, value) {
		struct spec_pair *p = &s->sysctls[s->sysctl_count];
		struct jnode item = json_get(&map, key);

		p->name = key;
		if ((r = json_as_str(&item, &p->value, e)) < 0)
			return r;
		s->sysctl_count++;
	}
	return 0;
}

/* A name that the kernel would take for a network device (dev_valid_name()); inside, one "%d" stands for a number. */
static bool is_device_name(const char *name, bool template)
{
	const char *percent = strchr(name, '%');

	if (!*name || strlen(name) > 15 || !strcmp(name, ".") || !strcmp(name, "..") || strpbrk(name, "/: \t\n\v\f\r"))
		return false;
	return !percent || (template && percent[1] == 'd' && !strchr(percent + 1, '%'));
}

static int parse_net_devices(const struct jnode *linux_, struct spec *s, struct err *e)
{
	struct jnode map = json_get(linux_, "netDevices");
	const char *key;
	json_t *value;
	int r = json_want_object(&map, e);

	if (r < 0 || (r = count_members(&map, sizeof(*s->net_devices), &s->net_devices, e)) < 0 || !map.value)
		return r;
	json_object_foreach ((json_t *)map.value, key, value) {
		struct spec_pair *p = &s->net_devices[s->net_device_count];
		struct jnode item = json_get(&map, key);

		p->name = p->value = key;
		if ((r = json_want_object(&item, e)) < 0 || (r = json_str(&item, "name", &p->value, e)) < 0)
			return r;
		if (!*p->value)
			p->value = key;
		if (!is_device_name(key, false))
			return json_refuse(&map, e, "\"%.40s\" is no name of a network device", key);
		if (!is_device_name(p->value, true))
			return json_refuse(&item, e, "name \"%.40s\" is no name of a network device", p->value);
		s->net_device_count++;
	}
	if (s->net_device_count && !s->ns[NS_NETWORK].present)
		return json_refuse(&map, e, "the container has no network namespace of its own");
	return 0;
}

static int parse_time_offsets(const struct jnode *linux_, struct spec *s, struct err *e)
{
	struct jnode map = json_get(linux_, "timeOffsets");
	const char *key;
	json_t *value;
	int r = json_want_object(&map, e);

	if (r < 0 || !map.value)
		return r;
	json_object_foreach ((json_t *)map.value, key, value) {
		struct jnode item = json_get(&map, key);
		struct spec_time_offset *o = NULL;

		for (int i = 0; i < SPEC_CLOCKS; i++)
			if (!strcmp(key, spec_clock_names[i]))
				o = &s->time_offsets[i];
		if (!o)
			return json_refuse(&map, e, "\"%.40s\" is no clock that can be set off", key);
		if ((r = json_want_object(&item, e)) < 0 || (r = json_i64(&item, "secs", &o->secs, e)) < 0 ||
		    (r = json_u32(&item, "nanosecs", &o->nanosecs, e)) < 0)
			return r;
		if (o->nanosecs >= 1000000000)
			return json_refuse(&item, e, "nanosecs is a second or more");
		o->present = true;
	}
	if (json_object_size(map.value) && !spec_ns_new(s, NS_TIME))
		return json_refuse(&map, e, "the container has no new time namespace");
	return 0;
}

static int parse_user_maps(const struct jnode *linux_, struct spec *s, struct err *e)
{
	int r = spec_idmaps_parse(linux_, &s->idmaps, e);

	if (r == 0 && s->idmaps.uid_count && !s->ns[NS_USER].present)
		r = json_refuse(linux_, e, "uidMappings: the container has no user namespace");
	return r;
}

static bool one_line(const char *text)
{
	return !text || !strpbrk(text, "\r\n");
}

static int parse_rdt(const struct jnode *linux_, struct spec_rdt *rdt, struct err *e)
{
	struct jnode n = json_get(linux_, "intelRdt");
	int r;

	if (!n.value)
		return 0;
	if ((r = json_want_object(&n, e)) < 0 || (r = json_str(&n, "closID", &rdt->clos, e)) < 0 ||
	    (r = json_str(&n, "l3CacheSchema", &rdt->l3, e)) < 0 ||
	    (r = json_str(&n, "memBwSchema", &rdt->bandwidth, e)) < 0 ||
	    (r = json_bool(&n, "enableMonitoring", &rdt->monitoring, e)) < 0 ||
	    (r = json_strs(&n, "schemata", &rdt->schemata, NULL, e)) < 0)
		return r;
	rdt->present = true;
	/* One part of a path below resctrl; "/" is its root. */
	if (rdt->clos && strcmp(rdt->clos, "/") && (strchr(rdt->clos, '/') || !strcmp(rdt->clos, ".") ||
						    !strcmp(rdt->clos, "..") || !*rdt->clos))
		return json_refuse(&n, e, "closID \"%.80s\" is no name", rdt->clos);
	if (!one_line(rdt->bandwidth))
		return json_refuse(&n, e, "memBwSchema has more than one line");
	if (rdt->bandwidth && strncmp(rdt->bandwidth, "MB:", 3))
		return json_refuse(&n, e, "memBwSchema \"%.80s\" does not start with MB:", rdt->bandwidth);
	for (const char **line = rdt->schemata; *line; line++)
		if (!one_line(*line))
			return json_refuse(&n, e, "schemata: an item has more than one line");
	return 0;
}

/* Masked and read-only paths are absolute (config-linux.md). */
static int parse_paths(const struct jnode *linux_, const char *key, const char ***ret, struct err *e)
{
	struct jnode list = json_get(linux_, key);
	int r = json_strs(linux_, key, ret, NULL, e);

	for (size_t i = 0; r == 0 && (*ret)[i]; i++)
		if ((*ret)[i][0] != '/') {
			struct jnode item = json_item(&list, i);

			r = json_refuse(&item, e, "\"%.80s\" is not absolute", (*ret)[i]);
		}
	return r;
}

static int parse_propagation(const struct jnode *linux_, struct spec *s, struct err *e)
{
	static const struct {
		const char *name;
		unsigned long flags;
	} table[] = {
		{ "", 0 },
		{ "shared", MS_SHARED },
		{ "rshared", MS_SHARED | MS_REC },
		{ "slave", MS_SLAVE },
		{ "rslave", MS_SLAVE | MS_REC },
		{ "private", MS_PRIVATE },
		{ "rprivate", MS_PRIVATE | MS_REC },
		{ "unbindable", MS_UNBINDABLE },
		{ "runbindable", MS_UNBINDABLE | MS_REC },
	};
	const char *name = "";
	int r = json_str(linux_, "rootfsPropagation", &name, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!strcmp(name, table[i].name)) {
			s->rootfs_propagation = table[i].flags;
			return 0;
		}
	return json_refuse(linux_, e, "rootfsPropagation \"%.40s\" is none", name);
}

static int parse_personality(const struct jnode *linux_, struct spec *s, struct err *e)
{
	struct jnode n = json_get(linux_, "personality"), flags = json_get(&n, "flags");
	const char *domain;
	int r;

	if (!n.value)
		return 0;
	if ((r = json_want_object(&n, e)) < 0 || (r = json_need_str(&n, "domain", &domain, e)) < 0)
		return r;
	if (json_count(&flags))
		return json_refuse(&flags, e, "no flag is known");
	if (!strcmp(domain, "LINUX"))
		s->personality = PER_LINUX;
	else if (!strcmp(domain, "LINUX32"))
		s->personality = PER_LINUX32;
	else
		return json_refuse(&n, e, "domain \"%.40s\" is none", domain);
	return 0;
}

int spec_linux_parse(const struct jnode *top, struct spec *s, struct err *e)
{
	struct jnode linux_ = json_get(top, "linux"), resources = json_get(&linux_, "resources"),
		     seccomp = json_get(&linux_, "seccomp");
	int r;

	if ((r = json_want_object(&linux_, e)) < 0 || (r = json_want_object(&resources, e)) < 0 ||
	    (r = json_want_object(&seccomp, e)) < 0)
		return r;
	s->resources = resources.value;
	s->seccomp = seccomp.value;
	if ((r = parse_namespaces(&linux_, s, e)) < 0 || (r = parse_devices(&linux_, s, e)) < 0 ||
	    (r = parse_sysctls(&linux_, s, e)) < 0 || (r = parse_propagation(&linux_, s, e)) < 0 ||
	    (r = parse_personality(&linux_, s, e)) < 0 ||
	    (r = json_str(&linux_, "cgroupsPath", &s->cgroups_path, e)) < 0 ||
	    (r = json_str(&linux_, "mountLabel", &s->mount_label, e)) < 0 ||
	    (r = parse_user_maps(&linux_, s, e)) < 0 || (r = parse_time_offsets(&linux_, s, e)) < 0 ||
	    (r = parse_net_devices(&linux_, s, e)) < 0 || (r = parse_rdt(&linux_, &s->rdt, e)) < 0 ||
	    (r = spec_memory_policy_parse(&linux_, &s->memory_policy, e)) < 0 ||
	    (r = parse_paths(&linux_, "maskedPaths", &s->masked_paths, e)) < 0)
		return r;
	if (s->mount_label && !*s->mount_label)
		s->mount_label = NULL;
	if (s->cgroups_path && !*s->cgroups_path)
		s->cgroups_path = NULL;
	return parse_paths(&linux_, "readonlyPaths", &s->readonly_paths, e);
}
