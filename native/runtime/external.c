/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/external.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"

enum { MAX_MOUNTS = 1024, FILE_MAX = 1 << 20 };

/* CRIU joins these from outside; the others it makes anew. */
static const enum spec_ns_kind joined[] = { NS_NETWORK, NS_PID };

struct mount_line {
	int id;
	char device[32];
	char *root, *at;
};

struct mount_table {
	char *text;
	struct mount_line *lines;
	size_t count;
};

static void table_free(struct mount_table *t)
{
	free(t->text);
	free(t->lines);
}

/* "\040" as the kernel writes a blank (proc_pid_mountinfo(5)). In place. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from;) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3]) {
			*to++ = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

static int read_table(pid_t pid, struct mount_table *t, struct err *e)
{
	char path[64], *line, *next = NULL;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
	if (io_read_file_at(AT_FDCWD, path, FILE_MAX, &t->text, &len, e) < 0)
		return -e->code;
	t->lines = calloc(MAX_MOUNTS, sizeof(*t->lines));
	if (!t->lines)
		return err_set(e, ENOMEM, "mounts of the container");
	for (line = strtok_r(t->text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
		struct mount_line *m = &t->lines[t->count];
		char *rest = NULL, *id = strtok_r(line, " ", &rest), *device;

		if (t->count == MAX_MOUNTS)
			return err_set(e, E2BIG, "the container has more than %d mounts", MAX_MOUNTS);
		strtok_r(NULL, " ", &rest);
		device = strtok_r(NULL, " ", &rest);
		m->root = strtok_r(NULL, " ", &rest);
		m->at = strtok_r(NULL, " ", &rest);
		if (!m->at)
			return err_set(e, EPROTO, "%s: a line of less than five words", path);
		m->id = (int)strtol(id, NULL, 10);
		snprintf(m->device, sizeof(m->device), "%s", device);
		unescape(m->root);
		unescape(m->at);
		t->count++;
	}
	return 0;
}

static bool is_bind(const struct spec_mount *m)
{
	if (m->type && !strcmp(m->type, "bind"))
		return true;
	for (size_t i = 0; m->options && m->options[i]; i++)
		if (!strcmp(m->options[i], "bind") || !strcmp(m->options[i], "rbind"))
			return true;
	return false;
}

/* The bind mount of the specification that a path belongs to: the deepest; of two at one place, the later. */
static const struct spec_mount *bind_of(const struct spec *spec, const char *at)
{
	const struct spec_mount *found = NULL;
	size_t best = 0;

	for (size_t i = 0; i < spec->mount_count; i++) {
		const struct spec_mount *m = &spec->mounts[i];
		char clean[PATH_MAX];

		if (path_clean(m->destination, clean, sizeof(clean)) < 0 || !path_below(at, clean) || strlen(clean) < best)
			continue;
		best = strlen(clean);
		found = is_bind(m) && m->source ? m : NULL;
	}
	return found;
}

static bool is_masked(const struct spec *spec, const char *at)
{
	for (size_t i = 0; spec->masked_paths && spec->masked_paths[i]; i++)
		if (!strcmp(spec->masked_paths[i], at))
			return true;
	return false;
}

/* A piece of a filesystem whose whole the container does not have. */
static bool is_piece(const struct mount_table *t, const struct mount_line *m)
{
	if (!strcmp(m->root, "/"))
		return false;
	for (size_t i = 0; i < t->count; i++)
		if (!strcmp(t->lines[i].device, m->device) && !strcmp(t->lines[i].root, "/"))
			return false;
	return true;
}

static bool is_cgroup(const struct spec *spec, const char *at)
{
	for (size_t i = 0; i < spec->mount_count; i++)
		if (spec->mounts[i].type && !strcmp(spec->mounts[i].type, "cgroup") &&
		    path_below(at, spec->mounts[i].destination))
			return true;
	return false;
}

