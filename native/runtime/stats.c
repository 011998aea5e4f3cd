/* SPDX-License-Identifier: Apache-2.0 */
#include "stats.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cgroup/cgroup.h"

enum { FILE_MAX_BYTES = 1 << 20 };

/* The folder of a controller; v2 says which kind. -1: there is none. */
struct place {
	int dir;
	bool v2;
};

static struct place open_place(const struct cgroup_host *host, enum cgroup_controller c, const char *path)
{
	struct place p = { -1, false };

	for (int i = 0; i < host->count && p.dir < 0; i++) {
		char name[sizeof(host->list[i].mount) + CGROUP_PATH_MAX];

		if (!(host->list[i].controllers & 1u << c))
			continue;
		snprintf(name, sizeof(name), "%s%s", host->list[i].mount, path);
		p.dir = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		p.v2 = host->list[i].v2;
	}
	return p;
}

static char *read_file(int dir, const char *name)
{
	struct err ignored;
	char *text;
	size_t len;

	return dir >= 0 && io_read_file_at(dir, name, FILE_MAX_BYTES, &text, &len, &ignored) == 0 ? text : NULL;
}

/* Numbers beyond 2^63-1 (no limit, on v2 "max") are written as the largest there is; jansson has no larger. */
static json_t *number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

/* One number in a file; "max" is the largest. False: no such file. */
static bool read_number(int dir, const char *name, uint64_t *ret)
{
	cleanup_free char *text = read_file(dir, name);

	if (text)
		*ret = !strncmp(text, "max", 3) ? UINT64_MAX : strtoull(text, NULL, 10);
	return text != NULL;
}

static void put(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, number(n));
}

static void put_some(json_t *o, const char *key, uint64_t n)
{
	if (n)
		put(o, key, n);
}

/* Sets key to the object unless it is empty. */
static void put_object(json_t *o, const char *key, json_t *value)
{
	if (json_object_size(value) || json_array_size(value))
		json_object_set_new(o, key, value);
	else
		json_decref(value);
}

/* The number behind `key ` at the beginning of a line; 0 when it is not there. */
static uint64_t keyed(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
		if (!strncmp(line, key, len) && line[len] == ' ')
			return strtoull(line + len + 1, NULL, 10);
	return 0;
}

/* cpu.pressure and its kind: {"some":{"avg10":..},"full":{..}}; NULL: not on this kernel. */
static json_t *pressure(int dir, const char *name)
{
	cleanup_free char *text = read_file(dir, name);
	char *save = NULL;
	json_t *all;

	if (!text)
		return NULL;
	all = json_object();
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		double a, b, c;
		unsigned long long total;
		char kind[8];

		if (sscanf(line, "%7s avg10=%lf avg60=%lf avg300=%lf total=%llu", kind, &a, &b, &c, &total) == 5)
			json_object_set_new(all, kind, json_pack("{sf sf sf sI}", "avg10", a, "avg60", b, "avg300", c, "total",
								 (json_int_t)total));
	}
	return all;
}

/* --- cpu ------------------------------------------------------------------------------------------------ */

