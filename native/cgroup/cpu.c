/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources.cpu and pids. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "cgroup/internal.h"

struct cpu {
	uint64_t shares, period, burst, rt_period;
	int64_t quota, rt_runtime, idle;
	bool has_quota, has_burst, has_rt_runtime, has_idle;
	const char *cpus, *mems;
};

static int parse(const struct jnode *n, struct cpu *c, struct err *e)
{
	int r;

	memset(c, 0, sizeof(*c));
	c->has_quota = json_get(n, "quota").value;
	c->has_burst = json_get(n, "burst").value;
	c->has_rt_runtime = json_get(n, "realtimeRuntime").value;
	c->has_idle = json_get(n, "idle").value;
	if ((r = json_u64(n, "shares", &c->shares, e)) < 0 || (r = json_i64(n, "quota", &c->quota, e)) < 0 ||
	    (r = json_u64(n, "period", &c->period, e)) < 0 || (r = json_u64(n, "burst", &c->burst, e)) < 0 ||
	    (r = json_i64(n, "realtimeRuntime", &c->rt_runtime, e)) < 0 ||
	    (r = json_u64(n, "realtimePeriod", &c->rt_period, e)) < 0 || (r = json_i64(n, "idle", &c->idle, e)) < 0 ||
	    (r = json_str(n, "cpus", &c->cpus, e)) < 0 || (r = json_str(n, "mems", &c->mems, e)) < 0)
		return r;
	c->has_quota &= c->quota != 0;
	c->has_rt_runtime &= c->rt_runtime != 0;
	if (c->has_idle && c->idle != 0 && c->idle != 1) {
		struct jnode idle = json_get(n, "idle");

		return json_refuse(&idle, e, "is neither 0 nor 1");
	}
	for (int i = 0; i < 2; i++) {
		struct jnode list = json_get(n, i ? "mems" : "cpus");
		const char *text = i ? c->mems : c->cpus;

		/* The kernel reads one line and forgets the rest. */
		if (text && strpbrk(text, "\n\r"))
			return json_refuse(&list, e, "is more than one line");
	}
	if (c->cpus && !*c->cpus)
		c->cpus = NULL;
	if (c->mems && !*c->mems)
		c->mems = NULL;
	return 0;
}

/*
 * A curve through (2, 1), (1024, 100) and (262144, 10000): min, default and max of both scales.
 * The straight line of earlier runtimes put the default of 1024 shares at a weight of 39.
 * Source: opencontainers/cgroups, ConvertCPUSharesToCgroupV2Value (v0.0.5).
 */
uint64_t cgroup_weight(uint64_t shares)
{
	double l;

	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	l = log2((double)shares);
	return (uint64_t)ceil(pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0));
}

/* The kernel takes any number of shares and keeps one between 2 and 262144: asked for more or less, it is refused here. */
static int set_shares_v1(struct limits *l, int dir, const struct jnode *n, uint64_t shares)
{
	struct jnode member = json_get(n, "shares");
	char now[32];
	int r = limits_write(l, dir, "cpu.shares", n, "shares", "%" PRIu64, shares);

	if (r < 0 || io_read_small_at(dir, "cpu.shares", now, sizeof(now)) <= 0 || strtoull(now, NULL, 10) == shares)
		return r;
	return json_refuse(&member, l->e, "%" PRIu64 " is out of range, the kernel takes %s", shares, now);
}

static int set_v1(struct limits *l, int dir, const struct jnode *n, const struct cpu *c)
{
	static const char period_file[] = "cpu.cfs_period_us";
	bool later = false;
	int r = 0;

	if (c->shares)
		r = set_shares_v1(l, dir, n, c->shares);
	/* A burst above the quota is refused: the old one goes first, the new one comes last. */
	if (r == 0 && c->has_burst)
		io_write_file_at(dir, "cpu.cfs_burst_us", "0");
	if (r == 0 && c->period) {
		r = limits_write(l, dir, period_file, n, "period", "%" PRIu64, c->period);
		/* With the old quota this period would be above the parent's share: quota first then. */
		if (r == -EINVAL && c->has_quota) {
			later = true;
			r = 0;
		}
	}
	if (r == 0 && c->has_quota)
		r = limits_write(l, dir, "cpu.cfs_quota_us", n, "quota", "%" PRId64, c->quota);
	if (r == 0 && later)
		r = limits_write(l, dir, period_file, n, "period", "%" PRIu64, c->period);
	if (r == 0 && c->has_burst)
		r = limits_write(l, dir, "cpu.cfs_burst_us", n, "burst", "%" PRIu64, c->burst);
	if (r == 0 && c->rt_period)
		r = limits_write(l, dir, "cpu.rt_period_us", n, "realtimePeriod", "%" PRIu64, c->rt_period);
	if (r == 0 && c->has_rt_runtime)
		r = limits_write(l, dir, "cpu.rt_runtime_us", n, "realtimeRuntime", "%" PRId64, c->rt_runtime);
	if (r == 0 && c->has_idle)
		r = limits_write(l, dir, "cpu.idle", n, "idle", "%" PRId64, c->idle);
	return r;
}

