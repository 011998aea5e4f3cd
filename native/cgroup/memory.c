/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources.memory and hugepageLimits. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "cgroup/internal.h"

/* The object's numbers; has_x tells 0 from absent. Bytes; -1: no limit. */
struct memory {
	bool has_limit, has_swap, has_reservation, has_kernel, has_kernel_tcp, has_swappiness, has_oom, check;
	int64_t limit, swap, reservation, kernel, kernel_tcp;
	uint64_t swappiness;
	bool disable_oom_killer;
	bool has_hierarchy, hierarchy;
};

/* One of the limits; 0 is how other runtimes' users say "not set". */
static int parse_limit(const struct jnode *n, const char *key, int64_t *ret, bool *ret_given, struct err *e)
{
	struct jnode member = json_get(n, key);
	int r = json_i64(n, key, ret, e);

	if (r < 0)
		return r;
	if (*ret < -1)
		return json_refuse(&member, e, "%" PRId64 " is negative and not -1", *ret);
	*ret_given = *ret != 0;
	return 0;
}

static int parse(const struct jnode *n, struct memory *m, struct err *e)
{
	struct jnode swap = json_get(n, "swap"), swappiness = json_get(n, "swappiness");
	int r;

	memset(m, 0, sizeof(*m));
	m->has_swappiness = swappiness.value;
	m->has_oom = json_get(n, "disableOOMKiller").value;
	m->has_hierarchy = json_get(n, "useHierarchy").value;
	if ((r = parse_limit(n, "limit", &m->limit, &m->has_limit, e)) < 0 ||
	    (r = parse_limit(n, "swap", &m->swap, &m->has_swap, e)) < 0 ||
	    (r = parse_limit(n, "reservation", &m->reservation, &m->has_reservation, e)) < 0 ||
	    (r = parse_limit(n, "kernel", &m->kernel, &m->has_kernel, e)) < 0 ||
	    (r = parse_limit(n, "kernelTCP", &m->kernel_tcp, &m->has_kernel_tcp, e)) < 0 ||
	    (r = json_u64(n, "swappiness", &m->swappiness, e)) < 0 ||
	    (r = json_bool(n, "disableOOMKiller", &m->disable_oom_killer, e)) < 0 ||
	    (r = json_bool(n, "useHierarchy", &m->hierarchy, e)) < 0 ||
	    (r = json_bool(n, "checkBeforeUpdate", &m->check, e)) < 0)
		return r;
	if (m->has_swappiness && m->swappiness > 100)
		return json_refuse(&swappiness, e, "%" PRIu64 " is not 0 to 100", m->swappiness);
	/* Without a memory limit there is nothing that swap could be on top of, except what was set before. */
	if (m->has_swap && m->swap > 0 && m->has_limit && (m->limit < 0 || m->swap < m->limit))
		return json_refuse(&swap, e, "%" PRId64 " (memory and swap together) is below the memory limit", m->swap);
	return 0;
}

/* The number after `key` in a file of "key number" lines; 0 when it has none. */
static uint64_t keyed(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, len) && line[len] == ' ')
			return strtoull(line + len, NULL, 10);
	}
	return 0;
}

int limits_check_usage(struct limits *l, const struct jnode *resources)
{
	struct jnode n = json_get(resources, "memory"), limit = json_get(&n, "limit");
	uint64_t usage, files;
	struct memory m;
	char text[8192], path[160];
	bool v2;
	int r, dir;

	if ((r = json_want_object(&n, l->e)) < 0 || (r = parse(&n, &m, l->e)) < 0)
		return r;
	if (!m.check || !m.has_limit || m.limit < 0)
		return 0;
	dir = limits_dir(l, CG_MEMORY, &n, &v2);
	if (dir < 0)
		return dir;
	if (!v2 || io_read_small_at(dir, "memory.current", text, sizeof(text)) <= 0)
		return 0; /* the root has no usage */
	usage = strtoull(text, NULL, 10);
	if (io_read_small_at(dir, "memory.stat", text, sizeof(text)) <= 0)
		return 0;
	files = keyed(text, "active_file") + keyed(text, "inactive_file");
	usage -= files < usage ? files : usage;
	if (usage <= (uint64_t)m.limit)
		return 0;
	return err_set(l->e, EBUSY, "%s: %" PRId64 " is below the %" PRIu64 " bytes in use",
		       json_path(&limit, path, sizeof(path)), m.limit, usage);
}

/*
 * v1 keeps memory <= memory+swap at every moment: when both grow, memory+swap first; when both
 * shrink, memory first. A new cgroup has no limit in either: memory first.
 */
