/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.resources field by field, on a cgroup of the kernel's: what is written, and what is refused by name.
 * Rows are of version 1 or 2; those of the version that this machine has not are left to the other one (hack/guest).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "cgroup/internal.h"

static const char path[] = "/kobako-limits-test";
static int failed, tried;

#define CHECK(cond, ...)                                                  \
	do {                                                              \
		if (!(cond)) {                                            \
			printf("limits_test:%d: ", __LINE__);             \
			printf(__VA_ARGS__);                              \
			printf("\n");                                     \
			failed = 1;                                       \
		}                                                         \
	} while (0)

enum { BOTH, V1, V2 };

/* An update and what the file then holds; the updates of one version are made one after the other on one cgroup. */
static const struct {
	int version;
	enum cgroup_controller controller;
	const char *resources, *file, *text;
} good[] = {
	{ V1, CG_MEMORY, "{'memory': {'limit': 67108864, 'swap': 134217728}}", "memory.limit_in_bytes", "67108864" },
	{ V1, CG_MEMORY, "{'memory': {'limit': 33554432, 'swap': 33554432}}", "memory.memsw.limit_in_bytes", "33554432" },
	{ V1, CG_MEMORY, "{'memory': {'limit': 268435456, 'swap': 536870912}}", "memory.memsw.limit_in_bytes", "536870912" },
	{ V1, CG_MEMORY, "{'memory': {'limit': -1}}", "memory.memsw.limit_in_bytes", "9223372036854771712" },
	{ V1, CG_MEMORY, "{'memory': {'reservation': 16777216}}", "memory.soft_limit_in_bytes", "16777216" },
	{ V1, CG_MEMORY, "{'memory': {'swappiness': 0}}", "memory.swappiness", "0" },
	{ V1, CG_MEMORY, "{'memory': {'swappiness': 42}}", "memory.swappiness", "42" },
	{ V1, CG_MEMORY, "{'memory': {'disableOOMKiller': true}}", "memory.oom_control", "oom_kill_disable 1" },
	{ V1, CG_MEMORY, "{'memory': {'disableOOMKiller': false}}", "memory.oom_control", "oom_kill_disable 0" },
	{ V1, CG_MEMORY, "{'memory': {'useHierarchy': true}}", "memory.use_hierarchy", "1" },
	{ V1, CG_MEMORY, "{'memory': {'kernel': -1}}", "memory.use_hierarchy", "1" },
	{ V1, CG_CPU, "{'cpu': {'shares': 512}}", "cpu.shares", "512" },
	{ V1, CG_CPU, "{'cpu': {'quota': 50000, 'period': 100000}}", "cpu.cfs_quota_us", "50000" },
	{ V1, CG_CPU, "{'cpu': {'burst': 20000}}", "cpu.cfs_burst_us", "20000" },
	{ V1, CG_CPU, "{'cpu': {'quota': 30000, 'burst': 30000}}", "cpu.cfs_burst_us", "30000" },
	{ V1, CG_CPU, "{'cpu': {'quota': 10000, 'burst': 10000}}", "cpu.cfs_quota_us", "10000" },
	{ V1, CG_CPU, "{'cpu': {'quota': -1, 'burst': 0}}", "cpu.cfs_quota_us", "-1" },
	{ V1, CG_CPU, "{'cpu': {'period': 50000}}", "cpu.cfs_period_us", "50000" },
	{ V1, CG_CPU, "{'cpu': {'idle': 1}}", "cpu.idle", "1" },
	{ V1, CG_CPU, "{'cpu': {'idle': 0}}", "cpu.idle", "0" },
	{ V1, CG_CPUSET, "{'cpu': {'cpus': '0', 'mems': '0'}}", "cpuset.cpus", "0" },
	{ V1, CG_BLKIO, "{'blockIO': {'throttleReadBpsDevice': [{'major': DISK_MAJOR, 'minor': DISK_MINOR, 'rate': 1048576}]}}",
	  "blkio.throttle.read_bps_device", "DISK_MAJOR:DISK_MINOR 1048576" },
	{ V1, CG_BLKIO, "{'blockIO': {'throttleReadBpsDevice': [{'major': DISK_MAJOR, 'minor': DISK_MINOR, 'rate': 0}]}}",
	  "blkio.throttle.read_bps_device", "" },

	{ V2, CG_MEMORY, "{'memory': {'limit': 67108864, 'swap': 134217728}}", "memory.max", "67108864" },
	{ V2, CG_MEMORY, "{'memory': {'limit': 67108864, 'swap': 100663296}}", "memory.swap.max", "33554432" },
	{ V2, CG_MEMORY, "{'memory': {'limit': 67108864, 'swap': 67108864}}", "memory.swap.max", "0" },
	{ V2, CG_MEMORY, "{'memory': {'swap': -1}}", "memory.swap.max", "max" },
	{ V2, CG_MEMORY, "{'memory': {'limit': -1}}", "memory.max", "max" },
	{ V2, CG_MEMORY, "{'memory': {'reservation': 16777216}}", "memory.low", "16777216" },
	{ V2, CG_MEMORY, "{'memory': {'useHierarchy': true, 'kernel': -1, 'disableOOMKiller': false}}", "memory.low", "16777216" },
	{ V2, CG_MEMORY, "{'memory': {'limit': 33554432, 'checkBeforeUpdate': true}}", "memory.max", "33554432" },
	{ V2, CG_CPU, "{'cpu': {'shares': 1024}}", "cpu.weight", "100" },
	{ V2, CG_CPU, "{'cpu': {'shares': 2}}", "cpu.weight", "1" },
	{ V2, CG_CPU, "{'cpu': {'shares': 262144}}", "cpu.weight", "10000" },
	{ V2, CG_CPU, "{'cpu': {'quota': 50000, 'period': 100000}}", "cpu.max", "50000 100000" },
	{ V2, CG_CPU, "{'cpu': {'period': 200000}}", "cpu.max", "50000 200000" },
	{ V2, CG_CPU, "{'cpu': {'burst': 20000}}", "cpu.max.burst", "20000" },
	{ V2, CG_CPU, "{'cpu': {'quota': 10000, 'burst': 10000}}", "cpu.max", "10000 200000" },
	{ V2, CG_CPU, "{'cpu': {'quota': -1}}", "cpu.max", "max 200000" },
	{ V2, CG_CPU, "{'cpu': {'idle': 1, 'shares': 512}}", "cpu.idle", "1" },
	{ V2, CG_CPU, "{'cpu': {'idle': 0, 'shares': 1024}}", "cpu.weight", "100" },
	{ V2, CG_CPUSET, "{'cpu': {'cpus': '0', 'mems': '0'}}", "cpuset.cpus", "0" },
	{ V2, CG_BLKIO, "{'blockIO': {'throttleWriteIOPSDevice': [{'major': DISK_MAJOR, 'minor': DISK_MINOR, 'rate': 100}]}}", "io.max",
	  "DISK_MAJOR:DISK_MINOR rbps=max wbps=max riops=max wiops=100" },
	{ V2, CG_BLKIO, "{'blockIO': {'throttleWriteIOPSDevice': [{'major': DISK_MAJOR, 'minor': DISK_MINOR, 'rate': 0}]}}", "io.max", "" },
	{ V2, CG_BLKIO, "{'blockIO': {'weight': 500}}", "io.weight", "default 4950" },
	{ V2, CG_HUGETLB, "{'hugepageLimits': [{'pageSize': '2MB', 'limit': 4194304}]}", "hugetlb.2MB.max", "4194304" },
	{ V2, CG_HUGETLB, "{'hugepageLimits': [{'pageSize': '2MB', 'limit': 4194304}]}", "hugetlb.2MB.rsvd.max", "4194304" },
	{ V2, CG_MEMORY, "{'unified': {'memory.high': '8388608', 'memory.oom.group': '1'}}", "memory.high", "8388608" },
	{ V2, CG_MEMORY, "{'unified': {'memory.oom.group': '1'}}", "memory.oom.group", "1" },
	{ V2, CG_CPU, "{'unified': {'cpu.weight.nice': '5'}}", "cpu.weight.nice", "5" },

	{ BOTH, CG_PIDS, "{'pids': {'limit': 50}}", "pids.max", "50" },
	{ BOTH, CG_PIDS, "{'pids': {'limit': 0}}", "pids.max", "1" },
	{ BOTH, CG_PIDS, "{'pids': {'limit': -1}}", "pids.max", "max" },
	{ BOTH, CG_PIDS, "{'pids': {}}", "pids.max", "max" },
};

