/* SPDX-License-Identifier: Apache-2.0 */
#include "placement.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#ifndef MPOL_WEIGHTED_INTERLEAVE
#define MPOL_WEIGHTED_INTERLEAVE 6
#endif
#ifndef MPOL_F_NUMA_BALANCING
#define MPOL_F_NUMA_BALANCING (1 << 13)
#endif

/* A name of the specification and what the kernel calls it. */
struct word {
	const char *name;
	uint64_t value;
};

static const struct word policies[] = {
	{ "SCHED_OTHER", SCHED_OTHER }, { "SCHED_FIFO", SCHED_FIFO }, { "SCHED_RR", SCHED_RR },
	{ "SCHED_BATCH", SCHED_BATCH }, { "SCHED_IDLE", SCHED_IDLE }, { "SCHED_DEADLINE", 6 }, { NULL, 0 },
};

static const struct word scheduler_flags[] = {
	{ "SCHED_FLAG_RESET_ON_FORK", 0x01 }, { "SCHED_FLAG_RECLAIM", 0x02 },
	{ "SCHED_FLAG_DL_OVERRUN", 0x04 },    { "SCHED_FLAG_KEEP_POLICY", 0x08 },
	{ "SCHED_FLAG_KEEP_PARAMS", 0x10 },   { "SCHED_FLAG_UTIL_CLAMP_MIN", 0x20 },
	{ "SCHED_FLAG_UTIL_CLAMP_MAX", 0x40 }, { NULL, 0 },
};

static const struct word io_classes[] = {
	{ "IOPRIO_CLASS_RT", 1 }, { "IOPRIO_CLASS_BE", 2 }, { "IOPRIO_CLASS_IDLE", 3 }, { NULL, 0 },
};

static const struct word memory_modes[] = {
	{ "MPOL_DEFAULT", MPOL_DEFAULT }, { "MPOL_BIND", MPOL_BIND }, { "MPOL_INTERLEAVE", MPOL_INTERLEAVE },
	{ "MPOL_WEIGHTED_INTERLEAVE", MPOL_WEIGHTED_INTERLEAVE }, { "MPOL_PREFERRED", MPOL_PREFERRED },
	{ "MPOL_PREFERRED_MANY", MPOL_PREFERRED_MANY }, { "MPOL_LOCAL", MPOL_LOCAL }, { NULL, 0 },
};

static const struct word memory_flags[] = {
	{ "MPOL_F_NUMA_BALANCING", MPOL_F_NUMA_BALANCING }, { "MPOL_F_RELATIVE_NODES", MPOL_F_RELATIVE_NODES },
	{ "MPOL_F_STATIC_NODES", MPOL_F_STATIC_NODES }, { NULL, 0 },
};

static const struct word *find_word(const struct word *table, const char *name)
{
	for (; table->name; table++)
		if (!strcmp(table->name, name))
			return table;
	return NULL;
}

static int parse_flags(const struct jnode *n, const struct word *table, uint64_t *ret, struct err *e)
{
	struct jnode list = json_get(n, "flags");
	int r = json_want_array(&list, e);

	for (size_t i = 0; r == 0 && i < json_count(&list); i++) {
		struct jnode item = json_item(&list, i);
		const struct word *found;
		const char *name;

		if ((r = json_as_str(&item, &name, e)) < 0)
			return r;
		found = find_word(table, name);
		if (!found)
			return json_refuse(&item, e, "\"%.40s\" is no flag", name);
		*ret |= found->value;
	}
	return r;
}

static int parse_i32(const struct jnode *n, const char *key, int32_t *ret, struct err *e)
{
	struct jnode at = json_get(n, key);
	int64_t value = 0;
	int r = json_i64(n, key, &value, e);

	if (r < 0)
		return r;
	if (value < INT32_MIN || value > INT32_MAX)
		return json_refuse(&at, e, "is out of range");
	*ret = (int32_t)value;
	return 0;
}

static int parse_scheduler(const struct jnode *process, struct spec_scheduler *s, struct err *e)
{
	struct jnode n = json_get(process, "scheduler"), policy = json_get(&n, "policy");
	const struct word *found;
	const char *name;
	int r;

	if (!n.value)
		return 0;
	if ((r = json_want_object(&n, e)) < 0 || (r = json_need_str(&n, "policy", &name, e)) < 0)
		return r;
	if (!strcmp(name, "SCHED_ISO"))
		return json_refuse(&policy, e, "SCHED_ISO is in no kernel");
	found = find_word(policies, name);
	if (!found)
		return json_refuse(&policy, e, "\"%.40s\" is no scheduling policy", name);
	s->policy = (uint32_t)found->value;
	s->present = true;
	if ((r = parse_flags(&n, scheduler_flags, &s->flags, e)) < 0 || (r = parse_i32(&n, "nice", &s->nice, e)) < 0 ||
	    (r = parse_i32(&n, "priority", &s->priority, e)) < 0 || (r = json_u64(&n, "runtime", &s->runtime, e)) < 0 ||
	    (r = json_u64(&n, "deadline", &s->deadline, e)) < 0)
		return r;
	/* The kernel would take the nearest one that there is. */
	if (s->nice < -20 || s->nice > 19)
		return json_refuse(&n, e, "nice is not -20 to 19");
	return json_u64(&n, "period", &s->period, e);
}