static int set_v1_pair(struct limits *l, int dir, const struct jnode *n, const struct memory *m)
{
	static const char limit_file[] = "memory.limit_in_bytes", swap_file[] = "memory.memsw.limit_in_bytes";
	int64_t swap = m->swap;
	bool has_swap = m->has_swap, swap_first = false;
	char now[64];
	int r = 0;

	/* No memory limit any more: none for memory and swap either (where swap is counted at all). */
	if (m->has_limit && m->limit == -1 && !has_swap && io_read_small_at(dir, swap_file, now, sizeof(now)) > 0) {
		has_swap = true;
		swap = -1;
	}
	if (m->has_limit && has_swap && io_read_small_at(dir, swap_file, now, sizeof(now)) > 0)
		swap_first = swap == -1 || strtoull(now, NULL, 10) < (uint64_t)swap;
	if (swap_first)
		r = limits_write(l, dir, swap_file, n, "swap", "%" PRId64, swap);
	if (r == 0 && m->has_limit)
		r = limits_write(l, dir, limit_file, n, "limit", "%" PRId64, m->limit);
	if (r == 0 && has_swap && !swap_first)
		r = limits_write(l, dir, swap_file, n, "swap", "%" PRId64, swap);
	return r;
}

/*
 * The limit of the kernel's memory: refused since 5.16, taken and forgotten since 6.4, so it is read again. -1 is what
 * such kernels do anyway.
 */
static int set_kernel_v1(struct limits *l, int dir, const struct jnode *n, int64_t limit)
{
	static const char file[] = "memory.kmem.limit_in_bytes";
	struct jnode member = json_get(n, "kernel");
	char now[64];
	int r = limits_write(l, dir, file, n, "kernel", "%" PRId64, limit);

	if (limit == -1)
		return r == -EOPNOTSUPP || r == -ENOENT ? 0 : r;
	if (r == 0 && (io_read_small_at(dir, file, now, sizeof(now)) <= 0 || strtoull(now, NULL, 10) > (uint64_t)limit))
		return json_refuse(&member, l->e, "this kernel has no limit for its own memory alone (`limit` counts it)");
	return r;
}

static int set_v1(struct limits *l, int dir, const struct jnode *n, const struct memory *m)
{
	int r = 0;

	/* Before the limits: kernels that still had the choice refuse it later. */
	if (m->has_hierarchy)
		r = limits_write(l, dir, "memory.use_hierarchy", n, "useHierarchy", "%d", m->hierarchy);
	if (r == 0)
		r = set_v1_pair(l, dir, n, m);
	if (r == 0 && m->has_reservation)
		r = limits_write(l, dir, "memory.soft_limit_in_bytes", n, "reservation", "%" PRId64, m->reservation);
	if (r == 0 && m->has_kernel)
		r = set_kernel_v1(l, dir, n, m->kernel);
	if (r == 0 && m->has_kernel_tcp)
		r = limits_write(l, dir, "memory.kmem.tcp.limit_in_bytes", n, "kernelTCP", "%" PRId64, m->kernel_tcp);
	if (r == 0 && m->has_swappiness)
		r = limits_write(l, dir, "memory.swappiness", n, "swappiness", "%" PRIu64, m->swappiness);
	if (r == 0 && m->has_oom)
		r = limits_write(l, dir, "memory.oom_control", n, "disableOOMKiller", "%d", m->disable_oom_killer);
	return r;
}

static int write_max(struct limits *l, int dir, const char *file, const struct jnode *n, const char *key, int64_t value)
{
	return value < 0 ? limits_write(l, dir, file, n, key, "max") :
			   limits_write(l, dir, file, n, key, "%" PRId64, value);
}

/* What v2 has no file for: refused where it asks for something, passed where it asks for what v2 does anyway. */
static int check_v2(const struct jnode *n, const struct memory *m, struct err *e)
{
	const struct {
		const char *key;
		bool wrong;
		const char *why;
	} table[] = {
		{ "disableOOMKiller", m->disable_oom_killer, "cgroup v2 has no such switch" },
		{ "kernel", m->kernel > 0, "cgroup v2 counts the kernel's memory in `limit`" },
		{ "kernelTCP", m->kernel_tcp > 0, "cgroup v2 counts the memory of sockets in `limit`" },
		{ "swappiness", m->has_swappiness, "cgroup v2 has the whole machine's alone (sysctl vm.swappiness)" },
		{ "useHierarchy", m->has_hierarchy && !m->hierarchy, "cgroup v2 is always hierarchical" },
		/* v2 counts swap alone: the limit that it stands on must be known. */
		{ "swap", m->has_swap && m->swap > 0 && !(m->has_limit && m->limit > 0), "needs `limit` beside it on cgroup v2" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].wrong) {
			struct jnode member = json_get(n, table[i].key);

			return json_refuse(&member, e, "%s", table[i].why);
		}
	return 0;
}

static int set_v2(struct limits *l, int dir, const struct jnode *n, const struct memory *m)
{
	int r = check_v2(n, m, l->e);

	if (r == 0 && m->has_swap)
		r = write_max(l, dir, "memory.swap.max", n, "swap", m->swap < 0 ? -1 : m->swap - m->limit);
	else if (r == 0 && m->has_limit && m->limit < 0)
		io_write_file_at(dir, "memory.swap.max", "max"); /* not there without swap accounting */
	if (r == 0 && m->has_limit)
		r = write_max(l, dir, "memory.max", n, "limit", m->limit);
	if (r == 0 && m->has_reservation)
		r = write_max(l, dir, "memory.low", n, "reservation", m->reservation);
	return r;
}

