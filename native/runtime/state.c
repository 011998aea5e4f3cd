/* SPDX-License-Identifier: Apache-2.0 */
#include "state.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "cgroup/cgroup.h"
#include "spec/spec.h"

int state_open(const char *root, const char *id, struct state *s, struct err *e)
{
	memset(s, 0, sizeof(*s));
	if (!*id || strlen(id) >= sizeof(s->id) || !strcmp(id, ".") || !strcmp(id, ".."))
		return err_set(e, EINVAL, "container id \"%.60s\"", id);
	for (const char *p = id; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_+-.", *p))
			return err_set(e, EINVAL, "container id \"%.60s\"", id);
	strcpy(s->id, id);
	if ((size_t)snprintf(s->dir, sizeof(s->dir), "%s/%s", root, id) >= sizeof(s->dir) - 32)
		return err_set(e, ENAMETOOLONG, "root folder \"%.100s\"", root);
	snprintf(s->config, sizeof(s->config), "%s/config.json", s->dir);
	return 0;
}

int state_make(const char *root, struct state *s, struct err *e)
{
	cleanup_fd int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), made = -1;

	if (path_mkdirs(top, root, 0700, &made, e) < 0)
		return -e->code;
	if (mkdirat(made, s->id, 0700) < 0)
		return errno == EEXIST ? err_set(e, EEXIST, "container \"%s\"", s->id) :
					 err_set(e, errno, "make \"%s\"", s->dir);
	return 0;
}

static json_t *to_json(const struct state *s)
{
	return json_pack("{ss ss ss si ss ss ss}", "ociVersion", "1.3.0", "id", s->id, "status",
			 status_name(state_status(s)), "pid", state_status(s) == STATUS_STOPPED ? 0 : (int)s->pid, "bundle",
			 s->bundle, "created", s->created, "owner", "");
}