static json_t *numbers(char *text)
{
	json_t *list = json_array();
	char *save = NULL;

	for (char *word = strtok_r(text, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
		json_array_append_new(list, number(strtoull(word, NULL, 10)));
	return list;
}

/* cpuacct.usage_all: a line per processor with its number, user and system time. */
static void per_cpu_modes(int dir, json_t *usage)
{
	cleanup_free char *text = read_file(dir, "cpuacct.usage_all");
	json_t *user = json_array(), *kernel = json_array();
	char *save = NULL, *line = text ? strtok_r(text, "\n", &save) : NULL;

	while (line && (line = strtok_r(NULL, "\n", &save))) {
		unsigned long long cpu, u, k;

		if (sscanf(line, "%llu %llu %llu", &cpu, &u, &k) == 3) {
			json_array_append_new(user, number(u));
			json_array_append_new(kernel, number(k));
		}
	}
	put_object(usage, "percpu_kernel", kernel);
	put_object(usage, "percpu_user", user);
}

static json_t *cpu_stats(const struct cgroup_host *host, const char *path)
{
	const uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
	struct place cpu = open_place(host, CG_CPU, path), acct = open_place(host, CG_CPUACCT, path);
	cleanup_fd int cpu_dir = cpu.dir, acct_dir = acct.dir;
	cleanup_free char *stat = read_file(cpu.dir, "cpu.stat");
	json_t *all = json_object(), *usage = json_object(), *throttling = json_object();
	uint64_t total = 0;

	if (cpu.v2) {
		put_some(usage, "total", 1000 * keyed(stat, "usage_usec"));
		put(usage, "kernel", 1000 * keyed(stat, "system_usec"));
		put(usage, "user", 1000 * keyed(stat, "user_usec"));
	} else {
		cleanup_free char *modes = read_file(acct.dir, "cpuacct.stat");
		cleanup_free char *each = read_file(acct.dir, "cpuacct.usage_percpu");

		if (read_number(acct.dir, "cpuacct.usage", &total))
			put_some(usage, "total", total);
		if (each)
			put_object(usage, "percpu", numbers(each));
		per_cpu_modes(acct.dir, usage);
		put(usage, "kernel", tick_ns * keyed(modes, "system"));
		put(usage, "user", tick_ns * keyed(modes, "user"));
	}
	put_object(all, "usage", usage);
	put_some(throttling, "periods", keyed(stat, "nr_periods"));
	put_some(throttling, "throttledPeriods", keyed(stat, "nr_throttled"));
	put_some(throttling, "throttledTime", cpu.v2 ? 1000 * keyed(stat, "throttled_usec") : keyed(stat, "throttled_time"));
	put_object(all, "throttling", throttling);
	if (cpu.v2 && cpu.dir >= 0)
		put_object(all, "psi", pressure(cpu.dir, "cpu.pressure"));
	return all;
}

/* --- cpuset --------------------------------------------------------------------------------------------- */

/* "0-2,4" as [0,1,2,4]. */
static json_t *expand(const char *text)
{
	json_t *list = json_array();

	for (const char *p = text; p && *p >= '0' && *p <= '9'; ) {
		char *end;
		unsigned long first = strtoul(p, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (unsigned long n = first; n <= last && n < 65536; n++)
			json_array_append_new(list, number(n));
		p = *end == ',' ? end + 1 : "";
	}
	return list;
}

static json_t *cpuset_stats(const struct cgroup_host *host, const char *path)
{
	static const struct {
		const char *key, *file;
	} flags[] = {
		{ "cpu_exclusive", "cpuset.cpu_exclusive" },   { "mem_hardwall", "cpuset.mem_hardwall" },
		{ "mem_exclusive", "cpuset.mem_exclusive" },   { "memory_migrate", "cpuset.memory_migrate" },
		{ "memory_spread_page", "cpuset.memory_spread_page" }, { "memory_spread_slab", "cpuset.memory_spread_slab" },
		{ "memory_pressure", "cpuset.memory_pressure" }, { "sched_load_balance", "cpuset.sched_load_balance" },
	};
	struct place p = open_place(host, CG_CPUSET, path);
	cleanup_fd int dir = p.dir;
	json_t *all = json_object();
	cleanup_free char *cpus = p.v2 ? NULL : read_file(dir, "cpuset.cpus");
	cleanup_free char *mems = p.v2 ? NULL : read_file(dir, "cpuset.mems");
	cleanup_free char *level = p.v2 ? NULL : read_file(dir, "cpuset.sched_relax_domain_level");

	put_object(all, "cpus", expand(cpus));
	put_object(all, "mems", expand(mems));
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		uint64_t n = 0;

		if (!p.v2)
			read_number(dir, flags[i].file, &n);
		put(all, flags[i].key, n);
	}
	json_object_set_new(all, "sched_relax_domain_level", json_integer(level ? strtol(level, NULL, 10) : 0));
	return all;
}

/* --- memory --------------------------------------------------------------------------------------------- */

static json_t *memory_entry(int dir, const char *limit, const char *usage, const char *max, const char *failcnt)
{
	json_t *entry = json_object();
	uint64_t n[4] = { 0 };
	const char *files[4] = { limit, usage, max, failcnt };
	bool any = false;

	for (int i = 0; i < 4; i++)
		any |= files[i] && read_number(dir, files[i], &n[i]);
	if (!any)
		return entry;
	put(entry, "limit", n[0]);
	put_some(entry, "usage", n[1]);
	put_some(entry, "max", n[2]);
	put(entry, "failcnt", n[3]);
	return entry;
}

static json_t *key_values(char *text)
{
	json_t *all = json_object();
	char *save = NULL;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		char *space = strchr(line, ' ');

		if (space) {
			*space = '\0';
			put(all, line, strtoull(space + 1, NULL, 10));
		}
	}
	return all;
}

static json_t *memory_stats(const struct cgroup_host *host, const char *path)
{
	struct place p = open_place(host, CG_MEMORY, path);
	cleanup_fd int dir = p.dir;
	cleanup_free char *stat = read_file(dir, "memory.stat");
	json_t *all = json_object();

	put_some(all, "cache", keyed(stat, p.v2 ? "file" : "cache"));
	if (p.v2) {
		put_object(all, "usage", memory_entry(dir, "memory.max", "memory.current", "memory.peak", NULL));
		put_object(all, "swap", memory_entry(dir, "memory.swap.max", "memory.swap.current", "memory.swap.peak", NULL));
		put_object(all, "psi", pressure(dir, "memory.pressure"));
	} else {
		put_object(all, "usage", memory_entry(dir, "memory.limit_in_bytes", "memory.usage_in_bytes",
						      "memory.max_usage_in_bytes", "memory.failcnt"));
		put_object(all, "swap", memory_entry(dir, "memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes",
						     "memory.memsw.max_usage_in_bytes", "memory.memsw.failcnt"));
		put_object(all, "kernel", memory_entry(dir, "memory.kmem.limit_in_bytes", "memory.kmem.usage_in_bytes",
						       "memory.kmem.max_usage_in_bytes", "memory.kmem.failcnt"));
		put_object(all, "kernelTCP", memory_entry(dir, "memory.kmem.tcp.limit_in_bytes", "memory.kmem.tcp.usage_in_bytes",
							  "memory.kmem.tcp.max_usage_in_bytes", "memory.kmem.tcp.failcnt"));
	}
	put_object(all, "raw", key_values(stat));
	return all;
}

/* --- pids, block devices, huge pages ------------------------------------------------------------------------ */

static json_t *pids_stats(const struct cgroup_host *host, const char *path)
{
	struct place p = open_place(host, CG_PIDS, path);
	cleanup_fd int dir = p.dir;
	json_t *all = json_object();
	uint64_t n = 0;

	if (read_number(dir, "pids.current", &n))
		put_some(all, "current", n);
	if (read_number(dir, "pids.max", &n) && n != UINT64_MAX)
		put_some(all, "limit", n);
	return all;
}

/* v1: lines "8:0 Read 4096"; the one of all devices ("Total 1") is left out. */
static json_t *blkio_file(int dir, const char *name)
{
	cleanup_free char *text = read_file(dir, name);
	json_t *list = json_array();
	char *save = NULL;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		unsigned long long major, minor, value;
		json_t *entry;
		char op[16] = "";

		if (sscanf(line, "%llu:%llu %15[A-Za-z] %llu", &major, &minor, op, &value) != 4) {
			*op = '\0';
			if (sscanf(line, "%llu:%llu %llu", &major, &minor, &value) != 3)
				continue;
		}
		entry = json_object();
		put_some(entry, "major", major);
		put_some(entry, "minor", minor);
		if (*op)
			json_object_set_new(entry, "op", json_string(op));
		put_some(entry, "value", value);
		json_array_append_new(list, entry);
	}
	return list;
}