/* Refused, with this in the error: the place of the field first. */
static const struct {
	int version;
	const char *resources, *error;
} bad[] = {
	{ BOTH, "{'memory': {'limit': -2}}", "linux.resources.memory.limit: -2" },
	{ BOTH, "{'memory': {'limit': 2, 'swap': 1}}", "linux.resources.memory.swap: 1" },
	{ BOTH, "{'memory': {'limit': '1'}}", "linux.resources.memory.limit: " },
	{ BOTH, "{'memory': {'swappiness': 101}}", "linux.resources.memory.swappiness: " },
	{ BOTH, "{'memory': {'useHierarchy': false}}", "linux.resources.memory.useHierarchy: " },
	{ BOTH, "{'memory': {'kernel': 1048576}}", "linux.resources.memory.kernel: " },
	{ BOTH, "{'cpu': {'idle': 2}}", "linux.resources.cpu.idle: " },
	{ BOTH, "{'cpu': {'quota': 1}}", "linux.resources.cpu.quota: " },
	{ BOTH, "{'cpu': {'cpus': '4095'}}", "linux.resources.cpu.cpus: " },
	{ BOTH, "{'cpu': {'mems': '0\\nx'}}", "linux.resources.cpu.mems: " },
	{ BOTH, "{'pids': {'limit': 1e3}}", "linux.resources.pids.limit: " },
	{ BOTH, "{'blockIO': {'weight': 9}}", "linux.resources.blockIO.weight: 9" },
	{ BOTH, "{'blockIO': {'weightDevice': [{'major': 1, 'minor': 0, 'weight': 1001}]}}",
	  "linux.resources.blockIO.weightDevice[0].weight: 1001" },
	{ BOTH, "{'blockIO': {'weightDevice': [{'weight': 10}]}}", "linux.resources.blockIO.weightDevice[0].major" },
	{ BOTH, "{'blockIO': {'leafWeight': 100}}", "linux.resources.blockIO.leafWeight: " },
	{ BOTH, "{'blockIO': {'throttleReadBpsDevice': [{'major': 4095, 'minor': 77, 'rate': 5}]}}",
	  "linux.resources.blockIO.throttleReadBpsDevice[0].rate: " },
	{ BOTH, "{'network': {'priorities': [{'name': 'lo\\n', 'priority': 1}]}}", "linux.resources.network.priorities[0]" },
	{ V1, "{'cpu': {'shares': 1}}", "linux.resources.cpu.shares: 1 " },
	{ V1, "{'cpu': {'shares': 999999}}", "linux.resources.cpu.shares: 999999 " },
	{ V1, "{'rdma': {'mlx5_0': {'hcaHandles': 1}}}", "linux.resources.rdma: this machine has no rdma" },
	{ V1, "{'unified': {'memory.high': '1000000'}}", "linux.resources.unified: cgroup v2 has no memory controller" },
	{ V2, "{'cpu': {'realtimeRuntime': 1000}}", "linux.resources.cpu.realtimeRuntime: " },
	{ V2, "{'cpu': {'realtimePeriod': 1000}}", "linux.resources.cpu.realtimePeriod: " },
	{ V2, "{'memory': {'disableOOMKiller': true}}", "linux.resources.memory.disableOOMKiller: " },
	{ V2, "{'memory': {'kernelTCP': 100000}}", "linux.resources.memory.kernelTCP: " },
	{ V2, "{'memory': {'swappiness': 60}}", "linux.resources.memory.swappiness: " },
	{ V2, "{'memory': {'swap': 100000}}", "linux.resources.memory.swap: " },
	{ V2, "{'network': {'classID': 1048577}}", "linux.resources.network: this machine has no net_cls" },
	{ V2, "{'rdma': {'no\\nname': {'hcaHandles': 1}}}", "linux.resources.rdma.no" },
	{ V2, "{'hugepageLimits': [{'pageSize': '3MB', 'limit': 1}]}", "linux.resources.hugepageLimits[0].limit: " },
	{ V2, "{'hugepageLimits': [{'pageSize': '../2MB', 'limit': 1}]}", "linux.resources.hugepageLimits[0]: " },
	{ V2, "{'unified': {'cgroup.freeze': '1'}}", "linux.resources.unified.cgroup.freeze: " },
	{ V2, "{'unified': {'../memory.max': '1'}}", "linux.resources.unified.../memory.max: " },
	{ V2, "{'unified': {'memory': '1'}}", "linux.resources.unified.memory: " },
	{ V2, "{'unified': {'memory.nothing': '1'}}", "linux.resources.unified.memory.nothing: " },
	{ V2, "{'unified': {'fpga.max': '1'}}", "linux.resources.unified: cgroup v2 has no fpga" },
	{ V2, "{'unified': {'memory.high': 1}}", "linux.resources.unified.memory.high: " },
};