static int save_mounts(const struct mount_table *t, const struct spec *spec, json_t *list, struct criu *c, struct err *e)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct mount_line *m = &t->lines[i];

		if (!strcmp(m->at, "/") || (is_cgroup(spec, m->at) && spec->ns[NS_CGROUP].present) ||
		    (!bind_of(spec, m->at) && !is_piece(t, m)))
			continue;
		if (strpbrk(m->at, "[]:"))
			return err_set(e, ENOTSUP, "mount at \"%s\": criu can't be told of a path with [, ] or :", m->at);
		/* Now, while the container is still there, and not at restore. */
		if (!bind_of(spec, m->at) && !is_masked(spec, m->at))
			return err_set(e, ENOTSUP, "mount at \"%s\": is the host's and not in mounts, restore could not give it",
				       m->at);
		criu_add(c, "--external");
		criu_add(c, "mnt[%s]:%s", m->at, m->at);
		if (json_array_append_new(list, json_string(m->at)) < 0)
			return err_set(e, ENOMEM, EXTERNAL_FILE);
	}
	return 0;
}

/* stdio by the names that CRIU inherits descriptors by; null: the container's own. */
static int save_stdio(const struct state *s, const struct mount_table *t, json_t *list, struct criu *c, struct err *e)
{
	for (int fd = 0; fd < 3; fd++) {
		char path[64], target[PATH_MAX], info[1024], name[PATH_MAX] = "";
		const char *line;
		struct stat st;
		bool own = false;
		int mount = -1;
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)s->pid, fd);
		n = readlink(path, target, sizeof(target) - 1);
		if (n > 0 && stat(path, &st) == 0) {
			target[n] = '\0';
			snprintf(info, sizeof(info), "/proc/%d/fdinfo/%d", (int)s->pid, fd);
			n = io_read_small_at(AT_FDCWD, info, info, sizeof(info));
			line = n > 0 ? strstr(info, "mnt_id:") : NULL;
			if (line)
				mount = (int)strtol(line + 7, NULL, 10);
			for (size_t i = 0; i < t->count; i++)
				own = own || t->lines[i].id == mount;
			if (S_ISFIFO(st.st_mode) && !strncmp(target, "pipe:[", 6)) {
				strcpy(name, target);
			} else if (!own && (S_ISREG(st.st_mode) || S_ISCHR(st.st_mode))) {
				snprintf(name, sizeof(name), "file[%x:%lx]", mount, (unsigned long)st.st_ino);
				criu_add(c, "--external");
				criu_add(c, "%s", name);
			}
		}
		if (json_array_append_new(list, *name ? json_string(name) : json_null()) < 0)
			return err_set(e, ENOMEM, EXTERNAL_FILE);
	}
	return 0;
}

static int save_namespaces(const struct spec *spec, struct criu *c, struct err *e)
{
	for (size_t i = 0; i < sizeof(joined) / sizeof(*joined); i++) {
		const char *path = spec->ns[joined[i]].path;
		struct stat st;

		if (!path)
			continue;
		if (stat(path, &st) < 0)
			return err_set(e, errno, "%s namespace \"%s\"", spec_ns_names[joined[i]].type, path);
		criu_add(c, "--external");
		criu_add(c, "%s[%lu]:kobako-%s", spec_ns_names[joined[i]].proc, (unsigned long)st.st_ino,
			 spec_ns_names[joined[i]].proc);
	}
	return 0;
}

int external_save(const struct state *s, const struct spec *spec, int images, struct criu *c, struct err *e)
{
	__attribute__((cleanup(table_free))) struct mount_table t = { 0 };
	json_t *mounts = json_array(), *stdio = json_array(), *all;
	cleanup_free char *text = NULL;
	int r = read_table(s->pid, &t, e);

	if (r == 0)
		r = save_mounts(&t, spec, mounts, c, e);
	if (r == 0)
		r = save_stdio(s, &t, stdio, c, e);
	if (r == 0)
		r = save_namespaces(spec, c, e);
	all = json_pack("{so so}", "mounts", mounts, "stdio", stdio);
	text = all ? json_text(all, JSON_COMPACT) : NULL;
	json_decref(all);
	if (r < 0)
		return r;
	if (!text)
		return err_set(e, ENOMEM, EXTERNAL_FILE);
	return io_write_atomic_at(images, EXTERNAL_FILE, text, strlen(text), 0600, e);
}

