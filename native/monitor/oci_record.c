/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records that a runtime's program keeps of containers, in oci.root: <id>, or gVisor's <id>_sandbox:<sandbox>.state
 * with a .lock beside it.
 *
 * gVisor writes its record in place. One that is killed meanwhile leaves half of it, and then every run for that container
 * fails, the one that deletes it too. So a copy is kept after each run that writes it, which takes the place of a half.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "monitor/json_view.h"
#include "monitor/member_oci_internal.h"

/* Of a record; a container's whole configuration is in it. */
#define RECORD_MAX (16u << 20)
/* Of gVisor's. */
#define SUFFIX ".state"
/* The copy's name in the container's bundle. */
#define COPY "record.json"

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	remove(path);
	return 0;
}

static bool is_record(const char *name, const char *id)
{
	static const char inside[] = "_sandbox:";
	size_t n = strlen(id);

	return strncmp(name, id, n) == 0 && (!name[n] || strncmp(name + n, inside, sizeof(inside) - 1) == 0);
}

/* The path of the next record of a container. False: there is no other. */
static bool next_record(DIR *dir, const char *id, char ret[PATH_MAX])
{
	for (struct dirent *d; dir && (d = readdir(dir));)
		if (is_record(d->d_name, id) && snprintf(ret, PATH_MAX, "%s/%s", oci.root, d->d_name) < PATH_MAX)
			return true;
	return false;
}

static DIR *open_root(void)
{
	return oci.root ? opendir(oci.root) : NULL;
}

static void close_root(DIR *dir)
{
	if (dir)
		closedir(dir);
}

/* Removes the records of a container, or only looks: true when there was one. */
static bool records(const char *id, bool remove_them)
{
	DIR *dir = open_root();
	char path[PATH_MAX];
	bool found = false;

	while (next_record(dir, id, path)) {
		found = true;
		if (remove_them)
			nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	}
	close_root(dir);
	return found;
}

bool oci_has_state(const char *id)
{
	return records(id, false);
}

int oci_remove_state(const char *id, struct err *e)
{
	return records(id, true) && records(id, false) ? err_set(e, EBUSY, "remove what %s keeps of %s", oci.path, id) : 0;
}

/* The path of gVisor's record. False: there is none. */
static bool find(const char *id, char ret[PATH_MAX])
{
	DIR *dir = open_root();
	bool found = false;

	while (!found && next_record(dir, id, ret)) {
		const char *dot = strrchr(ret, '.');

		found = dot && strcmp(dot, SUFFIX) == 0;
	}
	close_root(dir);
	return found;
}

/* False: it can't be read, or is no whole document. */
static bool read_whole(const char *path, char **ret, size_t *ret_len)
{
	struct json_view ignored;
	struct err e;

	return io_read_file_at(AT_FDCWD, path, RECORD_MAX, ret, ret_len, &e) == 0 &&
	       json_view_parse(*ret, *ret_len, &ignored) == 0;
}

static void copy(const char *from, const char *to)
{
	cleanup_free char *text = NULL;
	struct err e = { 0 };
	size_t len;

	if (read_whole(from, &text, &len) && io_write_atomic_at(AT_FDCWD, to, text, len, 0600, &e) < 0)
		oci_note("copy the record of a container", &e);
}

static bool copy_path(const struct member *m, char ret[PATH_MAX])
{
	return snprintf(ret, PATH_MAX, "%s/" COPY, m->bundle) < PATH_MAX;
}

void oci_keep_record(const struct member *m)
{
	char record[PATH_MAX], kept[PATH_MAX];

	if (oci.sandboxed && find(m->id, record) && copy_path(m, kept))
		copy(record, kept);
}

void oci_mend_record(const struct member *m)
{
	char record[PATH_MAX], lock[PATH_MAX + 8], kept[PATH_MAX];
	cleanup_free char *text = NULL;
	cleanup_fd int fd = -1;
	size_t len;

	if (!oci.sandboxed || !find(m->id, record) || read_whole(record, &text, &len))
		return;
	/* Who writes it at this moment holds the lock; of one that was killed the kernel has taken it back. */
	snprintf(lock, sizeof(lock), "%.*s.lock", (int)(strlen(record) - strlen(SUFFIX)), record);
	fd = open(lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && copy_path(m, kept))
		copy(kept, record);
}