static unsigned int disk_major, disk_minor;

/* A block device of this machine; without one the rows that name it fail. */
static void find_disk(void)
{
	DIR *dir = opendir("/sys/block");

	for (struct dirent *d; dir && !disk_major && (d = readdir(dir)); ) {
		char file[300], text[32];

		snprintf(file, sizeof(file), "/sys/block/%s/dev", d->d_name);
		if (d->d_name[0] != '.' && strncmp(d->d_name, "loop", 4) && strncmp(d->d_name, "ram", 3) &&
		    io_read_small_at(AT_FDCWD, file, text, sizeof(text)) > 0)
			sscanf(text, "%u:%u", &disk_major, &disk_minor);
	}
	if (dir)
		closedir(dir);
}

/* The text with the numbers of that device in it, allocated. */
static char *with_disk(const char *text)
{
	char *ret = calloc(1, strlen(text) + 64), *to = ret;

	while (*text) {
		if (!strncmp(text, "DISK_MAJOR", 10) || !strncmp(text, "DISK_MINOR", 10)) {
			to += sprintf(to, "%u", text[6] == 'A' ? disk_major : disk_minor);
			text += 10;
		} else {
			*to++ = *text++;
		}
	}
	return ret;
}

static json_t *parse(const char *text)
{
	char *copy = with_disk(text);
	struct err e = { 0 };
	json_t *doc = NULL;

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	CHECK(json_parse(copy, strlen(copy), &doc, &e) == 0, "%s: %s", text, e.step);
	free(copy);
	return doc;
}

