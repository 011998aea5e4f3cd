/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/pending.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/sys.h"

#define FILE_MAX_BYTES (256 << 20) /* our own file; the memory limit comes first */

int pending_add(struct pending *p, const struct pending_record *record, struct err *e)
{
	size_t path = strlen(record->path) + 1, target = strlen(record->target) + 1;
	size_t need = 1 + path + target;

	if (p->room - p->len < need) {
		size_t room = p->room * 2 + need + 4096;
		char *text = realloc(p->text, room);

		if (!text)
			return err_set(e, ENOMEM, "list of what depends on lower layers");
		p->text = text;
		p->room = room;
	}
	p->text[p->len] = (char)record->kind;
	memcpy(p->text + p->len + 1, record->path, path);
	memcpy(p->text + p->len + 1 + path, record->target, target);
	p->len += need;
	p->count++;
	return 0;
}

int pending_next(const struct pending *p, size_t *at, struct pending_record *ret, struct err *e)
{
	const char *path, *target, *end, *stop;

	if (*at == p->len)
		return 0;
	path = p->text + *at + 1;
	end = p->text + p->len;
	stop = path < end ? memchr(path, '\0', (size_t)(end - path)) : NULL;
	target = stop ? stop + 1 : end;
	stop = target < end ? memchr(target, '\0', (size_t)(end - target)) : NULL;
	if (!stop || (path[-1] != PENDING_FOLDER && path[-1] != PENDING_LINK))
		return err_set(e, EBADMSG, "list of what depends on lower layers");
	*ret = (struct pending_record){ path[-1], path, target };
	*at = (size_t)(stop + 1 - p->text);
	return 1;
}

int pending_save(const struct pending *p, int dir_fd, const char *name, struct err *e)
{
	cleanup_fd int fd = -1;

	if (!p->len)
		return 0;
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(e, errno, "make the file %s", name);
	return io_write_all(fd, p->text, p->len, e);
}

int pending_load(int dir_fd, const char *name, struct pending *ret, struct err *e)
{
	cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct pending p = { 0 };
	int r;

	if (fd < 0)
		return err_set(e, errno, "open the file %s", name);
	r = io_read_all(fd, FILE_MAX_BYTES, &p.text, &p.len, e);
	if (r < 0)
		return r;
	p.room = p.len;
	*ret = p;
	return 0;
}

void pending_clear(struct pending *p)
{
	free(p->text);
	*p = (struct pending){ 0 };
}