int state_save(struct state *s, struct err *e)
{
	cleanup_fd int dir = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_free char *text = NULL;
	json_t *o;

	if (dir < 0)
		return err_set(e, errno, "open \"%s\"", s->dir);
	o = json_pack("{si sI ss ss sb ss}", "pid", (int)s->pid, "startTime", (json_int_t)s->start_time, "bundle", s->bundle,
		      "cgroup", s->cgroup, "systemd", s->systemd, "created", s->created);
	text = o ? json_text(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (!text)
		return err_set(e, ENOMEM, "write the state");
	return io_write_atomic_at(dir, "state.json", text, strlen(text), 0600, e);
}

static int copy_member(const struct jnode *n, const char *key, char *to, size_t size, struct err *e)
{
	const char *text;

	if (json_need_str(n, key, &text, e) < 0)
		return -e->code;
	if (strlen(text) >= size)
		return err_set(e, ENAMETOOLONG, "state: %s", key);
	strcpy(to, text);
	return 0;
}

/*
 * A file that a crash or somebody else left: what is signalled and removed by it must be what a create could have
 * made. A cgroup of "/" would be everybody's.
 */
static int check_loaded(const struct state *s, int64_t pid, int64_t start, struct err *e)
{
	char clean[CGROUP_PATH_MAX];

	if (pid <= 0 || pid > INT_MAX || start < 0)
		return err_set(e, EINVAL, "state of \"%s\": process %lld that began at %lld", s->id, (long long)pid,
			       (long long)start);
	if (s->cgroup[0] != '/' || cgroup_path(s->cgroup, s->id, clean, e) < 0)
		return err_set(e, EINVAL, "state of \"%s\": cgroup \"%.200s\"", s->id, s->cgroup);
	return 0;
}

int state_load(const char *root, const char *id, struct state *s, struct err *e)
{
	cleanup_free char *text = NULL;
	char path[PATH_MAX + 16];
	struct jnode top;
	int64_t pid = 0, start = 0;
	json_t *doc;
	size_t len;
	int r;

	if (state_open(root, id, s, e) < 0)
		return -e->code;
	snprintf(path, sizeof(path), "%s/state.json", s->dir);
	r = io_read_file_at(AT_FDCWD, path, 1 << 20, &text, &len, e);
	if (r == -ENOENT)
		return err_set(e, ENOENT, "container \"%s\" does not exist", id);
	if (r < 0 || json_parse(text, len, &doc, e) < 0)
		return -e->code;
	top = json_top(doc, "state");
	(void)((r = json_need_i64(&top, "pid", &pid, e)) < 0 || (r = json_need_i64(&top, "startTime", &start, e)) < 0 ||
	       (r = copy_member(&top, "bundle", s->bundle, sizeof(s->bundle), e)) < 0 ||
	       (r = copy_member(&top, "cgroup", s->cgroup, sizeof(s->cgroup), e)) < 0 ||
	       (r = json_bool(&top, "systemd", &s->systemd, e)) < 0 ||
	       (r = copy_member(&top, "created", s->created, sizeof(s->created), e)) < 0);
	json_decref(doc);
	if (r == 0)
		r = check_loaded(s, pid, start, e);
	s->pid = (pid_t)pid;
	s->start_time = (uint64_t)start;
	return r;
}

int state_remove(struct state *s, struct err *e)
{
	cleanup_fd int dir = open(s->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list;

	if (dir < 0)
		return errno == ENOENT ? 0 : err_set(e, errno, "open \"%s\"", s->dir);
	/* All of it is ours, temporary files of a killed writer too; there are no folders in it. */
	list = fdopendir(dup(dir));
	for (struct dirent *d; list && (d = readdir(list)); )
		unlinkat(dir, d->d_name, 0);
	if (list)
		closedir(list);
	if (rmdir(s->dir) < 0 && errno != ENOENT)
		return err_set(e, errno, "remove \"%s\"", s->dir);
	return 0;
}

uint64_t process_start_time(pid_t pid)
{
	char path[32], text[1024], *at;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (pid <= 0 || io_read_small_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return 0;
	at = strrchr(text, ')'); /* the name may hold anything */
	if (!at || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X')
		return 0;
	at += 2;
	for (int field = 3; field < 22; field++) {
		at = strchr(at, ' ');
		if (!at)
			return 0;
		at++;
	}
	return strtoull(at, NULL, 10);
}

enum status state_status(const struct state *s)
{
	char path[PATH_MAX + 16];

	/* Start 0: it was a zombie when it was looked at. */
	if (!s->pid || !s->start_time || process_start_time(s->pid) != s->start_time)
		return STATUS_STOPPED;
	snprintf(path, sizeof(path), "%s/start.sock", s->dir);
	return access(path, F_OK) == 0 ? STATUS_CREATED : STATUS_RUNNING;
}

const char *status_name(enum status status)
{
	return status == STATUS_CREATED ? "created" : status == STATUS_RUNNING ? "running" : "stopped";
}

char *state_text(const struct state *s)
{
	struct err ignored;
	struct spec spec;
	json_t *o = to_json(s);
	char *text = NULL;

	if (o && spec_load(s->config, &spec, &ignored) == 0) {
		cleanup_free char *rootfs = spec.rootfs[0] == '/' ? strdup(spec.rootfs) : path_join(s->bundle, spec.rootfs);

		json_object_set_new(o, "rootfs", json_string(rootfs));
		if (spec.annotations)
			json_object_set(o, "annotations", (json_t *)spec.annotations);
		spec_free(&spec);
	}
	if (o)
		text = json_text(o, JSON_INDENT(2));
	json_decref(o);
	return text;
}

/* sun_path has 108 bytes: the folder is named by a descriptor, the path stays short. */
int state_socket(const struct state *s, bool server, int *ret_fd, struct err *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_fd int dir = open(s->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int r;

	if (dir < 0 || fd < 0)
		return err_set(e, errno, "start socket of \"%s\"", s->id);
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/start.sock", dir);
	r = server ? bind(fd, (struct sockaddr *)&address, sizeof(address)) :
		     connect(fd, (struct sockaddr *)&address, sizeof(address));
	if (r < 0 || (server && listen(fd, 1) < 0))
		return err_set(e, errno, "start socket of \"%s\"", s->id);
	*ret_fd = take_fd(&fd);
	return 0;
}