static int parse_io_priority(const struct jnode *process, struct spec_process *p, struct err *e)
{
	struct jnode n = json_get(process, "ioPriority");
	const struct word *found;
	const char *class;
	int r;

	if (!n.value)
		return 0;
	if ((r = json_want_object(&n, e)) < 0 || (r = json_need_str(&n, "class", &class, e)) < 0 ||
	    (r = json_i64(&n, "priority", &p->io_priority.level, e)) < 0)
		return r;
	found = find_word(io_classes, class);
	if (!found)
		return json_refuse(&n, e, "\"%.40s\" is no I/O priority class", class);
	if (p->io_priority.level < 0 || p->io_priority.level > 7)
		return json_refuse(&n, e, "priority is not 0 to 7");
	p->io_priority.class = (int)found->value;
	p->io_priority.present = true;
	return 0;
}

static int parse_number(const char **p, unsigned int *ret)
{
	char *end;
	unsigned long n;

	if (**p < '0' || **p > '9')
		return -EINVAL;
	n = strtoul(*p, &end, 10);
	if (n >= SPEC_SET_BITS)
		return -ERANGE;
	*ret = (unsigned int)n;
	*p = end;
	return 0;
}

/* "0-3,7"; spaces around a part are taken. Empty is none. */
static int parse_set(const struct jnode *n, const char *key, struct spec_set *ret, struct err *e)
{
	const unsigned int width = 8 * sizeof(ret->bits[0]);
	struct jnode at = json_get(n, key);
	const char *p = "";
	int r = json_str(n, key, &p, e);

	if (r < 0 || !*p)
		return r;
	for (const char *text = p;;) {
		unsigned int first, last;

		p += strspn(p, " ");
		r = parse_number(&p, &first);
		last = first;
		if (r == 0 && *p == '-') {
			p++;
			r = parse_number(&p, &last);
		}
		p += strspn(p, " ");
		if (r == 0 && (last < first || (*p && *p != ',')))
			r = -EINVAL;
		if (r == -ERANGE)
			return json_refuse(&at, e, "\"%.60s\": %d and above can't be", text, SPEC_SET_BITS);
		if (r < 0)
			return json_refuse(&at, e, "\"%.60s\" is no list like \"0-3,7\"", text);
		for (unsigned int i = first; i <= last; i++)
			ret->bits[i / width] |= 1UL << (i % width);
		if (!*p)
			break;
		p++;
	}
	ret->present = true;
	return 0;
}

int spec_placement_parse(const struct jnode *process, struct spec_process *p, struct err *e)
{
	struct jnode cpus = json_get(process, "execCPUAffinity");
	int r;

	if ((r = parse_scheduler(process, &p->scheduler, e)) < 0 || (r = parse_io_priority(process, p, e)) < 0 ||
	    (r = json_want_object(&cpus, e)) < 0 || (r = parse_set(&cpus, "initial", &p->exec_cpus_initial, e)) < 0)
		return r;
	return parse_set(&cpus, "final", &p->exec_cpus_final, e);
}

int spec_memory_policy_parse(const struct jnode *linux_, struct spec_memory_policy *ret, struct err *e)
{
	struct jnode n = json_get(linux_, "memoryPolicy"), mode = json_get(&n, "mode");
	const struct word *found;
	const char *name;
	uint64_t flags = 0;
	int r;

	if (!n.value)
		return 0;
	if ((r = json_want_object(&n, e)) < 0 || (r = json_need_str(&n, "mode", &name, e)) < 0)
		return r;
	found = find_word(memory_modes, name);
	if (!found)
		return json_refuse(&mode, e, "\"%.40s\" is no memory policy", name);
	if ((r = parse_flags(&n, memory_flags, &flags, e)) < 0 || (r = parse_set(&n, "nodes", &ret->nodes, e)) < 0)
		return r;
	ret->mode = (int)(found->value | flags);
	ret->present = true;
	return 0;
}

const char *spec_memory_mode_name(size_t i)
{
	return i < sizeof(memory_modes) / sizeof(memory_modes[0]) ? memory_modes[i].name : NULL;
}

const char *spec_memory_flag_name(size_t i)
{
	return i < sizeof(memory_flags) / sizeof(memory_flags[0]) ? memory_flags[i].name : NULL;
}