/* What a mount of the checkpoint is now, by the configuration that is restored with. */
static int load_mount(const struct state *s, const struct spec *spec, const char *at, struct criu *c, struct err *e)
{
	const struct spec_mount *m = bind_of(spec, at);
	char clean[PATH_MAX];

	if (m && path_clean(m->destination, clean, sizeof(clean)) == 0) {
		const char *rest = at + (strcmp(clean, "/") ? strlen(clean) : 0);

		criu_add(c, "--external");
		if (m->source[0] == '/')
			criu_add(c, "mnt[%s]:%s%s", at, m->source, rest);
		else
			criu_add(c, "mnt[%s]:%s/%s%s", at, s->bundle, m->source, rest);
		return 0;
	}
	if (is_masked(spec, at)) {
		criu_add(c, "--external");
		criu_add(c, "mnt[%s]:/dev/null", at);
		return 0;
	}
	return err_set(e, EINVAL, "mounts: the checkpoint has a mount of the host at \"%s\", config.json has none", at);
}

/* Once per name: stdout and stderr may be one pipe. */
static void load_stdio(const json_t *list, struct criu *c)
{
	for (size_t fd = 0; fd < 3; fd++) {
		const char *name = json_string_value(json_array_get(list, fd));
		bool known = !name;

		for (size_t i = 0; name && i < fd; i++) {
			const char *before = json_string_value(json_array_get(list, i));

			known = known || (before && !strcmp(before, name));
		}
		if (known)
			continue;
		criu_add(c, "--inherit-fd");
		criu_add(c, "fd[%zu]:%s", fd, name);
	}
}

static int load_namespaces(const struct spec *spec, struct criu *c, struct err *e)
{
	for (int kind = 0; kind < NS_KINDS; kind++) {
		const char *path = spec->ns[kind].path;
		bool inherited = kind == NS_NETWORK || kind == NS_PID;
		int fd;

		if (!path)
			continue;
		if (!inherited && kind != NS_IPC && kind != NS_UTS)
			return err_set(e, ENOTSUP, "linux.namespaces: criu can't restore into the %s namespace \"%s\"",
				       spec_ns_names[kind].type, path);
		if (!inherited) {
			criu_add(c, "--join-ns");
			criu_add(c, "%s:%s", spec_ns_names[kind].proc, path);
			continue;
		}
		fd = open(path, O_RDONLY); /* goes to criu, and ends with this command */
		if (fd < 0)
			return err_set(e, errno, "%s namespace \"%s\"", spec_ns_names[kind].type, path);
		criu_add(c, "--inherit-fd");
		criu_add(c, "fd[%d]:kobako-%s", fd, spec_ns_names[kind].proc);
	}
	return 0;
}

int external_load(const struct state *s, const struct spec *spec, int images, struct criu *c, struct err *e)
{
	cleanup_free char *text = NULL;
	json_t *all, *mounts, *stdio, *item;
	size_t len, i;
	int r = io_read_file_at(images, EXTERNAL_FILE, FILE_MAX, &text, &len, e);

	if (r < 0)
		return err_wrap(e, "these are no images of a checkpoint");
	all = json_loadb(text, len, 0, NULL);
	mounts = json_object_get(all, "mounts");
	stdio = json_object_get(all, "stdio");
	if (!json_is_array(mounts) || !json_is_array(stdio))
		r = err_set(e, EINVAL, "images: " EXTERNAL_FILE " has no lists of mounts and stdio");
	if (r == 0)
		json_array_foreach (mounts, i, item) {
			const char *at = json_string_value(item);

			if (!at || *at != '/' || strpbrk(at, "[]:"))
				r = err_set(e, EINVAL, "images: " EXTERNAL_FILE ": mounts[%zu] is no path", i);
			else
				r = load_mount(s, spec, at, c, e);
			if (r < 0)
				break;
		}
	if (r == 0)
		load_stdio(stdio, c);
	if (r == 0)
		r = load_namespaces(spec, c, e);
	json_decref(all);
	return r;
}
