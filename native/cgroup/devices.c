/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources.devices: which device nodes may be made and opened. */
#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cgroup/internal.h"

enum { R = BPF_DEVCG_ACC_READ, W = BPF_DEVCG_ACC_WRITE, M = BPF_DEVCG_ACC_MKNOD };

/*
 * Allowed after every list: any node may be made (opening it is what counts), and the devices that
 * every container has (config-linux.md, "Default Devices").
 */
static const struct device_rule always[] = {
	{ true, 'c', -1, -1, M },        { true, 'b', -1, -1, M },
	{ true, 'c', 1, 3, R | W | M },  /* null */
	{ true, 'c', 1, 5, R | W | M },  /* zero */
	{ true, 'c', 1, 7, R | W | M },  /* full */
	{ true, 'c', 1, 8, R | W | M },  /* random */
	{ true, 'c', 1, 9, R | W | M },  /* urandom */
	{ true, 'c', 5, 0, R | W | M },  /* tty */
	{ true, 'c', 5, 2, R | W | M },  /* ptmx */
	{ true, 'c', 136, -1, R | W | M }, /* pts/N */
};
#define ALWAYS (sizeof(always) / sizeof(always[0]))

static int parse_rule(const struct jnode *n, struct device_rule *rule, struct err *e)
{
	const char *type = "a", *access = "rwm";
	int r;

	*rule = (struct device_rule){ .major = -1, .minor = -1 };
	if ((r = json_bool(n, "allow", &rule->allow, e)) < 0 || (r = json_str(n, "type", &type, e)) < 0 ||
	    (r = json_i64(n, "major", &rule->major, e)) < 0 || (r = json_i64(n, "minor", &rule->minor, e)) < 0 ||
	    (r = json_str(n, "access", &access, e)) < 0)
		return r;
	if (strlen(type) > 1 || (*type && !strchr("abc", *type)))
		return json_refuse(n, e, "\"%.20s\" is no device type", type);
	rule->type = *type ? *type : 'a';
	if (rule->major < -1 || rule->minor < -1 || rule->major > UINT32_MAX || rule->minor > UINT32_MAX)
		return json_refuse(n, e, "no device number");
	for (const char *p = access; *p; p++) {
		int bit = *p == 'r' ? R : *p == 'w' ? W : *p == 'm' ? M : 0;

		if (!bit || (rule->access & bit))
			return json_refuse(n, e, "access \"%.20s\" is not made of r, w and m", access);
		rule->access |= bit;
	}
	if (!*access)
		rule->access = R | W | M;
	return 0;
}

/* Every device, in every way: what ends a list's first word. */
static bool is_everything(const struct device_rule *rule)
{
	return rule->type == 'a' && rule->major < 0 && rule->minor < 0 && rule->access == (R | W | M);
}

static int apply_v1(struct limits *l, int dir, const struct jnode *list, const struct device_rule *rules, size_t count)
{
	/* The kernel has one exception list and a default: rules go in one by one, in order. */
	for (size_t i = 0; i < count; i++) {
		const struct device_rule *rule = &rules[i];
		char major[24] = "*", minor[24] = "*", text[80];
		int r;

		if (rule->major >= 0)
			snprintf(major, sizeof(major), "%" PRId64, rule->major);
		if (rule->minor >= 0)
			snprintf(minor, sizeof(minor), "%" PRId64, rule->minor);
		snprintf(text, sizeof(text), "%c %s:%s %s%s%s", rule->type, major, minor, rule->access & R ? "r" : "",
			 rule->access & W ? "w" : "", rule->access & M ? "m" : "");
		r = limits_write(l, dir, rule->allow ? "devices.allow" : "devices.deny", list, NULL, "%s", text);
		if (r < 0)
			return r;
	}
	return 0;
}

int device_rules_parse(const struct jnode *resources, struct device_rule **ret, size_t *ret_count, struct err *e)
{
	static const struct device_rule deny_all = { false, 'a', -1, -1, R | W | M };
	struct jnode list = json_get(resources, "devices");
	cleanup_free struct device_rule *rules = NULL;
	size_t given = json_count(&list), count = 0;
	int r = json_want_array(&list, e);

	if (r < 0)
		return r;
	rules = calloc(1 + given * 2 + ALWAYS, sizeof(*rules));
	if (!rules)
		return err_set(e, ENOMEM, "read device rules");
	/* What is not said is denied, but for the default devices. To v1 it would be as in the cgroup above. */
	rules[count++] = deny_all;
	for (size_t k = 0; k < given; k++) {
		struct jnode item = json_item(&list, k);

		if ((r = parse_rule(&item, &rules[count], e)) < 0)
			return r;
		count++;
		/* To v1 an "a" means every device, whatever numbers and access stand beside it: said in two rules. */
		if (rules[count - 1].type == 'a' && !is_everything(&rules[count - 1])) {
			rules[count - 1].type = 'b';
			rules[count] = rules[count - 1];
			rules[count++].type = 'c';
		}
	}
	/* After "all allowed" there is nothing to add (and v1 would take the exceptions for denials). */
	if (!(rules[count - 1].allow && is_everything(&rules[count - 1]))) {
		memcpy(rules + count, always, sizeof(always));
		count += ALWAYS;
	}
	*ret = rules;
	rules = NULL;
	*ret_count = count;
	return 0;
}

int limits_devices(struct limits *l, const struct jnode *resources)
{
	struct jnode list = json_get(resources, "devices");
	cleanup_free struct device_rule *rules = NULL;
	int i = cgroup_find(l->host, CG_DEVICES), r;
	const char *step = NULL;
	size_t count;
	bool v2;

	if ((r = device_rules_parse(resources, &rules, &count, l->e)) < 0)
		return r;
	if (i >= 0) {
		int dir = limits_dir(l, CG_DEVICES, &list, &v2);

		return dir < 0 ? dir : apply_v1(l, dir, &list, rules, count);
	}
	i = cgroup_find_v2(l->host);
	if (i < 0)
		return err_set(l->e, ENOTSUP, "limit devices: neither the devices controller nor cgroup v2");
	if (l->dirs[i] < 0)
		l->dirs[i] = cgroup_open(l->host, i, l->path);
	if (l->dirs[i] < 0)
		return err_set(l->e, -l->dirs[i], "open cgroup %s%s", l->host->list[i].mount, l->path);
	r = device_program_attach(l->dirs[i], rules, count, &step);
	return r < 0 ? err_set(l->e, -r, "%s for cgroup %s", step, l->path) : 0;
}