static void test_limits(const struct cgroup_host *host, int version)
{
	struct cgroup_made made;
	struct err e = { 0 };

	CHECK(cgroup_create(path, &made, &e) == 0, "%s", e.step);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		int h = cgroup_find(host, good[i].controller), dir;
		json_t *doc = parse(good[i].resources);
		struct jnode top = json_top(doc, "linux.resources");
		char text[512] = "", *want = with_disk(good[i].text);

		if ((good[i].version != BOTH && good[i].version != version) || h < 0) {
			json_decref(doc);
			free(want);
			continue;
		}
		dir = cgroup_open(host, h, path);
		if (faccessat(dir, good[i].file, F_OK, 0) < 0) {
			printf("limits_test: %s not tried: this kernel has no %s\n", good[i].resources, good[i].file);
		} else {
			tried++;
			CHECK(cgroup_update(path, &top, &e) == 0, "%s: %s", good[i].resources, e.step);
			CHECK(io_read_small_at(dir, good[i].file, text, sizeof(text)) >= 0, "%s", good[i].file);
			CHECK(!strncmp(text, want, strlen(want)) && (*want || !*text), "%s: %s holds \"%s\", not \"%s\"",
			      good[i].resources, good[i].file, text, want);
		}
		free(want);
		close(dir);
		json_decref(doc);
	}
	CHECK(cgroup_remove(path, 1000, &e) == 0, "%s", e.step);
}

