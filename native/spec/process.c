/* SPDX-License-Identifier: Apache-2.0 */
/* The process object (config.md, "Process"; config-linux.md for what is Linux only). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "spec/caps.h"
#include "spec/placement.h"
#include "spec/spec.h"

static const struct {
	const char *name;
	int resource;
} rlimit_names[] = {
	{ "RLIMIT_AS", RLIMIT_AS },           { "RLIMIT_CORE", RLIMIT_CORE },
	{ "RLIMIT_CPU", RLIMIT_CPU },         { "RLIMIT_DATA", RLIMIT_DATA },
	{ "RLIMIT_FSIZE", RLIMIT_FSIZE },     { "RLIMIT_LOCKS", RLIMIT_LOCKS },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK }, { "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
	{ "RLIMIT_NICE", RLIMIT_NICE },       { "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "RLIMIT_NPROC", RLIMIT_NPROC },     { "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO },   { "RLIMIT_RTTIME", RLIMIT_RTTIME },
	{ "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING }, { "RLIMIT_STACK", RLIMIT_STACK },
};

const char *spec_rlimit_name(int resource)
{
	for (size_t i = 0; i < sizeof(rlimit_names) / sizeof(rlimit_names[0]); i++)
		if (rlimit_names[i].resource == resource)
			return rlimit_names[i].name;
	return NULL;
}

static int parse_user(const struct jnode *process, struct spec_process *p, struct err *e)
{
	struct jnode user = json_get(process, "user"), groups = json_get(&user, "additionalGids");
	uint32_t mask = 0;
	int r;

	if ((r = json_want_object(&user, e)) < 0 || (r = json_u32(&user, "uid", &p->uid, e)) < 0 ||
	    (r = json_u32(&user, "gid", &p->gid, e)) < 0 || (r = json_u32(&user, "umask", &mask, e)) < 0 ||
	    (r = json_want_array(&groups, e)) < 0)
		return r;
	/* -1 means "leave it" to setresuid(2): never an id. */
	if (p->uid == UINT32_MAX || p->gid == UINT32_MAX)
		return json_refuse(&user, e, "4294967295 is no user or group id");
	if (json_get(&user, "umask").value) {
		if (mask > 0777)
			return json_refuse(&user, e, "umask above 0777");
		p->umask = mask;
	}
	p->group_count = json_count(&groups);
	p->groups = calloc(p->group_count + 1, sizeof(*p->groups));
	if (!p->groups)
		return err_set(e, ENOMEM, "read additionalGids");
	for (size_t i = 0; i < p->group_count; i++) {
		struct jnode item = json_item(&groups, i);
		uint64_t gid;

		if ((r = json_as_u64(&item, &gid, e)) < 0)
			return r;
		if (gid >= UINT32_MAX)
			return json_refuse(&item, e, "no group id");
		p->groups[i] = (uint32_t)gid;
	}
	return 0;
}

static int parse_cap_set(const struct jnode *caps, const char *key, struct spec_caps *c, uint64_t *ret, struct err *e)
{
	struct jnode list = json_get(caps, key);
	int r = json_want_array(&list, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < json_count(&list); i++) {
		struct jnode item = json_item(&list, i);
		const char *name;
		int number;

		if ((r = json_as_str(&item, &name, e)) < 0)
			return r;
		number = caps_number(name);
		if (number < 0)
			c->unknown = name; /* a warning and no more (config.md, "Linux Process") */
		else
			*ret |= UINT64_C(1) << number;
	}
	return 0;
}

static int parse_caps(const struct jnode *process, struct spec_caps *c, struct err *e)
{
	struct jnode caps = json_get(process, "capabilities");
	int r;

	if ((r = json_want_object(&caps, e)) < 0)
		return r;
	c->present = caps.value != NULL;
	if ((r = parse_cap_set(&caps, "bounding", c, &c->bounding, e)) < 0 ||
	    (r = parse_cap_set(&caps, "effective", c, &c->effective, e)) < 0 ||
	    (r = parse_cap_set(&caps, "inheritable", c, &c->inheritable, e)) < 0 ||
	    (r = parse_cap_set(&caps, "permitted", c, &c->permitted, e)) < 0 ||
	    (r = parse_cap_set(&caps, "ambient", c, &c->ambient, e)) < 0)
		return r;
	/* What the kernel would refuse with a bare EPERM (capset(2), prctl(2)). */
	if (c->effective & ~c->permitted)
		return json_refuse(&caps, e, "effective is more than permitted");
	if (c->ambient & ~(c->permitted & c->inheritable))
		return json_refuse(&caps, e, "ambient is more than permitted and inheritable");
	return 0;
}

