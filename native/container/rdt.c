/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.intelRdt: classes of service for cache and memory bandwidth, folders of a mounted resctrl filesystem (the
 * kernel's Documentation/filesystems/resctrl.rst). A container is in the group of its closID, else in one of its own id;
 * a schema of its own is written when the group is made and only compared when somebody else has made it.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "container/internal.h"

#ifndef RDTGROUP_SUPER_MAGIC
#define RDTGROUP_SUPER_MAGIC 0x7655821
#endif

enum { SCHEMATA_MAX_BYTES = 64 << 10, LOCK_TIMEOUT_MS = 5000 };

/* "\040" of mountinfo is a blank (proc(5)). In place. */
static void unescape(char *text)
{
	char *to = text;

	for (char *from = text; *from; to++) {
		if (from[0] == '\\' && isdigit((unsigned char)from[1]) && isdigit((unsigned char)from[2]) &&
		    isdigit((unsigned char)from[3])) {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

bool rdt_mount_point(char *mountinfo, char *ret, size_t size)
{
	char *save = NULL;

	for (char *line = strtok_r(mountinfo, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *type = strstr(line, " - "), *at = line;

		if (!type || strncmp(type, " - resctrl ", 11))
			continue;
		for (int field = 0; at && field < 4; field++)
			at = (at = strchr(at, ' ')) ? at + 1 : NULL;
		if (!at)
			continue;
		at[strcspn(at, " ")] = '\0';
		unescape(at);
		if (strlen(at) < size) {
			strcpy(ret, at);
			return true;
		}
	}
	return false;
}

int rdt_open(int *ret_root, struct err *e)
{
	cleanup_free char *text = NULL;
	cleanup_fd int root = -1;
	struct statfs fs;
	char at[4096];
	size_t len;

	if (io_read_file_at(AT_FDCWD, "/proc/self/mountinfo", 64u << 20, &text, &len, e) < 0)
		return -e->code;
	if (!rdt_mount_point(text, at, sizeof(at)))
		return err_set(e, ENOTSUP, "linux.intelRdt: no resctrl filesystem is mounted");
	root = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || fstatfs(root, &fs) < 0)
		return err_set(e, errno, "linux.intelRdt: open \"%s\"", at);
	if (fs.f_type != RDTGROUP_SUPER_MAGIC)
		return err_set(e, ENOTSUP, "linux.intelRdt: something else is mounted over \"%s\"", at);
	*ret_root = take_fd(&root);
	return 0;
}

/* Who makes, fills or removes groups holds the lock of the filesystem's root (resctrl.rst, "Locking"). */
static int lock(int root, struct err *e)
{
	for (int waited = 0; flock(root, LOCK_EX | LOCK_NB) < 0; waited++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_set(e, errno, "linux.intelRdt: lock the resctrl filesystem");
		if (waited >= LOCK_TIMEOUT_MS)
			return err_set(e, ETIMEDOUT, "linux.intelRdt: somebody else has the lock of the resctrl filesystem");
		poll(NULL, 0, 1);
	}
	return 0;
}

/* What the kernel says of the last failure ("Mask f00 out of range"), else what errno does. */
static int refused(int root, int code, const char *what, struct err *e)
{
	char why[200];

	if (io_read_small_at(root, "info/last_cmd_status", why, sizeof(why)) > 0 && strcmp(why, "ok"))
		return err_set(e, code, "%s (%s)", what, why);
	return err_set(e, code, "%s", what);
}

static bool has_schema(const struct spec_rdt *r)
{
	return r->l3 || r->bandwidth || r->schemata[0];
}

static const char *name_of(const struct spec_rdt *r, const char *id)
{
	return !r->clos ? id : strcmp(r->clos, "/") ? r->clos : ".";
}

static int open_group(int root, const struct spec_rdt *r, const char *id, struct rdt *ret, struct err *e)
{
	const char *name = name_of(r, id);
	char what[300];

	snprintf(what, sizeof(what), "linux.intelRdt: make the group \"%.200s\"", name);
	/* One that has to be there already is not made (config-linux.md, "IntelRdt"). */
	if ((!r->clos || has_schema(r)) && strcmp(name, ".")) {
		if (mkdirat(root, name, 0755) == 0)
			ret->made = true;
		else if (errno != EEXIST)
			return refused(root, errno, what, e);
	}
	ret->group = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (ret->group < 0)
		return err_set(e, errno, "linux.intelRdt.closID: the group \"%.200s\", which no schema is given for", name);
	return 0;
}

/* --- schemata ------------------------------------------------------------------------------------ */

/* The value of one cache in a schema line: "MB:0=20;1=70", "1" -> "70". False: it has none. */
static bool value_in(const char *line, const char *cache, size_t cache_len, const char **ret, size_t *ret_len)
{
	for (const char *at = strchr(line, ':'); at && *at && *at != '\n';) {
		size_t len, gap;

		at++;
		at += strspn(at, " ");
		len = strcspn(at, ";\n");
		gap = strcspn(at, "=;\n");
		if (gap < len && gap == cache_len && !strncmp(at, cache, gap)) {
			*ret = at + gap + 1;
			*ret_len = len - gap - 1;
			return true;
		}
		at += len;
	}
	return false;
}

/* Bandwidth is in decimal, a cache's mask in hexadecimal; the kernel pads both. */
static bool same_value(bool decimal, const char *a, const char *b)
{
	return strtoull(a, NULL, decimal ? 10 : 16) == strtoull(b, NULL, decimal ? 10 : 16);
}

/* The line of the same resource ("L3CODE") in a schemata file, or NULL. */
static const char *line_of(const char *text, const char *resource, size_t len)
{
	while (*text) {
		text += strspn(text, " ");
		if (!strncmp(text, resource, len) && text[len] == ':')
			return text;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return NULL;
}

/* Whether all that the lines ask for is so in the group. */
static bool schemata_hold(const char *there, const char *lines)
{
	for (const char *line = lines; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t name = strcspn(line, ":\n");
		const char *has, *at = line + name;
		bool decimal = name == 2 && !strncmp(line, "MB", 2);

		if (*at != ':' || !(has = line_of(there, line, name)))
			return false;
		while (*at == ':' || *at == ';') {
			const char *value;
			size_t len, cache;

			at++;
			at += strspn(at, " ");
			len = strcspn(at, ";\n");
			cache = strcspn(at, "=;\n");
			if (len && (cache >= len || !value_in(has, at, cache, &value, &(size_t){ 0 }) ||
				    !same_value(decimal, at + cache + 1, value)))
				return false;
			at += len;
		}
	}
	return true;
}

static int write_or_compare(int root, int group, bool ours, const char *lines, const char *field, struct err *e)
{
	cleanup_free char *there = NULL;
	char what[300];
	size_t len;
	int r;

	snprintf(what, sizeof(what), "linux.intelRdt.%s \"%.*s\"", field, (int)strcspn(lines, "\n") < 200 ? (int)strcspn(lines, "\n") : 200,
		 lines);
	if (ours) {
		r = io_write_file_at(group, "schemata", lines);
		return r < 0 ? refused(root, -r, what, e) : 0;
	}
	if (io_read_file_at(group, "schemata", SCHEMATA_MAX_BYTES, &there, &len, e) < 0)
		return err_wrap(e, "%s", what);
	return schemata_hold(there, lines) ? 0 : err_set(e, EINVAL, "%s is not what the group has, which somebody else has made", what);
}

/* `to` is at the end of a zeroed buffer; returns the new end. */
static char *add_line(char *to, const char *line, size_t len)
{
	if (!len)
		return to;
	memcpy(to, line, len);
	to[len] = '\n';
	to[len + 1] = '\0';
	return to + len + 1;
}

int rdt_configure(int root, int group, bool ours, const struct spec_rdt *r, struct err *e)
{
	size_t size = (r->l3 ? strlen(r->l3) : 0) + (r->bandwidth ? strlen(r->bandwidth) : 0) + 4;
	cleanup_free char *lines = NULL;
	char *end;

	for (const char **line = r->schemata; *line; line++)
		size += strlen(*line) + 1;
	lines = calloc(1, size);
	if (!lines)
		return err_set(e, ENOMEM, "linux.intelRdt");
	end = lines;
	/* The lines of l3CacheSchema, less those of a bandwidth that is given apart. */
	for (const char *line = r->l3; line && *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (!r->bandwidth || strncmp(line, "MB:", 3))
			end = add_line(end, line, strcspn(line, "\n"));
	if (r->bandwidth)
		end = add_line(end, r->bandwidth, strlen(r->bandwidth));
	if (*lines && write_or_compare(root, group, ours, lines,
				       !r->bandwidth ? "l3CacheSchema" :
				       !r->l3	     ? "memBwSchema" :
						       "l3CacheSchema and memBwSchema:",
				       e) < 0)
		return -e->code;
	/* After those, which it replaces: in one write the kernel takes no resource twice. */
	*lines = '\0';
	end = lines;
	for (const char **line = r->schemata; *line; line++)
		end = add_line(end, *line, strlen(*line));
	return *lines ? write_or_compare(root, group, ours, lines, "schemata", e) : 0;
}

/* --- a container's ------------------------------------------------------------------------------- */

static int monitor(int root, const char *id, struct rdt *rdt, struct err *e)
{
	char path[300], what[400];

	snprintf(path, sizeof(path), "mon_groups/%s", id);
	snprintf(what, sizeof(what), "linux.intelRdt.enableMonitoring: make the group \"%s\"", path);
	if (mkdirat(rdt->group, path, 0755) == 0)
		rdt->monitor_made = true;
	else if (errno != EEXIST)
		return refused(root, errno, what, e);
	snprintf(path, sizeof(path), "mon_groups/%s/tasks", id);
	rdt->monitor_tasks = openat(rdt->group, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	return rdt->monitor_tasks < 0 ? err_set(e, errno, "linux.intelRdt.enableMonitoring: open \"%s\"", path) : 0;
}

int rdt_make(int root, const struct spec_rdt *r, const char *id, struct rdt *ret, struct err *e)
{
	int result;

	if (lock(root, e) < 0)
		return -e->code;
	result = open_group(root, r, id, ret, e);
	if (result == 0)
		result = rdt_configure(root, ret->group, ret->made || !r->clos, r, e);
	if (result == 0) {
		ret->tasks = openat(ret->group, "tasks", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
		result = ret->tasks < 0 ? err_set(e, errno, "linux.intelRdt: open \"%s/tasks\"", name_of(r, id)) : 0;
	}
	if (result == 0 && r->monitoring)
		result = monitor(root, id, ret, e);
	flock(root, LOCK_UN);
	return result;
}

int rdt_prepare(const struct spec_rdt *r, const char *id, struct rdt *ret, struct err *e)
{
	*ret = RDT_NONE;
	if (!r->present)
		return 0;
	return rdt_open(&ret->root, e) < 0 ? -e->code : rdt_make(ret->root, r, id, ret, e);
}

static int enter(int root, int tasks, pid_t pid, struct err *e)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", (int)pid);

	if (tasks >= 0 && write(tasks, text, (size_t)len) < 0)
		return refused(root, errno, "linux.intelRdt: put the process into its group", e);
	return 0;
}

int rdt_enter(const struct rdt *rdt, pid_t pid, struct err *e)
{
	/* First the class: a monitoring group takes processes of its own class only. */
	return enter(rdt->root, rdt->tasks, pid, e) < 0 || enter(rdt->root, rdt->monitor_tasks, pid, e) < 0 ? -e->code : 0;
}

void rdt_close(struct rdt *rdt)
{
	int fds[] = { rdt->root, rdt->group, rdt->tasks, rdt->monitor_tasks };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	*rdt = RDT_NONE;
}

static int remove_group(int at, const char *path, struct err *e)
{
	if (unlinkat(at, path, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_set(e, errno, "linux.intelRdt: remove the group \"%s\"", path);
	return 0;
}

void rdt_undo(const struct spec_rdt *r, const char *id, struct rdt *rdt)
{
	struct err ignored;
	char path[300];

	if ((!rdt->made && !rdt->monitor_made) || lock(rdt->root, &ignored) < 0)
		return;
	snprintf(path, sizeof(path), "mon_groups/%s", id);
	if (rdt->monitor_made)
		remove_group(rdt->group, path, &ignored);
	if (rdt->made)
		remove_group(rdt->root, name_of(r, id), &ignored);
	flock(rdt->root, LOCK_UN);
}

int rdt_remove_from(int root, const struct spec_rdt *r, const char *id, struct err *e)
{
	char path[600];
	int result = 0;

	if (lock(root, e) < 0)
		return -e->code;
	snprintf(path, sizeof(path), "%s/mon_groups/%s", name_of(r, id), id);
	if (r->monitoring)
		result = remove_group(root, path, e);
	/* Others may be in a group that has a name of its own: its removal would take their class from them. */
	if (result == 0 && !r->clos)
		result = remove_group(root, id, e);
	flock(root, LOCK_UN);
	return result;
}

int rdt_remove(const struct spec_rdt *r, const char *id, struct err *e)
{
	cleanup_fd int root = -1;
	int result;

	if (!r->present)
		return 0;
	result = rdt_open(&root, e);
	if (result == -ENOTSUP)
		return 0; /* unmounted meanwhile: its groups went with it */
	return result < 0 ? result : rdt_remove_from(root, r, id, e);
}

int container_rdt_remove(const char *spec_path, const char *id, struct err *e)
{
	struct spec s;
	int r = spec_load(spec_path, &s, e);

	if (r < 0)
		return r;
	r = rdt_remove(&s.rdt, id, e);
	spec_free(&s);
	return r;
}

int container_rdt_update(const char *spec_path, const char *id, const char *l3, const char *bandwidth, struct err *e)
{
	static const char *none[] = { NULL };
	cleanup_fd int root = -1, group = -1;
	struct spec_rdt change = { .present = true, .l3 = l3, .bandwidth = bandwidth, .schemata = none };
	struct spec s;
	int r = spec_load(spec_path, &s, e);

	if (r < 0)
		return r;
	if (!s.rdt.present)
		r = err_set(e, EINVAL, "the container has no linux.intelRdt");
	if (r == 0)
		r = rdt_open(&root, e);
	if (r == 0) {
		group = openat(root, name_of(&s.rdt, id), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = group < 0 ? err_set(e, errno, "linux.intelRdt: the group \"%s\"", name_of(&s.rdt, id)) : lock(root, e);
	}
	if (r == 0)
		r = rdt_configure(root, group, !s.rdt.clos, &change, e);
	spec_free(&s);
	return r;
}