static void test_refused(int version)
{
	struct cgroup_made made;
	struct err e = { 0 };

	CHECK(cgroup_create(path, &made, &e) == 0, "%s", e.step);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *doc = parse(bad[i].resources);
		struct jnode top = json_top(doc, "linux.resources");

		if (bad[i].version == BOTH || bad[i].version == version) {
			e.step[0] = '\0';
			tried++;
			CHECK(cgroup_update(path, &top, &e) < 0, "%s is taken", bad[i].resources);
			CHECK(strstr(e.step, bad[i].error), "%s: \"%s\" has no \"%s\"", bad[i].resources, e.step, bad[i].error);
		}
		json_decref(doc);
	}
	CHECK(cgroup_remove(path, 1000, &e) == 0, "%s", e.step);
}

/* A kubelet sends limits for huge pages to every pod: without the controller there is nothing to hold them against. */
static void test_ignored(const struct cgroup_host *host)
{
	struct cgroup_made made;
	struct err e = { 0 };
	json_t *doc = parse("{'hugepageLimits': [{'pageSize': '2MB', 'limit': 0}]}");
	struct jnode top = json_top(doc, "linux.resources");

	CHECK(cgroup_create(path, &made, &e) == 0, "%s", e.step);
	if (cgroup_find(host, CG_HUGETLB) < 0)
		CHECK(cgroup_update(path, &top, &e) == 0, "%s", e.step);
	CHECK(cgroup_remove(path, 1000, &e) == 0, "%s", e.step);
	json_decref(doc);
}

/*
 * Controllers that hardly any machine has any more: what would be written, into files that stand for the kernel's. Each row
 * is one write.
 */
static const struct {
	enum cgroup_controller controller;
	int (*apply)(struct limits *l, const struct jnode *resources);
	const char *resources, *file, *text;
} rare[] = {
	{ CG_RDMA, limits_rdma, "{'rdma': {'mlx5_0': {'hcaHandles': 3}}}", "rdma.max", "mlx5_0 hca_handle=3 hca_object=max" },
	{ CG_RDMA, limits_rdma, "{'rdma': {'mlx5_1': {'hcaObjects': 4}}}", "rdma.max", "mlx5_1 hca_handle=max hca_object=4" },
	{ CG_NET_CLS, limits_network, "{'network': {'classID': 1048577}}", "net_cls.classid", "1048577" },
	{ CG_NET_PRIO, limits_network, "{'network': {'priorities': [{'name': 'eth0', 'priority': 3}]}}", "net_prio.ifpriomap", "eth0 3" },
	{ CG_BLKIO, limits_blkio, "{'blockIO': {'leafWeight': 300}}", "blkio.leaf_weight", "300" },
	{ CG_BLKIO, limits_blkio, "{'blockIO': {'weightDevice': [{'major': 8, 'minor': 16, 'leafWeight': 200}]}}", "blkio.leaf_weight_device",
	  "8:16 200" },
	{ CG_BLKIO, limits_blkio, "{'blockIO': {'weightDevice': [{'major': 8, 'minor': 16, 'weight': 200}]}}", "blkio.bfq.weight_device",
	  "8:16 200" },
	{ CG_MEMORY, limits_memory, "{'memory': {'kernelTCP': 4096}}", "memory.kmem.tcp.limit_in_bytes", "4096" },
};

