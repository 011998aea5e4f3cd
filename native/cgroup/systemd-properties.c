/* SPDX-License-Identifier: Apache-2.0 */
#include "systemd-properties.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cgroup/internal.h"

void property(struct dbus_out *o, const char *name, const char *signature)
{
	dbus_put_struct(o);
	dbus_put_string(o, name);
	dbus_put_signature(o, signature);
}

void property_string(struct dbus_out *o, const char *name, const char *value)
{
	property(o, name, "s");
	dbus_put_string(o, value);
}

void property_bool(struct dbus_out *o, const char *name, bool value)
{
	property(o, name, "b");
	dbus_put_bool(o, value);
}

void property_u64(struct dbus_out *o, const char *name, uint64_t value)
{
	property(o, name, "t");
	dbus_put_u64(o, value);
}

/* systemd's "infinity". */
static uint64_t limit_value(int64_t value)
{
	return value < 0 ? UINT64_MAX : (uint64_t)value;
}

static int memory(struct dbus_out *o, const struct jnode *resources, bool v2, struct err *e)
{
	struct jnode n = json_get(resources, "memory");
	int64_t limit = 0, swap = 0, reservation = 0;
	int r;

	if ((r = json_i64(&n, "limit", &limit, e)) < 0 || (r = json_i64(&n, "swap", &swap, e)) < 0 ||
	    (r = json_i64(&n, "reservation", &reservation, e)) < 0)
		return r;
	if (limit)
		property_u64(o, v2 ? "MemoryMax" : "MemoryLimit", limit_value(limit));
	if (reservation && v2)
		property_u64(o, "MemoryLow", limit_value(reservation));
	if (swap < 0 && v2)
		property_u64(o, "MemorySwapMax", UINT64_MAX);
	else if (swap && v2 && limit > 0 && swap >= limit)
		property_u64(o, "MemorySwapMax", (uint64_t)(swap - limit));
	return 0;
}

/* "0-2,5" as bytes of bits, bit 0 of byte 0 first. What the kernel would not take either is EINVAL. */
static int cpu_list(struct dbus_out *o, const char *name, const struct jnode *n, const char *key, struct err *e)
{
	enum { BITS = 8192 };
	struct jnode member = json_get(n, key);
	uint8_t bits[BITS / 8] = { 0 };
	const char *text = NULL;
	size_t bytes = 0, begun;
	int r = json_str(n, key, &text, e);

	if (r < 0 || !text || !*text)
		return r;
	for (const char *p = text; *p; p += *p == ',') {
		char *end;
		unsigned long from, to;

		from = to = isdigit((unsigned char)*p) ? strtoul(p, &end, 10) : BITS;
		if (from < BITS && *end == '-')
			to = isdigit((unsigned char)end[1]) ? strtoul(end + 1, &end, 10) : BITS;
		if (from >= BITS || to >= BITS || from > to || (*end && *end != ','))
			return json_refuse(&member, e, "\"%.40s\" is no list of numbers below %d", text, BITS);
		for (; from <= to; from++)
			bits[from / 8] |= (uint8_t)(1 << from % 8);
		if (to / 8 + 1 > bytes)
			bytes = to / 8 + 1;
		p = end;
	}
	property(o, name, "ay");
	begun = dbus_array_begin(o, 1);
	for (size_t i = 0; i < bytes; i++)
		dbus_put_u8(o, bits[i]);
	dbus_array_end(o, begun, 1);
	return 0;
}

static void cpu_quota(struct dbus_out *o, int64_t quota, uint64_t period)
{
	uint64_t usec = UINT64_MAX;

	if (!quota && !period)
		return;
	if (period)
		property_u64(o, "CPUQuotaPeriodUSec", period);
	if (!quota)
		return;
	if (quota > 0)
		usec = (uint64_t)((unsigned __int128)quota * 1000000 / (period ? period : 100000));
	property_u64(o, "CPUQuotaPerSecUSec", usec ? usec : 1);
}

static int cpu(struct dbus_out *o, const struct jnode *resources, bool v2, struct err *e)
{
	struct jnode n = json_get(resources, "cpu");
	uint64_t shares = 0, period = 0;
	int64_t quota = 0, idle = 0;
	int r;

	if ((r = json_u64(&n, "shares", &shares, e)) < 0 || (r = json_u64(&n, "period", &period, e)) < 0 ||
	    (r = json_i64(&n, "quota", &quota, e)) < 0 || (r = json_i64(&n, "idle", &idle, e)) < 0 ||
	    (r = cpu_list(o, "AllowedCPUs", &n, "cpus", e)) < 0 ||
	    (r = cpu_list(o, "AllowedMemoryNodes", &n, "mems", e)) < 0)
		return r;
	if (shares && idle != 1)
		property_u64(o, v2 ? "CPUWeight" : "CPUShares", v2 ? cgroup_weight(shares) : shares);
	cpu_quota(o, quota, period);
	return 0;
}