/* v2: lines "8:0 rbytes=1 wbytes=2 rios=3 wios=4 ...". */
static void io_stat(int dir, json_t *all)
{
	static const struct {
		const char *key, *op;
		bool bytes;
	} kinds[] = { { "rbytes=", "Read", true }, { "wbytes=", "Write", true }, { "rios=", "Read", false }, { "wios=", "Write", false } };
	cleanup_free char *text = read_file(dir, "io.stat");
	json_t *bytes = json_array(), *counts = json_array();
	char *save = NULL;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		unsigned long long major, minor;

		if (sscanf(line, "%llu:%llu ", &major, &minor) != 2)
			continue;
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
			const char *at = strstr(line, kinds[i].key);
			json_t *entry = json_object();

			put_some(entry, "major", major);
			put_some(entry, "minor", minor);
			json_object_set_new(entry, "op", json_string(kinds[i].op));
			put_some(entry, "value", at ? strtoull(at + strlen(kinds[i].key), NULL, 10) : 0);
			json_array_append_new(kinds[i].bytes ? bytes : counts, entry);
		}
	}
	put_object(all, "ioServiceBytesRecursive", bytes);
	put_object(all, "ioServicedRecursive", counts);
}

static json_t *blkio_stats(const struct cgroup_host *host, const char *path)
{
	static const struct {
		const char *key, *file, *fallback;
	} files[] = {
		{ "ioServiceBytesRecursive", "blkio.bfq.io_service_bytes_recursive", "blkio.throttle.io_service_bytes_recursive" },
		{ "ioServicedRecursive", "blkio.bfq.io_serviced_recursive", "blkio.throttle.io_serviced_recursive" },
		{ "ioQueueRecursive", "blkio.bfq.io_queued_recursive", "blkio.io_queued_recursive" },
		{ "ioServiceTimeRecursive", "blkio.bfq.io_service_time_recursive", "blkio.io_service_time_recursive" },
		{ "ioWaitTimeRecursive", "blkio.bfq.io_wait_time_recursive", "blkio.io_wait_time_recursive" },
		{ "ioMergedRecursive", "blkio.bfq.io_merged_recursive", "blkio.io_merged_recursive" },
		{ "ioTimeRecursive", "blkio.bfq.time_recursive", "blkio.time_recursive" },
		{ "sectorsRecursive", "blkio.bfq.sectors_recursive", "blkio.sectors_recursive" },
	};
	struct place p = open_place(host, CG_BLKIO, path);
	cleanup_fd int dir = p.dir;
	json_t *all = json_object();

	if (p.v2) {
		io_stat(dir, all);
		put_object(all, "psi", pressure(dir, "io.pressure"));
		return all;
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		json_t *list = blkio_file(dir, files[i].file);

		if (!json_array_size(list)) {
			json_decref(list);
			list = blkio_file(dir, files[i].fallback);
		}
		put_object(all, files[i].key, list);
	}
	return all;
}

