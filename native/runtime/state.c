/* SPDX-License-Identifier: Apache-2.0 */
#include "state.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "base/sys.h"
#include "cgroup/cgroup.h"

/* A create with hooks may take its time; who holds the lock that long does not hang. */
enum { LOCK_TIMEOUT_MS = 60000 };

#ifndef PID_FS_MAGIC /* linux/magic.h since 6.9 */
#define PID_FS_MAGIC 0x50494446
#endif

int state_open(const char *root, const char *id, struct state *s, struct err *e)
{
	memset(s, 0, sizeof(*s));
	s->lock = -1;
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

void state_close(struct state *s)
{
	free(s->annotations);
	s->annotations = NULL;
	if (s->lock >= 0)
		close(s->lock);
	s->lock = -1;
}

static int not_there(const struct state *s, struct err *e)
{
	return err_set(e, ENOENT, "container \"%s\" does not exist", s->id);
}

int state_lock(struct state *s, int timeout_ms, struct err *e)
{
	cleanup_fd int dir = open(s->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat ours, there;

	if (dir < 0)
		return errno == ENOENT ? not_there(s, e) : err_set(e, errno, "open \"%s\"", s->dir);
	for (int waited = 0; flock(dir, LOCK_EX | LOCK_NB) < 0; waited++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_set(e, errno, "lock \"%s\"", s->dir);
		if (waited >= timeout_ms)
			return err_set(e, ETIMEDOUT, "container \"%s\": another command is at work on it", s->id);
		poll(NULL, 0, 1);
	}
	/* While we waited it may have gone, and another come in its place. */
	if (fstat(dir, &ours) < 0)
		return err_set(e, errno, "look at \"%s\"", s->dir);
	if (stat(s->dir, &there) < 0 || there.st_ino != ours.st_ino || there.st_dev != ours.st_dev)
		return not_there(s, e);
	s->lock = take_fd(&dir);
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
	return state_lock(s, 0, e);
}

int state_describe(struct state *s, const struct spec *spec, struct err *e)
{
	cleanup_free char *rootfs = spec->rootfs[0] == '/' ? strdup(spec->rootfs) : path_join(s->bundle, spec->rootfs);

	if (!rootfs)
		return err_set(e, ENOMEM, "rootfs path");
	if (path_clean(rootfs, s->rootfs, sizeof(s->rootfs)) < 0)
		return err_set(e, EINVAL, "root.path \"%.200s\"", spec->rootfs);
	snprintf(s->oci_version, sizeof(s->oci_version), "%s", spec->oci_version);
	for (int kind = 0; kind < HOOK_KINDS; kind++)
		if (spec->hooks[kind].count)
			s->hooks |= 1u << kind;
	s->own_pids = spec_ns_new(spec, NS_PID);
	s->rdt = spec->rdt.present;
	if (spec->annotations && json_object_size(spec->annotations)) {
		s->annotations = json_text(spec->annotations, JSON_COMPACT);
		if (!s->annotations)
			return err_set(e, ENOMEM, "annotations");
	}
	return 0;
}

int state_save(struct state *s, struct err *e)
{
	cleanup_free char *text = NULL;
	json_t *o;

	o = json_pack("{ss si sI sI ss ss ss ss si sb sb sb}", "ociVersion", s->oci_version, "pid", (int)s->pid, "startTime",
		      (json_int_t)s->start_time, "pidfdInode", (json_int_t)s->pidfd_inode, "bundle", s->bundle, "rootfs", s->rootfs, "cgroup", s->cgroup, "created",
		      s->created, "hooks", (int)s->hooks, "ownPids", (int)s->own_pids,
		      "systemd", (int)s->systemd, "intelRdt", (int)s->rdt);
	if (o && s->annotations)
		json_object_set_new(o, "annotations", json_loads(s->annotations, 0, NULL));
	text = o ? json_text(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (!text)
		return err_set(e, ENOMEM, "write the state");
	return io_write_atomic_at(s->lock, "state.json", text, strlen(text), 0600, e);
}

int state_claim(const struct state *s, bool systemd, struct err *e)
{
	const char *driver = systemd ? "systemd" : "cgroupfs";

	return io_write_atomic_at(s->lock, "claimed", driver, strlen(driver), 0600, e);
}

bool state_claimed(const struct state *s, bool *ret_systemd)
{
	char driver[16];

	if (io_read_small_at(s->lock, "claimed", driver, sizeof(driver)) < 0)
		return false;
	*ret_systemd = !strcmp(driver, "systemd");
	return true;
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
static int check_read(const struct state *s, int64_t pid, int64_t start, int64_t inode, int64_t hooks, struct err *e)
{
	char clean[CGROUP_PATH_MAX];

	if (pid <= 0 || pid > INT_MAX || start < 0 || inode < 0 || hooks < 0 || hooks >= 1 << HOOK_KINDS)
		return err_set(e, EINVAL, "state of \"%s\": process %lld that began at %lld, inode %lld, hooks %lld", s->id,
			       (long long)pid, (long long)start, (long long)inode, (long long)hooks);
	/* None: made by a caller without rights to cgroups. */
	if (!*s->cgroup)
		return 0;
	if (s->cgroup[0] != '/' || cgroup_path(s->cgroup, s->id, clean, e) < 0)
		return err_set(e, EINVAL, "state of \"%s\": cgroup \"%.200s\"", s->id, s->cgroup);
	return 0;
}

static int read_members(const struct jnode *top, struct state *s, struct err *e)
{
	int64_t pid = 0, start = 0, inode = 0, hooks = 0;
	struct jnode annotations = json_get(top, "annotations");
	int r;

	if ((r = json_need_i64(top, "pid", &pid, e)) < 0 || (r = json_need_i64(top, "startTime", &start, e)) < 0 ||
	    (r = json_i64(top, "pidfdInode", &inode, e)) < 0 ||
	    (r = json_i64(top, "hooks", &hooks, e)) < 0 || (r = json_bool(top, "ownPids", &s->own_pids, e)) < 0 ||
	    (r = json_bool(top, "systemd", &s->systemd, e)) < 0 || (r = json_bool(top, "intelRdt", &s->rdt, e)) < 0 ||
	    (r = copy_member(top, "ociVersion", s->oci_version, sizeof(s->oci_version), e)) < 0 ||
	    (r = copy_member(top, "bundle", s->bundle, sizeof(s->bundle), e)) < 0 ||
	    (r = copy_member(top, "rootfs", s->rootfs, sizeof(s->rootfs), e)) < 0 ||
	    (r = copy_member(top, "cgroup", s->cgroup, sizeof(s->cgroup), e)) < 0 ||
	    (r = copy_member(top, "created", s->created, sizeof(s->created), e)) < 0 ||
	    (r = json_want_object(&annotations, e)) < 0)
		return r;
	if ((r = check_read(s, pid, start, inode, hooks, e)) < 0)
		return r;
	s->pid = (pid_t)pid;
	s->start_time = (uint64_t)start;
	s->pidfd_inode = (uint64_t)inode;
	s->hooks = (unsigned int)hooks;
	if (annotations.value) {
		s->annotations = json_text(annotations.value, JSON_COMPACT);
		if (!s->annotations)
			return err_set(e, ENOMEM, "state: annotations");
	}
	return 0;
}

static int read_state(struct state *s, struct err *e)
{
	cleanup_free char *text = NULL;
	char path[PATH_MAX + 16];
	struct jnode top;
	json_t *doc;
	size_t len;
	int r;

	snprintf(path, sizeof(path), "%s/state.json", s->dir);
	r = io_read_file_at(AT_FDCWD, path, SPEC_MAX_BYTES, &text, &len, e);
	if (r == -ENOENT)
		return not_there(s, e);
	if (r < 0)
		return r;
	r = json_parse(text, len, &doc, e);
	if (r < 0)
		return err_wrap(e, "%s", path);
	top = json_top(doc, "state");
	r = read_members(&top, s, e);
	json_decref(doc);
	return r;
}

int state_load(const char *root, const char *id, struct state *s, struct err *e)
{
	return state_open(root, id, s, e) < 0 || read_state(s, e) < 0 ? -e->code : 0;
}

int state_load_locked(const char *root, const char *id, struct state *s, struct err *e)
{
	return state_open(root, id, s, e) < 0 || state_lock(s, LOCK_TIMEOUT_MS, e) < 0 || read_state(s, e) < 0 ? -e->code : 0;
}

int state_remove(struct state *s, struct err *e)
{
	cleanup_fd int copy = -1;
	DIR *list;

	if (s->lock < 0)
		return err_set(e, EINVAL, "remove \"%s\" without its lock", s->dir);
	/* All of it is ours, temporary files of a killed writer too; a killed restore leaves an empty folder. */
	copy = openat(s->lock, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	list = copy < 0 ? NULL : fdopendir(copy);
	if (list)
		copy = -1;
	for (struct dirent *d; list && (d = readdir(list)); )
		if (unlinkat(s->lock, d->d_name, 0) < 0 && errno == EISDIR)
			unlinkat(s->lock, d->d_name, AT_REMOVEDIR);
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

/* 0: the kernel gives no number of its own to each process. Before pidfs all pidfds share one inode. */
static uint64_t pidfd_inode(int pidfd)
{
	struct statfs fs;
	struct stat st;

	if (sizeof(st.st_ino) < sizeof(uint64_t) || fstatfs(pidfd, &fs) < 0 || fs.f_type != PID_FS_MAGIC || fstat(pidfd, &st) < 0)
		return 0;
	return st.st_ino;
}

void state_set_init(struct state *s, pid_t pid)
{
	cleanup_fd int fd = sys_pidfd_open(pid, 0);

	s->pid = pid;
	s->start_time = process_start_time(pid);
	s->pidfd_inode = fd >= 0 ? pidfd_inode(fd) : 0;
}

/* What tells the process is compared while a pidfd holds the pid. Start 0: it was a zombie when it was looked at. */
int state_open_init(const struct state *s)
{
	cleanup_fd int fd = s->pid > 0 && s->start_time ? sys_pidfd_open(s->pid, 0) : -1;

	if (fd < 0 || process_start_time(s->pid) != s->start_time || (s->pidfd_inode && pidfd_inode(fd) != s->pidfd_inode))
		return -1;
	return take_fd(&fd);
}

enum status state_status(const struct state *s)
{
	cleanup_fd int init = state_open_init(s);
	char path[PATH_MAX + 16];
	struct err ignored;
	bool frozen = false;

	if (init < 0)
		return STATUS_STOPPED;
	if (cgroup_frozen(s->cgroup, &frozen, &ignored) == 0 && frozen)
		return STATUS_PAUSED;
	snprintf(path, sizeof(path), "%s/start.sock", s->dir);
	return access(path, F_OK) == 0 ? STATUS_CREATED : STATUS_RUNNING;
}

const char *status_name(enum status status)
{
	static const char *const names[] = { "created", "running", "paused", "stopped" };

	return names[status];
}

json_t *state_json(const struct state *s, const char *owner)
{
	enum status status = state_status(s);
	json_t *o = json_pack("{ss ss si ss ss ss ss}", "ociVersion", s->oci_version, "id", s->id, "pid",
			      status == STATUS_STOPPED ? 0 : (int)s->pid, "status", status_name(status), "bundle", s->bundle,
			      "rootfs", s->rootfs, "created", s->created);

	if (o && s->annotations)
		json_object_set_new(o, "annotations", json_loads(s->annotations, 0, NULL));
	if (o)
		json_object_set_new(o, "owner", json_string(owner));
	return o;
}

void state_now(char *buf, size_t size)
{
	char seconds[24], nanos[16];
	struct timespec t;
	struct tm tm;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &t);
	strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", gmtime_r(&t.tv_sec, &tm));
	len = (size_t)snprintf(nanos, sizeof(nanos), ".%09u", (unsigned int)t.tv_nsec % 1000000000u);
	while (len && nanos[len - 1] == '0')
		nanos[--len] = '\0';
	snprintf(buf, size, "%s%sZ", seconds, len > 1 ? nanos : "");
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