/* A limit in force; -1: none, or the kernel has no such file. */
static int64_t in_force(int dir, const char *file)
{
	char text[64];

	return io_read_small_at(dir, file, text, sizeof(text)) > 0 && strcmp(text, "max") ? strtoll(text, NULL, 10) : -1;
}

int limits_complete_memory(struct limits *l, const struct jnode *resources, json_t *whole)
{
	struct jnode n = json_get(resources, "memory"), unified = json_get(resources, "unified"), limit = json_get(&n, "limit");
	int64_t now, swap_now;
	struct memory m;
	bool v2;
	int r, dir;

	if ((r = json_want_object(&n, l->e)) < 0 || (r = parse(&n, &m, l->e)) < 0)
		return r;
	if (m.has_limit == m.has_swap || m.limit < 0 || m.swap < 0)
		return 0;
	dir = limits_dir(l, CG_MEMORY, &n, &v2);
	if (dir < 0 || !v2) /* v1 counts memory and swap together itself */
		return dir < 0 ? dir : 0;
	now = in_force(dir, "memory.max");
	swap_now = in_force(dir, "memory.swap.max");
	if (m.has_swap && now > 0)
		return limits_complete_member(l, whole, "memory", "limit", now);
	/* A container without swap stays without, and one whose swap is given as v2 has it is not asked. */
	if (m.has_swap || now < 0 || swap_now <= 0 || json_get(&unified, "memory.swap.max").value)
		return 0;
	if (m.limit > now + swap_now)
		return json_refuse(&limit, l->e,
				   "%" PRId64 " is above the %" PRId64 " bytes of memory and swap together that hold now, give `swap` too",
				   m.limit, now + swap_now);
	return limits_complete_member(l, whole, "memory", "swap", now + swap_now);
}

int limits_memory(struct limits *l, const struct jnode *resources)
{
	struct jnode n = json_get(resources, "memory");
	struct memory m;
	bool v2;
	int r, dir;

	if ((r = json_want_object(&n, l->e)) < 0 || (r = parse(&n, &m, l->e)) < 0)
		return r;
	if (!m.has_limit && !m.has_swap && !m.has_reservation && !m.has_kernel && !m.has_kernel_tcp && !m.has_swappiness &&
	    !m.has_oom && !m.has_hierarchy)
		return 0;
	dir = limits_dir(l, CG_MEMORY, &n, &v2);
	if (dir < 0)
		return dir;
	return v2 ? set_v2(l, dir, &n, &m) : set_v1(l, dir, &n, &m);
}

bool cgroup_leaves_hugepages(const struct jnode *resources)
{
	struct jnode list = json_get(resources, "hugepageLimits");
	struct err ignored;
	const struct cgroup_host *host = cgroup_host(&ignored);
	uint64_t limit = 0;

	if (!host || cgroup_find(host, CG_HUGETLB) >= 0)
		return false;
	for (size_t i = 0; i < json_count(&list) && !limit; i++) {
		struct jnode item = json_item(&list, i);

		json_u64(&item, "limit", &limit, &ignored);
	}
	return limit > 0;
}

int limits_hugetlb(struct limits *l, const struct jnode *resources)
{
	struct jnode list = json_get(resources, "hugepageLimits");
	bool v2 = false;
	int r, dir;

	if ((r = json_want_array(&list, l->e)) < 0)
		return r;
	/* Without the controller there is nothing to hold the limit against; every pod brings this list. */
	if (!json_count(&list) || cgroup_find(l->host, CG_HUGETLB) < 0)
		return 0;
	dir = limits_dir(l, CG_HUGETLB, &list, &v2);
	if (dir < 0)
		return dir;
	for (size_t i = 0; i < json_count(&list); i++) {
		struct jnode item = json_item(&list, i);
		const char *size;
		uint64_t limit = 0;
		char file[80];

		if ((r = json_need_str(&item, "pageSize", &size, l->e)) < 0 || (r = json_u64(&item, "limit", &limit, l->e)) < 0)
			return r;
		if (strspn(size, "0123456789KMGTB") != strlen(size) || strlen(size) > 16)
			return json_refuse(&item, l->e, "\"%.20s\" is no page size", size);
		snprintf(file, sizeof(file), "hugetlb.%s.%s", size, v2 ? "max" : "limit_in_bytes");
		if ((r = limits_write(l, dir, file, &item, "limit", "%" PRIu64, limit)) < 0)
			return r;
		/* Reservations too (5.7), else a mapping is granted and dies by SIGBUS when touched. */
		snprintf(file, sizeof(file), "hugetlb.%s.rsvd.%s", size, v2 ? "max" : "limit_in_bytes");
		if ((r = limits_write(l, dir, file, &item, "limit", "%" PRIu64, limit)) < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}