static void test_rare(void)
{
	char folder[] = "/tmp/kobako-limits-test-XXXXXX", name[300], text[200];

	if (!mkdtemp(folder))
		abort();
	for (size_t i = 0; i < sizeof(rare) / sizeof(rare[0]); i++) {
		struct cgroup_host host = { .count = 1 };
		struct err e = { 0 };
		struct limits l = { .host = &host, .path = path, .e = &e };
		json_t *doc = parse(rare[i].resources);
		struct jnode top = json_top(doc, "linux.resources");

		host.list[0].controllers = UINT32_C(1) << rare[i].controller;
		memset(l.dirs, 0xff, sizeof(l.dirs));
		l.dirs[0] = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
		snprintf(name, sizeof(name), "%s/%s", folder, rare[i].file);
		close(open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
		text[0] = '\0';
		CHECK(rare[i].apply(&l, &top) == 0, "%s: %s", rare[i].resources, e.step);
		CHECK(io_read_small_at(l.dirs[0], rare[i].file, text, sizeof(text)) >= 0 && !strcmp(text, rare[i].text),
		      "%s: %s holds \"%s\"", rare[i].resources, rare[i].file, text);
		tried++;
		unlink(name);
		close(l.dirs[0]);
		json_decref(doc);
	}
	rmdir(folder);
}

/*
 * What an update becomes beside what is in force, in files that stand for the kernel's: the members that it then has, or
 * where it is refused (an error).
 */
static const struct {
	bool v2;
	const char *files[2][2], *resources, *whole, *error;
} updates[] = {
	{ true, { { "memory.max", "104857600\n" }, { "memory.swap.max", "104857600\n" } }, "{'memory': {'limit': 157286400}}",
	  "{'memory': {'limit': 157286400, 'swap': 209715200}}", NULL },
	{ true, { { "memory.max", "104857600\n" }, { "memory.swap.max", "104857600\n" } }, "{'memory': {'limit': 209715201}}", NULL,
	  "linux.resources.memory.limit: 209715201 is above the 209715200 bytes of memory and swap together" },
	{ true, { { "memory.max", "104857600\n" }, { "memory.swap.max", "104857600\n" } },
	  "{'memory': {'limit': 209715201}, 'unified': {'memory.swap.max': '0'}}",
	  "{'memory': {'limit': 209715201}, 'unified': {'memory.swap.max': '0'}}", NULL },
	{ true, { { "memory.max", "104857600\n" }, { "memory.swap.max", "max\n" } }, "{'memory': {'limit': 209715201}}",
	  "{'memory': {'limit': 209715201}}", NULL },
	{ true, { { "memory.max", "104857600\n" }, { "memory.swap.max", "0\n" } }, "{'memory': {'limit': 52428800}}",
	  "{'memory': {'limit': 52428800}}", NULL },
	{ true, { { "memory.max", "104857600\n" }, { NULL, NULL } }, "{'memory': {'limit': 52428800, 'swap': 0}}",
	  "{'memory': {'limit': 52428800, 'swap': 0}}", NULL },
	{ true, { { "memory.max", "104857600\n" }, { "memory.swap.max", "max\n" } }, "{'memory': {'swap': 157286400}}",
	  "{'memory': {'limit': 104857600, 'swap': 157286400}}", NULL },
	{ true, { { "memory.max", "max\n" }, { "memory.swap.max", "max\n" } }, "{'memory': {'swap': 157286400}}",
	  "{'memory': {'swap': 157286400}}", NULL },
	{ true, { { "memory.max", "104857600\n" }, { "memory.swap.max", "104857600\n" } }, "{'memory': {'swap': -1}}",
	  "{'memory': {'swap': -1}}", NULL },
	{ true, { { "memory.max", "104857600\n" }, { "memory.swap.max", "104857600\n" } }, "{'memory': {'limit': -1}}",
	  "{'memory': {'limit': -1}}", NULL },
	{ false, { { "memory.limit_in_bytes", "104857600\n" }, { NULL, NULL } }, "{'memory': {'swap': 157286400}}",
	  "{'memory': {'swap': 157286400}}", NULL },
	{ true, { { "cpu.max", "20000 40000\n" }, { NULL, NULL } }, "{'cpu': {'quota': 30000}}",
	  "{'cpu': {'quota': 30000, 'period': 40000}}", NULL },
	{ true, { { "cpu.max", "20000 40000\n" }, { NULL, NULL } }, "{'cpu': {'period': 50000}}",
	  "{'cpu': {'quota': 20000, 'period': 50000}}", NULL },
	{ true, { { "cpu.max", "max 40000\n" }, { NULL, NULL } }, "{'cpu': {'period': 50000}}",
	  "{'cpu': {'quota': -1, 'period': 50000}}", NULL },
	{ true, { { "cpu.max", "max 40000\n" }, { NULL, NULL } }, "{'cpu': {'shares': 5}}", "{'cpu': {'shares': 5}}", NULL },
	{ false, { { "cpu.cfs_quota_us", "20000\n" }, { "cpu.cfs_period_us", "40000\n" } }, "{'cpu': {'quota': 30000}}",
	  "{'cpu': {'quota': 30000, 'period': 40000}}", NULL },
	{ false, { { "cpu.cfs_quota_us", "-1\n" }, { "cpu.cfs_period_us", "40000\n" } }, "{'cpu': {'period': 50000}}",
	  "{'cpu': {'quota': -1, 'period': 50000}}", NULL },
	{ true, { { NULL, NULL }, { NULL, NULL } }, "{'pids': {'limit': 3}}", "{'pids': {'limit': 3}}", NULL },
};

static void test_updates(void)
{
	char folder[] = "/tmp/kobako-limits-test-XXXXXX";
	int top;

	if (!mkdtemp(folder))
		abort();
	top = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (mkdirat(top, "c", 0700) < 0 || mknodat(top, "cgroup.subtree_control", S_IFREG | 0600, 0) < 0 ||
	    io_write_file_at(top, "cgroup.subtree_control", "cpu memory") < 0)
		abort();
	for (size_t i = 0; i < sizeof(updates) / sizeof(updates[0]); i++) {
		struct cgroup_host host = { .count = 1 };
		struct err e = { 0 };
		json_t *doc = parse(updates[i].resources), *want = parse(updates[i].whole ? updates[i].whole : "{}");
		json_t *whole = json_deep_copy(doc);
		struct jnode resources = json_top(doc, "linux.resources");
		struct limits l = { .host = &host, .path = "/c", .e = &e };
		int dir = openat(top, "c", O_PATH | O_DIRECTORY | O_CLOEXEC), r;

		snprintf(host.list[0].mount, sizeof(host.list[0].mount), "%s", folder);
		host.list[0].v2 = updates[i].v2;
		host.list[0].controllers = UINT32_MAX;
		memset(l.dirs, 0xff, sizeof(l.dirs));
		l.dirs[0] = dir;
		for (int f = 0; f < 2 && updates[i].files[f][0]; f++)
			if (mknodat(dir, updates[i].files[f][0], S_IFREG | 0600, 0) < 0 ||
			    io_write_file_at(dir, updates[i].files[f][0], updates[i].files[f][1]) < 0)
				abort();
		r = limits_complete(&l, &resources, whole);
		CHECK((r == 0) == !updates[i].error, "%s: %s", updates[i].resources, e.step);
		if (updates[i].error) {
			CHECK(strstr(e.step, updates[i].error), "%s: %s", updates[i].resources, e.step);
		} else {
			char *text = json_text(whole, 0);

			CHECK(json_equal(whole, want), "%s becomes %s", updates[i].resources, text);
			free(text);
		}
		tried++;
		for (int f = 0; f < 2 && updates[i].files[f][0]; f++)
			unlinkat(dir, updates[i].files[f][0], 0);
		close(dir);
		json_decref(doc);
		json_decref(want);
		json_decref(whole);
	}
	unlinkat(top, "cgroup.subtree_control", 0);
	unlinkat(top, "c", AT_REMOVEDIR);
	close(top);
	rmdir(folder);
}

/* What v1 reads of a rule "a": all devices, whatever stands beside it. Written so that it means what it says. */
static void test_device_list(const struct cgroup_host *host)
{
	struct cgroup_made made;
	struct err e = { 0 };
	json_t *doc = parse("{'devices': [{'allow': false, 'access': 'rwm'}, {'allow': true, 'access': 'r', 'major': 7, 'minor': 1},"
			    " {'allow': true, 'type': 'b', 'major': 8, 'access': 'rw'}]}");
	struct jnode top = json_top(doc, "linux.resources");
	int h = cgroup_find(host, CG_DEVICES), dir;
	char text[4096];

	CHECK(cgroup_create(path, &made, &e) == 0, "%s", e.step);
	CHECK(cgroup_apply(path, &top, &e) == 0, "%s", e.step);
	json_decref(doc);
	if (h >= 0) {
		dir = cgroup_open(host, h, path);
		CHECK(io_read_small_at(dir, "devices.list", text, sizeof(text)) > 0, "devices.list");
		CHECK(!strstr(text, "a *:*"), "everything is allowed: %s", text);
		CHECK(strstr(text, "b 7:1 r\n") && strstr(text, "c 7:1 r\n") && strstr(text, "b 8:* rw\n"), "%s", text);
		CHECK(strstr(text, "c 1:3 rwm") && strstr(text, "c 5:2 rwm"), "the default devices: %s", text);
		close(dir);
	}
	CHECK(cgroup_remove(path, 1000, &e) == 0, "%s", e.step);
}

/* v2: all controllers reach a container, limits or not: its usage is asked for. */
static void test_delegation(const struct cgroup_host *host, int version)
{
	static const char deep[] = "/kobako-limits-test/a/b/c";
	struct cgroup_made made;
	struct err e = { 0 };
	char have[512] = "", text[512] = "";
	int dir, top;

	if (version != V2)
		return;
	CHECK(cgroup_create(deep, &made, &e) == 0, "%s", e.step);
	dir = cgroup_open(host, cgroup_find_v2(host), deep);
	top = cgroup_open(host, cgroup_find_v2(host), "/kobako-limits-test");
	CHECK(io_read_small_at(top, "cgroup.controllers", have, sizeof(have)) >= 0, "controllers");
	CHECK(io_read_small_at(dir, "cgroup.controllers", text, sizeof(text)) >= 0, "controllers");
	CHECK(!strcmp(have, text) && strstr(text, "memory") && strstr(text, "pids"), "\"%s\" of \"%s\"", text, have);
	CHECK(io_read_small_at(dir, "cgroup.subtree_control", text, sizeof(text)) == 0, "its own children: \"%s\"", text);
	close(dir);
	close(top);
	CHECK(cgroup_remove(path, 1000, &e) == 0, "%s", e.step);
}

int main(void)
{
	struct err e = { 0 };
	const struct cgroup_host *host = geteuid() == 0 ? cgroup_host(&e) : NULL;
	int version;

	if (!host) {
		printf("limits_test: not tried: needs root and a cgroup filesystem\n");
		return 0;
	}
	find_disk();
	version = host->list[cgroup_find(host, CG_MEMORY)].v2 ? V2 : V1;
	test_limits(host, version);
	test_refused(version);
	test_ignored(host);
	test_rare();
	test_updates();
	test_device_list(host);
	test_delegation(host, version);
	CHECK(tried > 40, "%d rows only", tried);
	return failed;
}