static int parse_rlimits(const struct jnode *process, struct spec_process *p, struct err *e)
{
	struct jnode list = json_get(process, "rlimits");
	int r = json_want_array(&list, e);

	if (r < 0)
		return r;
	p->rlimits = calloc(json_count(&list) + 1, sizeof(*p->rlimits));
	if (!p->rlimits)
		return err_set(e, ENOMEM, "read rlimits");
	for (size_t i = 0; i < json_count(&list); i++) {
		struct jnode item = json_item(&list, i);
		struct spec_rlimit *l = &p->rlimits[i];

		if ((r = json_need_str(&item, "type", &l->name, e)) < 0 ||
		    (r = json_u64(&item, "soft", &l->soft, e)) < 0 ||
		    (r = json_u64(&item, "hard", &l->hard, e)) < 0)
			return r;
		l->resource = -1;
		for (size_t j = 0; j < sizeof(rlimit_names) / sizeof(rlimit_names[0]); j++)
			if (!strcmp(l->name, rlimit_names[j].name))
				l->resource = rlimit_names[j].resource;
		if (l->resource < 0)
			return json_refuse(&item, e, "\"%.40s\" is no resource limit", l->name);
		if (l->soft > l->hard)
			return json_refuse(&item, e, "soft limit above the hard limit");
		for (size_t j = 0; j < i; j++)
			if (p->rlimits[j].resource == l->resource)
				return json_refuse(&item, e, "%s is given twice", l->name);
		p->rlimit_count++;
	}
	return 0;
}

static int parse_console(const struct jnode *process, struct spec_process *p, struct err *e)
{
	struct jnode size = json_get(process, "consoleSize");
	int r;

	if ((r = json_bool(process, "terminal", &p->terminal, e)) < 0 || (r = json_want_object(&size, e)) < 0 ||
	    (r = json_u32(&size, "width", &p->console_width, e)) < 0 ||
	    (r = json_u32(&size, "height", &p->console_height, e)) < 0)
		return r;
	if (p->console_width > UINT16_MAX || p->console_height > UINT16_MAX)
		return json_refuse(&size, e, "larger than a terminal can be");
	return 0;
}

int spec_process_parse(const struct jnode *n, struct spec_process *p, struct err *e)
{
	int r;

	memset(p, 0, sizeof(*p));
	p->umask = -1;
	if (!n->value)
		return json_refuse(n, e, "is missing");
	if ((r = json_want_object(n, e)) < 0 || (r = parse_console(n, p, e)) < 0 || (r = parse_user(n, p, e)) < 0 ||
	    (r = json_strs(n, "args", &p->args, NULL, e)) < 0 || (r = json_strs(n, "env", &p->env, NULL, e)) < 0 ||
	    (r = json_need_str(n, "cwd", &p->cwd, e)) < 0 || (r = parse_caps(n, &p->caps, e)) < 0 ||
	    (r = parse_rlimits(n, p, e)) < 0 ||
	    (r = json_bool(n, "noNewPrivileges", &p->no_new_privileges, e)) < 0 ||
	    (r = json_str(n, "apparmorProfile", &p->apparmor_profile, e)) < 0 ||
	    (r = json_str(n, "selinuxLabel", &p->selinux_label, e)) < 0 ||
	    (r = json_i64(n, "oomScoreAdj", &p->oom_score_adj, e)) < 0 || (r = spec_placement_parse(n, p, e)) < 0)
		return r;
	p->has_oom_score_adj = json_get(n, "oomScoreAdj").value != NULL;
	if (p->oom_score_adj < -1000 || p->oom_score_adj > 1000)
		return json_refuse(n, e, "oomScoreAdj is not -1000 to 1000");
	if (p->cwd[0] != '/')
		return json_refuse(n, e, "cwd \"%.80s\" is not absolute", p->cwd);
	if (!p->args[0] || !p->args[0][0])
		return json_refuse(n, e, "args is empty: there is nothing to run");
	if (p->apparmor_profile && !*p->apparmor_profile)
		p->apparmor_profile = NULL;
	if (p->selinux_label && !*p->selinux_label)
		p->selinux_label = NULL;
	return 0;
}

void spec_process_free(struct spec_process *p)
{
	free(p->groups);
	free(p->args);
	free(p->env);
	free(p->rlimits);
	memset(p, 0, sizeof(*p));
}
