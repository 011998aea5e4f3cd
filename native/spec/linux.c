/* SPDX-License-Identifier: Apache-2.0 */
#include "linux.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/stat.h>

#include "base/sys.h"

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
		if (kind == NS_USER || kind == NS_TIME)
			return json_refuse(&item, e, "%s namespaces are not supported yet", type);
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

static int parse_sysctls(const struct jnode *linux_, struct spec *s, struct err *e)
{
	struct jnode map = json_get(linux_, "sysctl");
	const char *key;
	json_t *value;
	int r = json_want_object(&map, e);

	if (r < 0)
		return r;
	s->sysctls = calloc((map.value ? json_object_size(map.value) : 0) + 1, sizeof(*s->sysctls));
	if (!s->sysctls)
		return err_set(e, ENOMEM, "read sysctls");
	if (!map.value)
		return 0;
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
	/* What is asked for and can't be given yet fails; it is never left out silently. */
	static const char *const later[] = { "uidMappings", "gidMappings", "intelRdt", "timeOffsets", "netDevices",
					     "memoryPolicy" };
	struct jnode linux_ = json_get(top, "linux"), resources = json_get(&linux_, "resources"),
		     seccomp = json_get(&linux_, "seccomp");
	int r;

	if ((r = json_want_object(&linux_, e)) < 0 || (r = json_want_object(&resources, e)) < 0 ||
	    (r = json_want_object(&seccomp, e)) < 0)
		return r;
	s->resources = resources.value;
	s->seccomp = seccomp.value;
	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		struct jnode n = json_get(&linux_, later[i]);

		if (n.value && (json_array_size(n.value) || json_object_size(n.value)))
			return json_refuse(&n, e, "is not supported yet");
	}
	if ((r = parse_namespaces(&linux_, s, e)) < 0 || (r = parse_devices(&linux_, s, e)) < 0 ||
	    (r = parse_sysctls(&linux_, s, e)) < 0 || (r = parse_propagation(&linux_, s, e)) < 0 ||
	    (r = parse_personality(&linux_, s, e)) < 0 ||
	    (r = json_str(&linux_, "cgroupsPath", &s->cgroups_path, e)) < 0 ||
	    (r = json_str(&linux_, "mountLabel", &s->mount_label, e)) < 0 ||
	    (r = json_strs(&linux_, "maskedPaths", &s->masked_paths, NULL, e)) < 0)
		return r;
	if (s->mount_label && !*s->mount_label)
		s->mount_label = NULL;
	if (s->cgroups_path && !*s->cgroups_path)
		s->cgroups_path = NULL;
	return json_strs(&linux_, "readonlyPaths", &s->readonly_paths, NULL, e);
}