static int set_v2(struct limits *l, int dir, const struct jnode *n, const struct cpu *c)
{
	struct jnode realtime = json_get(n, c->has_rt_runtime ? "realtimeRuntime" : "realtimePeriod");
	int r = 0;

	if (c->has_rt_runtime || c->rt_period)
		return json_refuse(&realtime, l->e, "cgroup v2 has no realtime limits");
	if (c->has_idle)
		r = limits_write(l, dir, "cpu.idle", n, "idle", "%" PRId64, c->idle);
	if (r == 0 && c->shares && c->idle != 1) /* an idle group takes no weight */
		r = limits_write(l, dir, "cpu.weight", n, "shares", "%" PRIu64, cgroup_weight(c->shares));
	/* As in v1: the burst is never above the quota. */
	if (r == 0 && c->has_burst)
		io_write_file_at(dir, "cpu.max.burst", "0");
	if (r == 0 && (c->has_quota || c->period)) {
		const char *key = c->has_quota ? "quota" : "period";
		char quota[32] = "max", now[64];

		if (c->has_quota && c->quota > 0)
			snprintf(quota, sizeof(quota), "%" PRId64, c->quota);
		else if (!c->has_quota && io_read_small_at(dir, "cpu.max", now, sizeof(now)) > 0)
			snprintf(quota, sizeof(quota), "%.*s", (int)strcspn(now, " "), now);
		r = c->period ? limits_write(l, dir, "cpu.max", n, key, "%s %" PRIu64, quota, c->period) :
				limits_write(l, dir, "cpu.max", n, key, "%s", quota);
	}
	if (r == 0 && c->has_burst)
		r = limits_write(l, dir, "cpu.max.burst", n, "burst", "%" PRIu64, c->burst);
	return r;
}

/* Quota (-1: none) and period that hold now, in microseconds. */
static bool in_force(int dir, bool v2, int64_t *ret_quota, int64_t *ret_period)
{
	char quota[64], period[64], *space = NULL;

	if (io_read_small_at(dir, v2 ? "cpu.max" : "cpu.cfs_quota_us", quota, sizeof(quota)) <= 0)
		return false;
	if (v2 && !(space = strchr(quota, ' ')))
		return false;
	if (!v2 && io_read_small_at(dir, "cpu.cfs_period_us", period, sizeof(period)) <= 0)
		return false;
	*ret_quota = strncmp(quota, "max", 3) ? strtoll(quota, NULL, 10) : -1;
	*ret_period = strtoll(v2 ? space : period, NULL, 10);
	return true;
}

int limits_complete_cpu(struct limits *l, const struct jnode *resources, json_t *whole)
{
	struct jnode n = json_get(resources, "cpu");
	int64_t quota, period;
	struct cpu c;
	bool v2;
	int r, dir;

	if ((r = json_want_object(&n, l->e)) < 0 || (r = parse(&n, &c, l->e)) < 0)
		return r;
	if (c.has_quota == (c.period != 0))
		return 0;
	dir = limits_dir(l, CG_CPU, &n, &v2);
	if (dir < 0 || !in_force(dir, v2, &quota, &period))
		return dir < 0 ? dir : 0;
	return limits_complete_member(l, whole, "cpu", c.has_quota ? "period" : "quota", c.has_quota ? period : quota);
}

int limits_cpu(struct limits *l, const struct jnode *resources)
{
	struct jnode n = json_get(resources, "cpu");
	struct cpu c;
	bool v2;
	int r, dir;

	if ((r = json_want_object(&n, l->e)) < 0 || (r = parse(&n, &c, l->e)) < 0)
		return r;
	if (c.shares || c.has_quota || c.period || c.has_burst || c.has_rt_runtime || c.rt_period || c.has_idle) {
		dir = limits_dir(l, CG_CPU, &n, &v2);
		if (dir < 0)
			return dir;
		r = v2 ? set_v2(l, dir, &n, &c) : set_v1(l, dir, &n, &c);
		if (r < 0)
			return r;
	}
	if (!c.cpus && !c.mems)
		return 0;
	dir = limits_dir(l, CG_CPUSET, &n, &v2);
	if (dir < 0)
		return dir;
	if (c.cpus && (r = limits_write(l, dir, "cpuset.cpus", &n, "cpus", "%s", c.cpus)) < 0)
		return r;
	return c.mems ? limits_write(l, dir, "cpuset.mems", &n, "mems", "%s", c.mems) : 0;
}

/* 0 leaves room for nobody to fork: 1 does as well, and systemd takes only that. Negative: no limit. */
int limits_pids(struct limits *l, const struct jnode *resources)
{
	struct jnode n = json_get(resources, "pids");
	bool given = json_get(&n, "limit").value, v2;
	int64_t limit = 0;
	int r, dir;

	if ((r = json_want_object(&n, l->e)) < 0 || (r = json_i64(&n, "limit", &limit, l->e)) < 0 || !given)
		return r;
	dir = limits_dir(l, CG_PIDS, &n, &v2);
	if (dir < 0)
		return dir;
	return limit < 0 ? limits_write(l, dir, "pids.max", &n, "limit", "max") :
			   limits_write(l, dir, "pids.max", &n, "limit", "%" PRId64, limit ? limit : 1);
}
