/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/tar.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "unpack/pax.h"
#include "unpack/tar_number.h"

#define BLOCK 512

/* The fields of a header block, by offset and width. */
#define NAME 0, 100
#define MODE 100, 8
#define UID 108, 8
#define GID 116, 8
#define SIZE 124, 12
#define MTIME 136, 12
#define CHECKSUM 148, 8
#define TYPE 156
#define LINK 157, 100
#define MAGIC 257, 8
#define MAJOR 329, 8
#define MINOR 337, 8
#define PREFIX 345, 155
#define STAR_PREFIX 345, 131
#define STAR_TRAILER 508, 4

enum format { V7, USTAR, STAR, GNU };

struct tar {
	tar_pull_fn *pull;
	void *ctx;
	const uint8_t *data; /* of the current piece, not yet used */
	size_t len;
	uint64_t left; /* of the current entry's content */
	unsigned int pad;
	bool ended;
	uint8_t block[BLOCK];
	char name[100 + 155 + 2], link[101]; /* of the header block, terminated */
	char *long_name, *long_link;         /* of GNU L and K entries */
	struct pax pax;
	struct tar_entry entry;
};

int tar_open(tar_pull_fn *pull, void *ctx, struct tar **ret, struct err *e)
{
	struct tar *t = calloc(1, sizeof(*t));

	if (!t)
		return err_set(e, ENOMEM, "tar reader");
	t->pull = pull;
	t->ctx = ctx;
	*ret = t;
	return 0;
}

void tar_close(struct tar *t)
{
	if (!t)
		return;
	free(t->long_name);
	free(t->long_link);
	pax_clear(&t->pax);
	free(t);
}

/* Makes some data available; len stays 0 at the end of the source. */
static int fill(struct tar *t, struct err *e)
{
	return t->len ? 0 : t->pull(t->ctx, &t->data, &t->len, e);
}

/* Copies up to n bytes; *ret_got is less only at the end of the source. */
static int take(struct tar *t, void *to, size_t n, size_t *ret_got, struct err *e)
{
	size_t got = 0;

	while (got < n) {
		size_t piece;
		int r = fill(t, e);

		if (r < 0)
			return r;
		if (!t->len)
			break;
		piece = n - got < t->len ? n - got : t->len;
		memcpy((uint8_t *)to + got, t->data, piece);
		t->data += piece;
		t->len -= piece;
		got += piece;
	}
	*ret_got = got;
	return 0;
}

static int skip(struct tar *t, uint64_t n, struct err *e)
{
	while (n) {
		size_t piece;
		int r = fill(t, e);

		if (r < 0)
			return r;
		if (!t->len)
			return err_set(e, EBADMSG, "archive ends within an entry");
		piece = n < t->len ? (size_t)n : t->len;
		t->data += piece;
		t->len -= piece;
		n -= piece;
	}
	return 0;
}

int tar_data(struct tar *t, const uint8_t **ret_data, size_t *ret_len, struct err *e)
{
	size_t piece = 0;

	if (t->left) {
		int r = fill(t, e);

		if (r < 0)
			return r;
		if (!t->len)
			return err_set(e, EBADMSG, "archive ends within an entry");
		piece = t->left < t->len ? (size_t)t->left : t->len;
		*ret_data = t->data;
		t->data += piece;
		t->len -= piece;
		t->left -= piece;
	}
	*ret_len = piece;
	return 0;
}

int tar_drain(struct tar *t, struct err *e)
{
	do {
		int r;

		t->len = 0;
		r = fill(t, e);
		if (r < 0)
			return r;
	} while (t->len);
	return 0;
}

static void begin_content(struct tar *t, uint64_t size)
{
	t->left = size;
	t->pad = (unsigned int)(-size & (BLOCK - 1));
}

/* The content of an entry that describes the next one, terminated. *ret_len is without the end. */
static int read_meta(struct tar *t, uint64_t size, char **ret, size_t *ret_len, struct err *e)
{
	cleanup_free char *text = NULL;
	size_t got = 0;
	int r;

	if (size > TAR_META_MAX)
		return err_set(e, EBADMSG, "extended header of %llu bytes is above the limit of %d",
			       (unsigned long long)size, TAR_META_MAX);
	text = malloc((size_t)size + 1);
	if (!text)
		return err_set(e, ENOMEM, "extended header");
	r = take(t, text, (size_t)size, &got, e);
	if (r < 0)
		return r;
	if (got != size)
		return err_set(e, EBADMSG, "archive ends within an extended header");
	text[size] = '\0';
	begin_content(t, size);
	t->left = 0;
	*ret_len = (size_t)size;
	*ret = take_ptr(&text);
	return 0;
}

