/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources.blockIO, rdma, network and unified. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cgroup/internal.h"

static int throttle(struct limits *l, const struct jnode *blkio, const char *key, const char *v1_file,
		    const char *v2_key)
{
	struct jnode list = json_get(blkio, key);
	bool v2;
	int r, dir;

	if ((r = json_want_array(&list, l->e)) < 0 || !json_count(&list))
		return r;
	dir = limits_dir(l, CG_BLKIO, &list, &v2);
	if (dir < 0)
		return dir;
	for (size_t i = 0; i < json_count(&list); i++) {
		struct jnode item = json_item(&list, i);
		int64_t major, minor;
		uint64_t rate = 0;

		if ((r = json_need_i64(&item, "major", &major, l->e)) < 0 ||
		    (r = json_need_i64(&item, "minor", &minor, l->e)) < 0 ||
		    (r = json_u64(&item, "rate", &rate, l->e)) < 0)
			return r;
		if (!v2)
			r = limits_write(l, dir, v1_file, &item, "rate", "%" PRId64 ":%" PRId64 " %" PRIu64, major, minor, rate);
		else if (rate)
			r = limits_write(l, dir, "io.max", &item, "rate", "%" PRId64 ":%" PRId64 " %s=%" PRIu64, major, minor,
					 v2_key, rate);
		else
			r = limits_write(l, dir, "io.max", &item, "rate", "%" PRId64 ":%" PRId64 " %s=max", major, minor, v2_key);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * The file of a scheduler that has weights: BFQ's has the scale of v1 in both versions, v1's own was CFQ's (gone since
 * 5.0), v2's own is that of the io.cost model. device: "8:0 ", or "" for all.
 */
static int write_weight(struct limits *l, int dir, bool v2, const struct jnode *of, const char *device, uint64_t value)
{
	bool one = *device;
	int r = limits_write(l, dir, v2 ? "io.bfq.weight" : one ? "blkio.bfq.weight_device" : "blkio.bfq.weight", of,
			     "weight", "%s%" PRIu64, device, value);

	if (r != -ENOENT && !(v2 && one && r == -EOPNOTSUPP))
		return r;
	if (v2)
		return limits_write(l, dir, "io.weight", of, "weight", "%s%" PRIu64, device, 1 + (value - 10) * 9999 / 990);
	return limits_write(l, dir, one ? "blkio.weight_device" : "blkio.weight", of, "weight", "%s%" PRIu64, device, value);
}

static int check_weight(const struct jnode *n, const char *key, uint64_t *ret, struct err *e)
{
	struct jnode member = json_get(n, key);
	int r = json_u64(n, key, ret, e);

	if (r < 0)
		return r;
	return !*ret || (*ret >= 10 && *ret <= 1000) ? 0 : json_refuse(&member, e, "%" PRIu64 " is not 10 to 1000", *ret);
}

/* Leaves had a weight of their own only with CFQ. */
static int write_leaf(struct limits *l, int dir, bool v2, const struct jnode *of, const char *device, uint64_t value)
{
	struct jnode member = json_get(of, "leafWeight");

	if (v2)
		return json_refuse(&member, l->e, "cgroup v2 has no leaf weights");
	return limits_write(l, dir, *device ? "blkio.leaf_weight_device" : "blkio.leaf_weight", of, "leafWeight",
			    "%s%" PRIu64, device, value);
}

/* weight and leafWeight of an object; with has_device for the device that it names. */
static int weights_of(struct limits *l, const struct jnode *n, bool has_device)
{
	uint64_t weight = 0, leaf = 0;
	int64_t major = 0, minor = 0;
	char device[48] = "";
	bool v2;
	int r, dir;

	if ((r = check_weight(n, "weight", &weight, l->e)) < 0 || (r = check_weight(n, "leafWeight", &leaf, l->e)) < 0)
		return r;
	if (has_device) {
		if ((r = json_need_i64(n, "major", &major, l->e)) < 0 || (r = json_need_i64(n, "minor", &minor, l->e)) < 0)
			return r;
		snprintf(device, sizeof(device), "%" PRId64 ":%" PRId64 " ", major, minor);
	}
	if (!weight && !leaf)
		return 0;
	dir = limits_dir(l, CG_BLKIO, n, &v2);
	if (dir < 0)
		return dir;
	r = weight ? write_weight(l, dir, v2, n, device, weight) : 0;
	return r == 0 && leaf ? write_leaf(l, dir, v2, n, device, leaf) : r;
}

static int weight(struct limits *l, const struct jnode *blkio)
{
	struct jnode devices = json_get(blkio, "weightDevice");
	int r;

	if ((r = json_want_array(&devices, l->e)) < 0 || (r = weights_of(l, blkio, false)) < 0)
		return r;
	for (size_t i = 0; i < json_count(&devices); i++) {
		struct jnode item = json_item(&devices, i);

		if ((r = json_want_object(&item, l->e)) < 0 || (r = weights_of(l, &item, true)) < 0)
			return r;
	}
	return 0;
}

int limits_blkio(struct limits *l, const struct jnode *resources)
{
	static const char *const rates[][3] = {
		{ "throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps" },
		{ "throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps" },
		{ "throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops" },
		{ "throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops" },
	};
	struct jnode n = json_get(resources, "blockIO");
	int r;

	if ((r = json_want_object(&n, l->e)) < 0 || (r = weight(l, &n)) < 0)
		return r;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		if ((r = throttle(l, &n, rates[i][0], rates[i][1], rates[i][2])) < 0)
			return r;
	return 0;
}

int limits_rdma(struct limits *l, const struct jnode *resources)
{
	struct jnode n = json_get(resources, "rdma");
	const char *device;
	json_t *ignored;
	bool v2;
	int r, dir;

	if ((r = json_want_object(&n, l->e)) < 0 || !n.value || !json_object_size(n.value))
		return r;
	dir = limits_dir(l, CG_RDMA, &n, &v2);
	if (dir < 0)
		return dir;
	json_object_foreach ((json_t *)n.value, device, ignored) {
		struct jnode item = json_get(&n, device);
		uint32_t handles = UINT32_MAX, objects = UINT32_MAX;
		char h[16] = "max", o[16] = "max";

		if ((r = json_u32(&item, "hcaHandles", &handles, l->e)) < 0 ||
		    (r = json_u32(&item, "hcaObjects", &objects, l->e)) < 0)
			return r;
		if (strpbrk(device, " \n\t"))
			return json_refuse(&item, l->e, "is no device name");
		if (handles != UINT32_MAX)
			snprintf(h, sizeof(h), "%" PRIu32, handles);
		if (objects != UINT32_MAX)
			snprintf(o, sizeof(o), "%" PRIu32, objects);
		if ((r = limits_write(l, dir, "rdma.max", &item, NULL, "%s hca_handle=%s hca_object=%s", device, h, o)) < 0)
			return r;
	}
	return 0;
}

int limits_network(struct limits *l, const struct jnode *resources)
{
	struct jnode n = json_get(resources, "network"), list = json_get(&n, "priorities");
	uint32_t class_id = 0;
	bool v2;
	int r, dir;

	if ((r = json_want_object(&n, l->e)) < 0 || (r = json_u32(&n, "classID", &class_id, l->e)) < 0 ||
	    (r = json_want_array(&list, l->e)) < 0)
		return r;
	if (class_id) {
		dir = limits_dir(l, CG_NET_CLS, &n, &v2);
		if (dir < 0)
			return dir;
		if ((r = limits_write(l, dir, "net_cls.classid", &n, "classID", "%" PRIu32, class_id)) < 0)
			return r;
	}
	for (size_t i = 0; i < json_count(&list); i++) {
		struct jnode item = json_item(&list, i);
		uint32_t priority = 0;
		const char *name;

		if ((r = json_need_str(&item, "name", &name, l->e)) < 0 ||
		    (r = json_u32(&item, "priority", &priority, l->e)) < 0)
			return r;
		if (strpbrk(name, " \n\t"))
			return json_refuse(&item, l->e, "is no interface name");
		dir = limits_dir(l, CG_NET_PRIO, &item, &v2);
		if (dir < 0)
			return dir;
		if ((r = limits_write(l, dir, "net_prio.ifpriomap", &item, NULL, "%s %" PRIu32, name, priority)) < 0)
			return r;
	}
	return 0;
}

/* "memory.high": "1000000". The part before the first dot is the controller that must be there. */
int limits_unified(struct limits *l, const struct jnode *resources)
{
	struct jnode n = json_get(resources, "unified");
	int i = cgroup_find_v2(l->host), r;
	const char *file;
	json_t *ignored;

	if ((r = json_want_object(&n, l->e)) < 0 || !n.value || !json_object_size(n.value))
		return r;
	if (i < 0)
		return err_set(l->e, ENOTSUP, "linux.resources.unified: this machine has no cgroup v2");
	if (l->dirs[i] < 0)
		l->dirs[i] = cgroup_open(l->host, i, l->path);
	if (l->dirs[i] < 0)
		return err_set(l->e, -l->dirs[i], "open cgroup %s%s", l->host->list[i].mount, l->path);
	json_object_foreach ((json_t *)n.value, file, ignored) {
		struct jnode item = json_get(&n, file);
		size_t len = strcspn(file, ".");
		const char *value;
		bool found = false;

		if ((r = json_as_str(&item, &value, l->e)) < 0)
			return r;
		/* No path, and none of the cgroup.* files: those are the runtime's own. */
		if (!file[len] || strchr(file, '/') || (len == 6 && !strncmp(file, "cgroup", 6)))
			return json_refuse(&item, l->e, "is no controller's file");
		/* The kernel reads one line and forgets the rest. */
		if (strcspn(value, "\n") + 1 < strlen(value))
			return json_refuse(&item, l->e, "is more than one line");
		for (int c = 0; c < CG_CONTROLLERS; c++) {
			const char *name = c == CG_BLKIO ? "io" : cgroup_controller_names[c];

			if (strlen(name) != len || strncmp(name, file, len))
				continue;
			found = l->host->list[i].controllers & (UINT32_C(1) << c);
			if (found && (r = cgroup_enable(l->host, i, l->path, c)) < 0)
				return err_set(l->e, -r, "let the %s controller reach cgroup %s", name, l->path);
		}
		if (!found)
			return err_set(l->e, ENOTSUP, "linux.resources.unified: cgroup v2 has no %.*s controller here",
				       (int)len, file);
		if ((r = limits_write(l, l->dirs[i], file, &item, NULL, "%s", value)) < 0)
			return r;
	}
	return 0;
}
