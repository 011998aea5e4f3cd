/* SPDX-License-Identifier: Apache-2.0 */
/* update: new limits, from options or from a file, as one linux.resources object for the cgroup room. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/json.h"
#include "container/container.h"
#include "runtime/commands.h"
#include "runtime/log.h"

/* "512m", "1.5GiB", "100" -> bytes; units are powers of 1024. -1 is no limit. */
static int parse_bytes(const char *name, const char *text, json_int_t *ret, struct err *e)
{
	static const char units[] = "kmgtp";
	char *end;
	double n, factor = 1;
	const char *unit;

	if (!strcmp(text, "-1")) {
		*ret = -1;
		return 0;
	}
	n = strtod(text, &end);
	if (end == text || (*text != '.' && (*text < '0' || *text > '9')))
		return err_set(e, EINVAL, "option --%s: \"%.40s\" is no size", name, text);
	end += strspn(end, " ");
	unit = *end ? strchr(units, *end | 0x20) : NULL;
	if (unit) {
		for (const char *u = units; u <= unit; u++)
			factor *= 1024;
		end++;
		if (!strncasecmp(end, "ib", 2))
			end += 2;
	}
	if (*end == 'b' || *end == 'B')
		end++;
	if (*end || n * factor >= 9.2e18)
		return err_set(e, EINVAL, "option --%s: \"%.40s\" is no size", name, text);
	*ret = (json_int_t)(n * factor);
	return 0;
}

enum value_kind { NUMBER, BYTES, WORD };

/* The object at key, made when missing. */
static json_t *group_of(json_t *resources, const char *key)
{
	json_t *group = json_object_get(resources, key);

	if (!group) {
		group = json_object();
		json_object_set_new(resources, key, group);
	}
	return group;
}

static int from_options(const struct options *o, json_t *resources, struct err *e)
{
	const struct {
		const char *option, *text, *group, *member;
		enum value_kind kind;
		int64_t min, max;
	} fields[] = {
		{ "blkio-weight", o->blkio_weight, "blockIO", "weight", NUMBER, 0, 1000 },
		{ "cpu-period", o->cpu_period, "cpu", "period", NUMBER, 0, INT64_MAX },
		{ "cpu-quota", o->cpu_quota, "cpu", "quota", NUMBER, INT64_MIN, INT64_MAX },
		{ "cpu-burst", o->cpu_burst, "cpu", "burst", NUMBER, 0, INT64_MAX },
		{ "cpu-share", o->cpu_share, "cpu", "shares", NUMBER, 0, INT64_MAX },
		{ "cpu-rt-period", o->cpu_rt_period, "cpu", "realtimePeriod", NUMBER, 0, INT64_MAX },
		{ "cpu-rt-runtime", o->cpu_rt_runtime, "cpu", "realtimeRuntime", NUMBER, INT64_MIN, INT64_MAX },
		{ "cpu-idle", o->cpu_idle, "cpu", "idle", NUMBER, INT64_MIN, INT64_MAX },
		{ "cpuset-cpus", o->cpuset_cpus, "cpu", "cpus", WORD, 0, 0 },
		{ "cpuset-mems", o->cpuset_mems, "cpu", "mems", WORD, 0, 0 },
		{ "memory", o->memory, "memory", "limit", BYTES, 0, 0 },
		{ "memory-reservation", o->memory_reservation, "memory", "reservation", BYTES, 0, 0 },
		{ "memory-swap", o->memory_swap, "memory", "swap", BYTES, 0, 0 },
		{ "pids-limit", o->pids_limit, "pids", "limit", NUMBER, INT64_MIN, INT64_MAX },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		json_int_t n = 0;
		json_t *value;

		/* An empty value is one that was not given, as in runc. */
		if (!fields[i].text || !*fields[i].text)
			continue;
		if (fields[i].kind == NUMBER) {
			int64_t number = 0;

			if (option_number(fields[i].option, fields[i].text, fields[i].min, fields[i].max, &number, e) < 0)
				return -e->code;
			n = number;
		} else if (fields[i].kind == BYTES && parse_bytes(fields[i].option, fields[i].text, &n, e) < 0) {
			return -e->code;
		}
		if (n == 0 && !strcmp(fields[i].option, "blkio-weight"))
			continue;
		value = fields[i].kind == WORD ? json_string(fields[i].text) : json_integer(n);
		json_object_set_new(group_of(resources, fields[i].group), fields[i].member, value);
	}
	if (o->kernel_memory || o->kernel_memory_tcp)
		log_warning("update: kernel memory limits are no longer there, the option is ignored");
	return 0;
}

static int from_file(const char *path, json_t **ret, struct err *e)
{
	bool in = !strcmp(path, "-");
	cleanup_free char *text = NULL;
	size_t len;

	if ((in ? io_read_all(0, SPEC_MAX_BYTES, &text, &len, e) : io_read_file_at(AT_FDCWD, path, SPEC_MAX_BYTES, &text, &len, e)) < 0 ||
	    json_parse(text, len, ret, e) < 0)
		return err_wrap(e, "resources \"%s\"", in ? "stdin" : path);
	return 0;
}

/* Without a memory limit there can be none on memory and swap together. */
static void settle_swap(json_t *resources)
{
	json_t *memory = json_object_get(resources, "memory");

	if (memory && json_integer_value(json_object_get(memory, "limit")) == -1 && !json_object_get(memory, "swap"))
		json_object_set_new(memory, "swap", json_integer(-1));
}

/* "": not given, as above. */
static int update_rdt(const struct state *s, const char *l3, const char *bandwidth, struct err *e)
{
	if (l3 && !*l3)
		l3 = NULL;
	if (bandwidth && !*bandwidth)
		bandwidth = NULL;
	if (!l3 && !bandwidth)
		return 0;
	if (bandwidth && (strncmp(bandwidth, "MB:", 3) || strchr(bandwidth, '\n')))
		return err_set(e, EINVAL, "option --mem-bw-schema: \"%.80s\" is no line that starts with MB:", bandwidth);
	return container_rdt_update(s->config, s->id, l3, bandwidth, e) < 0 ?
		       err_wrap(e, "option --%s", l3 ? "l3-cache-schema" : "mem-bw-schema") : 0;
}

int command_update(const struct options *o, struct err *e)
{
	cleanup_state struct state s = { .lock = -1 };
	json_t *resources = NULL;
	struct jnode top;
	int r;

	if (state_load_locked(o->root, o->id, &s, e) < 0)
		return -1;
	if (state_status(&s) == STATUS_STOPPED) {
		err_set(e, ESRCH, "container \"%s\" is stopped, update needs running", s.id);
		return -1;
	}
	if (o->resources && *o->resources) {
		r = from_file(o->resources, &resources, e);
	} else {
		resources = json_object();
		r = from_options(o, resources, e);
	}
	if (r == 0) {
		settle_swap(resources);
		top = json_top(resources, "resources");
		r = container_update(s.cgroup, s.systemd, &top, log_warning, e);
	}
	json_decref(resources);
	if (r == 0)
		r = update_rdt(&s, o->l3_cache_schema, o->mem_bw_schema, e);
	return r < 0 ? -1 : 0;
}