static int pids_and_io(struct dbus_out *o, const struct jnode *resources, bool v2, struct err *e)
{
	struct jnode pids = json_get(resources, "pids"), io = json_get(resources, "blockIO");
	bool has_limit = json_get(&pids, "limit").value;
	uint64_t weight = 0;
	int64_t limit = 0;
	int r;

	if ((r = json_i64(&pids, "limit", &limit, e)) < 0 || (r = json_u64(&io, "weight", &weight, e)) < 0)
		return r;
	if (has_limit)
		property_u64(o, "TasksMax", limit ? limit_value(limit) : 1);
	if (weight >= 10 && weight <= 1000)
		property_u64(o, v2 ? "IOWeight" : "BlockIOWeight", v2 ? 1 + (weight - 10) * 9999 / 990 : weight);
	return 0;
}

/* Keys of `unified` that are properties; all are written as files as well. */
static int unified(struct dbus_out *o, const struct jnode *resources, struct err *e)
{
	static const char *const names[][2] = {
		{ "cpu.weight", "CPUWeight" },      { "memory.high", "MemoryHigh" }, { "memory.low", "MemoryLow" },
		{ "memory.min", "MemoryMin" },      { "memory.max", "MemoryMax" },   { "memory.swap.max", "MemorySwapMax" },
		{ "pids.max", "TasksMax" },
	};
	struct jnode n = json_get(resources, "unified");
	const char *text = NULL;
	int r;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct jnode member = json_get(&n, names[i][0]);
		char *end = "";
		uint64_t value = UINT64_MAX;

		if (!member.value)
			continue;
		if ((r = json_as_str(&member, &text, e)) < 0)
			return r;
		if (strcmp(text, "max"))
			value = strtoull(text, &end, 10);
		if (!isdigit((unsigned char)*text) && strcmp(text, "max"))
			return json_refuse(&member, e, "\"%.40s\" is no number", text);
		/* "8M": the kernel reads it, systemd is not told. */
		if (*end && *end != '\n')
			continue;
		property_u64(o, names[i][1], value);
	}
	if ((r = cpu_list(o, "AllowedCPUs", &n, "cpuset.cpus", e)) < 0)
		return r;
	return cpu_list(o, "AllowedMemoryNodes", &n, "cpuset.mems", e);
}

/* The name of a driver's devices in /proc/devices ("pts" for c 136), which is how systemd calls a whole major. */
static bool driver_name(char type, int64_t major, char *buf, size_t size)
{
	cleanup_free char *text = NULL;
	bool here = false, found = false;
	char *save = NULL;
	struct err ignored;
	size_t len;

	if (io_read_file_at(AT_FDCWD, "/proc/devices", 1 << 20, &text, &len, &ignored) < 0)
		return false;
	for (char *line = strtok_r(text, "\n", &save); line && !found; line = strtok_r(NULL, "\n", &save)) {
		long long number;
		char name[64];

		if (!strncmp(line, "Character", 9) || !strncmp(line, "Block", 5))
			here = *line == (type == 'c' ? 'C' : 'B');
		else if (here && sscanf(line, "%lld %63s", &number, name) == 2 && number == major)
			found = (size_t)snprintf(buf, size, "%s-%s", type == 'c' ? "char" : "block", name) < size;
	}
	return found;
}

static bool rule_name(const struct device_rule *rule, char *buf, size_t size)
{
	if (rule->major >= 0 && rule->minor >= 0)
		snprintf(buf, size, "/dev/%s/%" PRId64 ":%" PRId64, rule->type == 'c' ? "char" : "block", rule->major,
			 rule->minor);
	else if (rule->major < 0 && rule->minor < 0)
		snprintf(buf, size, "%s-*", rule->type == 'c' ? "char" : "block");
	else
		return rule->minor < 0 && driver_name(rule->type, rule->major, buf, size);
	return true;
}

/*
 * systemd's list is a second one beside ours: it may allow more, never less. So: everything denied and then a few
 * allowed becomes a strict policy with those few; whatever can't be said in its words leaves the policy open.
 */
static int device_list(struct dbus_out *o, const struct jnode *resources, struct err *e)
{
	cleanup_free struct device_rule *rules = NULL;
	size_t count, begun;
	bool strict;
	char name[128];
	int r = device_rules_parse(resources, &rules, &count, e);

	if (r < 0)
		return r;
	strict = count > 0 && !rules[0].allow && rules[0].type == 'a';
	for (size_t i = 1; i < count && strict; i++)
		strict = rules[i].allow && rules[i].type != 'a' && rule_name(&rules[i], name, sizeof(name));
	property_string(o, "DevicePolicy", strict ? "strict" : "auto");
	property(o, "DeviceAllow", "a(ss)"); /* an empty one takes back what was allowed before */
	begun = dbus_array_begin(o, 8);
	dbus_array_end(o, begun, 8);
	if (!strict)
		return 0;
	property(o, "DeviceAllow", "a(ss)");
	begun = dbus_array_begin(o, 8);
	for (size_t i = 1; i < count; i++) {
		char access[4] = "";

		rule_name(&rules[i], name, sizeof(name));
		snprintf(access, sizeof(access), "%s%s%s", rules[i].access & 2 ? "r" : "", rules[i].access & 4 ? "w" : "",
			 rules[i].access & 1 ? "m" : "");
		dbus_put_struct(o);
		dbus_put_string(o, name);
		dbus_put_string(o, access);
	}
	dbus_array_end(o, begun, 8);
	return 0;
}