static bool field_is(const uint8_t *block, size_t at, size_t width, const char *text)
{
	return memcmp(block + at, text, width) == 0;
}

static enum format format_of(const uint8_t *block)
{
	if (field_is(block, MAGIC, "ustar  \0"))
		return GNU;
	if (field_is(block, 257, 6, "ustar\0"))
		return field_is(block, STAR_TRAILER, "tar\0") ? STAR : USTAR;
	return V7;
}

/* Both the sum of unsigned bytes and the one of signed bytes that old tars wrote are fine. */
static bool checksum_holds(const uint8_t *block)
{
	int64_t plain = 0, with_sign = 0, want;

	if (tar_octal(block, CHECKSUM, &want) < 0)
		return false;
	for (size_t i = 0; i < BLOCK; i++) {
		uint8_t byte = i >= 148 && i < 156 ? ' ' : block[i];

		plain += byte;
		with_sign += (int8_t)byte;
	}
	return want == plain || want == with_sign;
}

static size_t copy_field(char *to, const uint8_t *block, size_t at, size_t width)
{
	size_t n = strnlen((const char *)block + at, width);

	memcpy(to, block + at, n);
	to[n] = '\0';
	return n;
}

static void header_names(struct tar *t, enum format format)
{
	size_t n = 0;

	if (format == USTAR)
		n = copy_field(t->name, t->block, PREFIX);
	else if (format == STAR)
		n = copy_field(t->name, t->block, STAR_PREFIX);
	if (n)
		t->name[n++] = '/';
	copy_field(t->name + n, t->block, NAME);
	copy_field(t->link, t->block, LINK);
}

/* A number of the header that a PAX record of that name replaces. */
static int number(struct tar *t, size_t at, size_t width, const char *pax_key, int64_t *ret, struct err *e)
{
	const struct pax_record *record = pax_key ? pax_find(&t->pax, pax_key) : NULL;

	if (tar_numeric(t->block, at, width, ret) < 0)
		return err_set(e, EBADMSG, "a number in the header of \"%.200s\" is damaged", t->name);
	if (record && pax_integer(record, ret) < 0)
		return err_set(e, EBADMSG, "PAX %s of \"%.200s\" is not a number", pax_key, t->name);
	return 0;
}

static int id_number(struct tar *t, size_t at, size_t width, const char *pax_key, uint32_t *ret, struct err *e)
{
	int64_t value;
	int r = number(t, at, width, pax_key, &value, e);

	if (r < 0)
		return r;
	/* 2^32-1 is -1 to chown(2): "leave it". */
	if (value < 0 || value >= UINT32_MAX)
		return err_set(e, EBADMSG, "%s %lld of \"%.200s\" is out of range", pax_key, (long long)value,
			       t->name);
	*ret = (uint32_t)value;
	return 0;
}

static int modification_time(struct tar *t, struct timespec *ret, struct err *e)
{
	const struct pax_record *record = pax_find(&t->pax, "mtime");
	int64_t seconds;
	int r = number(t, MTIME, NULL, &seconds, e);

	if (r < 0)
		return r;
	*ret = (struct timespec){ .tv_sec = seconds };
	if (record && pax_time(record, ret) < 0)
		return err_set(e, EBADMSG, "PAX mtime of \"%.200s\" is not a time", t->name);
	if (ret->tv_sec < 0)
		*ret = (struct timespec){ 0 };
	return 0;
}

static int entry_type(struct tar *t, struct err *e)
{
	struct tar_entry *entry = &t->entry;
	uint8_t type = t->block[TYPE];
	size_t len = strlen(entry->name);

	if (type == '\0') /* V7: a directory is a file with a slash at its end */
		entry->type = len && entry->name[len - 1] == '/' ? TAR_DIR : TAR_FILE;
	else if (type == '7') /* "contiguous" */
		entry->type = TAR_FILE;
	else if (type >= '0' && type <= '6')
		entry->type = type;
	else if (type == 'S')
		return err_set(e, EBADMSG, "\"%.200s\" is a sparse file, which layers may not hold", entry->name);
	else
		return err_set(e, EBADMSG, "\"%.200s\" has the unknown type 0x%02x", entry->name, type);
	return 0;
}

