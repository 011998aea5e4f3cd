/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target of everything that parses hostile bytes: first byte the compression, the rest the
 * layer. Nothing is written: entries are read to their end.
 */
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unpack/name.h"
#include "unpack/stream.h"
#include "unpack/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int pull(void *ctx, const uint8_t **ret_data, size_t *ret_len, struct err *e)
{
	return stream_next(ctx, ret_data, ret_len, e);
}

static void read_layer(struct stream *s)
{
	const struct tar_entry *entry;
	const uint8_t *piece;
	char name[PATH_MAX];
	struct tar *t;
	struct err e;
	size_t len;

	if (tar_open(pull, s, &t, &e) < 0)
		return;
	while (tar_next(t, &entry, &e) == 1) {
		if (name_clean(entry->name, name, &e) == 0)
			(void)name_kind_of(name);
		while (tar_data(t, &piece, &len, &e) == 0 && len)
			;
	}
	tar_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream_limits limits = { size, 16 << 20, 1 << 20, 200 };
	struct stream *s;
	struct err e;
	int fd;

	if (!size)
		return 0;
	fd = memfd_create("layer", MFD_CLOEXEC);
	limits.input_bytes = size - 1;
	if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1) || lseek(fd, 0, SEEK_SET) < 0)
		return 0;
	if (stream_open(fd, data[0] % 3, &limits, &s, &e) == 0) {
		read_layer(s);
		stream_close(s);
	}
	close(fd);
	return 0;
}