int properties_of_resources(struct dbus_out *o, const struct jnode *resources, bool v2, bool devices, struct err *e)
{
	int r = devices ? device_list(o, resources, e) : 0;

	if (r < 0 || (r = memory(o, resources, v2, e)) < 0 || (r = cpu(o, resources, v2, e)) < 0 ||
	    (r = pids_and_io(o, resources, v2, e)) < 0)
		return r;
	return v2 ? unified(o, resources, e) : 0;
}

/* The text between quotes at *p, which moves behind it. Without escapes: no property needs them. */
static bool quoted(const char **p, char *buf, size_t size)
{
	char quote = **p;
	const char *end = quote == '\'' || quote == '"' ? strchr(*p + 1, quote) : NULL;

	if (!end || (size_t)(end - *p) > size || memchr(*p, '\\', (size_t)(end - *p)))
		return false;
	snprintf(buf, size, "%.*s", (int)(end - *p - 1), *p + 1);
	*p = end + 1;
	return true;
}

static bool put_strings(struct dbus_out *o, const char *name, const char *text)
{
	char item[512];
	const char *p = text + 1;
	size_t begun;

	property(o, name, "as");
	begun = dbus_array_begin(o, 4);
	for (;;) {
		p += strspn(p, " ");
		if (!quoted(&p, item, sizeof(item)))
			return false;
		dbus_put_string(o, item);
		p += strspn(p, " ");
		if (*p == ']')
			break;
		if (*p++ != ',')
			return false;
	}
	dbus_array_end(o, begun, 4);
	return !p[1];
}

/* "TimeoutStopSec" is TimeoutStopUSec on the bus, in microseconds. */
static bool put_seconds(struct dbus_out *o, const char *name, const char *text)
{
	char usec[80], *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0) || seconds > 1e12)
		return false;
	snprintf(usec, sizeof(usec), "%.*sUSec", (int)strlen(name) - 3, name);
	property_u64(o, usec, (uint64_t)(seconds * 1e6));
	return true;
}

static bool put_number(struct dbus_out *o, const char *name, const char *text)
{
	static const char *const types[][2] = { { "uint64 ", "t" }, { "int64 ", "x" }, { "uint32 ", "u" }, { "int32 ", "i" } };
	const char *signature = "i";
	char *end;
	long long value;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strncmp(text, types[i][0], strlen(types[i][0]))) {
			signature = types[i][1];
			text += strlen(types[i][0]);
		}
	errno = 0;
	value = *signature == 't' ? (long long)strtoull(text, &end, 10) : strtoll(text, &end, 10);
	if (end == text || *end || errno || (*text == '-' && (*signature == 't' || *signature == 'u')))
		return false;
	property(o, name, signature);
	if (*signature == 't' || *signature == 'x') {
		dbus_put_u64(o, (uint64_t)value);
		return true;
	}
	dbus_put_u32(o, (uint32_t)value);
	return *signature == 'u' ? value <= UINT32_MAX : value >= INT32_MIN && value <= INT32_MAX;
}

static bool put_value(struct dbus_out *o, const char *name, const char *text)
{
	char string[512], *end;
	const char *p = text;
	size_t len = strlen(name);

	if (len > 4 && !strcmp(name + len - 3, "Sec") && islower((unsigned char)name[len - 4]))
		return put_seconds(o, name, text);
	if (!strcmp(text, "true") || !strcmp(text, "false")) {
		property_bool(o, name, *text == 't');
		return true;
	}
	if (*text == '[')
		return put_strings(o, name, text);
	if (*text == '\'' || *text == '"') {
		if (!quoted(&p, string, sizeof(string)) || *p)
			return false;
		property_string(o, name, string);
		return true;
	}
	if (strchr(text, '.')) {
		double value = strtod(text, &end);

		property(o, name, "d");
		dbus_put_double(o, value);
		return end != text && !*end;
	}
	return put_number(o, name, text);
}

int properties_of_annotations(struct dbus_out *o, const struct jnode *annotations, struct err *e)
{
	static const char prefix[] = "org.systemd.property.";
	const char *key, *text;
	json_t *ignored;

	if (!annotations->value)
		return 0;
	json_object_foreach ((json_t *)annotations->value, key, ignored) {
		struct jnode item = json_get(annotations, key);
		const char *name = key + sizeof(prefix) - 1;
		int r;

		if (strncmp(key, prefix, sizeof(prefix) - 1))
			continue;
		if ((r = json_as_str(&item, &text, e)) < 0)
			return r;
		if (strlen(name) < 3 || strlen(name) > 64 || name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")])
			return json_refuse(&item, e, "\"%.80s\" is no name of a property", name);
		if (!put_value(o, name, text))
			return json_refuse(&item, e, "\"%.80s\" is no value in GVariant's text form", text);
	}
	return 0;
}