static int read_entry(struct tar *t, enum format format, struct err *e)
{
	struct tar_entry *entry = &t->entry;
	const struct pax_record *record;
	int64_t size, mode, major = 0, minor = 0;
	int r;

	header_names(t, format);
	record = pax_find(&t->pax, "path");
	entry->name = t->long_name ? t->long_name : record ? record->value : t->name;
	record = pax_find(&t->pax, "linkpath");
	entry->link = t->long_link ? t->long_link : record ? record->value : t->link;
	r = entry_type(t, e);
	if (r < 0)
		return r;
	if (pax_find_prefix(&t->pax, "GNU.sparse."))
		return err_set(e, EBADMSG, "\"%.200s\" is a sparse file, which layers may not hold", entry->name);
	r = number(t, SIZE, "size", &size, e);
	if (r == 0)
		r = number(t, MODE, NULL, &mode, e);
	if (r == 0)
		r = id_number(t, UID, "uid", &entry->uid, e);
	if (r == 0)
		r = id_number(t, GID, "gid", &entry->gid, e);
	if (r == 0)
		r = modification_time(t, &entry->mtime, e);
	if (r == 0 && format != V7)
		r = number(t, MAJOR, NULL, &major, e);
	if (r == 0 && format != V7)
		r = number(t, MINOR, NULL, &minor, e);
	if (r < 0)
		return r;
	if (size < 0)
		return err_set(e, EBADMSG, "size of \"%.200s\" is negative", entry->name);
	if (major < 0 || major > 0xfff || minor < 0 || minor > 0xfffff)
		return err_set(e, EBADMSG, "device number of \"%.200s\" is out of range", entry->name);
	entry->size = entry->type == TAR_FILE ? (uint64_t)size : 0;
	entry->mode = (mode_t)mode & 07777;
	entry->major = (unsigned int)major;
	entry->minor = (unsigned int)minor;
	begin_content(t, entry->size);
	return pax_xattrs(&t->pax, &entry->xattrs, &entry->xattr_count, e);
}

static bool is_zero(const uint8_t *block)
{
	for (size_t i = 0; i < BLOCK; i++)
		if (block[i])
			return false;
	return true;
}

/* The next header block. Returns 1, or 0 at the end of the archive: two zero blocks, or nothing more. */
static int read_block(struct tar *t, struct err *e)
{
	for (int zeros = 0;;) {
		size_t got;
		int r = take(t, t->block, BLOCK, &got, e);

		if (r < 0)
			return r;
		if (got == 0)
			return 0;
		if (got < BLOCK)
			return err_set(e, EBADMSG, "archive ends within a header");
		if (is_zero(t->block)) {
			if (++zeros == 2)
				return 0;
			continue;
		}
		if (zeros)
			return err_set(e, EBADMSG, "archive goes on after a zero block");
		if (!checksum_holds(t->block))
			return err_set(e, EBADMSG, "checksum of a header does not match");
		return 1;
	}
}

/*
 * An entry that says something about the next one. Returns 1 when it was one, 0 when not.
 * Its own size is always that of its own header: a PAX size never applies to it.
 */
static int read_extension(struct tar *t, struct err *e)
{
	uint8_t type = t->block[TYPE];
	cleanup_free char *text = NULL;
	size_t len = 0;
	int64_t size;
	int r;

	if (type != 'x' && type != 'g' && type != 'L' && type != 'K')
		return 0;
	if (tar_numeric(t->block, SIZE, &size) < 0 || size < 0)
		return err_set(e, EBADMSG, "size of an extended header is damaged");
	r = read_meta(t, (uint64_t)size, &text, &len, e);
	if (r < 0)
		return r;
	if (type == 'x') {
		r = pax_parse(&t->pax, take_ptr(&text), len, e);
	} else if (type == 'g') {
		/* Global records are checked and not applied, as Go and so containerd do. */
		struct pax ignored = { 0 };

		r = pax_parse(&ignored, take_ptr(&text), len, e);
		pax_clear(&ignored);
	} else {
		char **to = type == 'L' ? &t->long_name : &t->long_link;

		free(*to);
		*to = take_ptr(&text);
	}
	return r < 0 ? r : 1;
}

int tar_next(struct tar *t, const struct tar_entry **ret, struct err *e)
{
	int r;

	if (t->ended)
		return 0;
	pax_clear(&t->pax);
	free(take_ptr(&t->long_name));
	free(take_ptr(&t->long_link));
	do {
		/* Go takes a last entry without its padding, and so do we: only whole padding is skipped. */
		r = skip(t, t->left, e);
		if (r == 0 && t->pad) {
			uint8_t padding[BLOCK];
			size_t got;

			r = take(t, padding, t->pad, &got, e);
		}
		t->left = t->pad = 0;
		if (r == 0)
			r = read_block(t, e);
		if (r < 0)
			return r;
		if (r == 0) {
			t->ended = true;
			return 0;
		}
		r = read_extension(t, e);
		if (r < 0)
			return r;
	} while (r == 1);
	r = read_entry(t, format_of(t->block), e);
	if (r < 0)
		return r;
	*ret = &t->entry;
	return 1;
}