static json_t *hugetlb_stats(const struct cgroup_host *host, const char *path)
{
	struct place p = open_place(host, CG_HUGETLB, path);
	cleanup_fd int dir = p.dir;
	DIR *list = p.dir < 0 ? NULL : fdopendir(dup(p.dir));
	json_t *all = json_object();

	for (struct dirent *d; list && (d = readdir(list)); ) {
		const char *end = strstr(d->d_name, p.v2 ? ".current" : ".usage_in_bytes");
		char size[32], file[80];
		uint64_t usage = 0, max = 0, failures = 0;
		json_t *entry;

		/* "hugetlb.2MB.usage_in_bytes"; those of reservations have one part more. */
		if (strncmp(d->d_name, "hugetlb.", 8) || !end || strchr(end + 1, '.'))
			continue;
		snprintf(size, sizeof(size), "%.*s", (int)(end - d->d_name - 8), d->d_name + 8);
		if (strchr(size, '.'))
			continue;
		entry = json_object();
		read_number(dir, d->d_name, &usage);
		snprintf(file, sizeof(file), "hugetlb.%s.max_usage_in_bytes", size);
		if (!p.v2)
			read_number(dir, file, &max);
		snprintf(file, sizeof(file), "hugetlb.%s.failcnt", size);
		if (!p.v2) {
			read_number(dir, file, &failures);
		} else {
			snprintf(file, sizeof(file), "hugetlb.%s.events", size);
			cleanup_free char *events = read_file(dir, file);

			failures = keyed(events, "max");
		}
		put_some(entry, "usage", usage);
		put_some(entry, "max", max);
		put(entry, "failcnt", failures);
		json_object_set_new(all, size, entry);
	}
	if (list)
		closedir(list);
	return all;
}

json_t *stats_read(const char *cgroup, struct err *e)
{
	const struct cgroup_host *host = cgroup_host(e);
	json_t *all = host ? json_object() : NULL;

	if (!host)
		return NULL;
	json_object_set_new(all, "cpu", cpu_stats(host, cgroup));
	json_object_set_new(all, "cpuset", cpuset_stats(host, cgroup));
	json_object_set_new(all, "memory", memory_stats(host, cgroup));
	json_object_set_new(all, "pids", pids_stats(host, cgroup));
	json_object_set_new(all, "blkio", blkio_stats(host, cgroup));
	json_object_set_new(all, "hugetlb", hugetlb_stats(host, cgroup));
	json_object_set_new(all, "intel_rdt", json_object());
	json_object_set_new(all, "network_interfaces", json_null());
	return all;
}
