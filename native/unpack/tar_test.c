/* SPDX-License-Identifier: Apache-2.0 */
/* The tar reader: formats, numbers, extensions, and every cut of an archive. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unpack/tar.h"
#include "unpack/tar_build.h"
#include "unpack/tar_number.h"

static int failed;

static void expect(int ok, const char *what)
{
	if (!ok) {
		printf("failed: %s\n", what);
		failed = 1;
	}
}

/* All entries as "name:type:size,", or "error". */
static void read_all(struct archive *a, size_t piece, char *ret, size_t size)
{
	const struct tar_entry *entry;
	struct tar *t;
	struct err e;
	size_t used = 0;
	int r;

	a->at = 0;
	a->piece = piece;
	if (tar_open(archive_pull, a, &t, &e) < 0)
		abort();
	*ret = '\0';
	while ((r = tar_next(t, &entry, &e)) == 1)
		used += (size_t)snprintf(ret + used, size - used, "%.40s:%c:%llu,", entry->name, entry->type,
					 (unsigned long long)entry->size);
	if (r < 0)
		snprintf(ret, size, "error");
	else
		expect(tar_drain(t, &e) == 0, "drain");
	tar_close(t);
}

static void expect_entries(struct archive *a, const char *want, const char *what)
{
	char got[4096];

	for (size_t piece = 1; piece < 2000; piece = piece * 3 + 1) {
		read_all(a, piece, got, sizeof(got));
		if (strcmp(got, want) != 0) {
			printf("%s (pieces of %zu): %s, expected %s\n", what, piece, got, want);
			failed = 1;
		}
	}
}

static void numbers(void)
{
	static const struct {
		const char *field;
		int64_t value; /* -1: refused */
	} octal[] = {
		{ "0000644\0", 0644 }, { "644 \0\0\0\0", 0644 }, { "  644\0\0\0", 0644 }, { "\0\0\0\0\0\0\0\0", 0 },
		{ "        ", 0 },     { "0000648\0", -1 },	 { "-000644\0", -1 },	  { "77777777", 077777777 },
		{ "64 4\0\0\0\0", -1 },
	};
	static const uint8_t huge[12] = { 0x80, 0, 0, 0, 0x80 }, big[12] = { 0x80, 0, 0, 0, 0x7f, 1 };
	uint8_t minus[12];
	int64_t value;

	for (size_t i = 0; i < sizeof(octal) / sizeof(*octal); i++) {
		if (tar_octal((const uint8_t *)octal[i].field, 0, 8, &value) < 0)
			value = -1;
		expect(value == octal[i].value, octal[i].field);
	}
	memset(minus, 0xff, sizeof(minus));
	expect(tar_numeric(minus, 0, 12, &value) == 0 && value == -1, "base 256: -1");
	expect(tar_numeric(huge, 0, 12, &value) < 0, "base 256: 2^63");
	expect(tar_numeric(big, 0, 12, &value) == 0 && value == 0x7f01000000000000, "base 256: below 2^63");
}

static void formats(void)
{
	static struct archive a;
	char text[200];

	archive_add(&a, '0', "file", "content", 0644);
	archive_add(&a, '5', "dir/", "", 0755);
	archive_add(&a, '2', "link", "dir", 0777);
	archive_add(&a, '\0', "old/", "", 0755);
	archive_end(&a);
	expect_entries(&a, "file:0:7,dir/:5:0,link:2:0,old/:5:0,", "plain");
	a.len -= 1024;
	expect_entries(&a, "file:0:7,dir/:5:0,link:2:0,old/:5:0,", "no end marker");

	memset(&a, 0, sizeof(a));
	archive_add(&a, 'L', "././@LongLink", "a-long-name", 0);
	archive_add(&a, 'K', "././@LongLink", "a-long-target", 0);
	archive_add(&a, '2', "short", "target", 0777);
	archive_add(&a, '0', "next", "", 0644);
	archive_end(&a);
	expect_entries(&a, "a-long-name:2:0,next:0:0,", "GNU long names");

	memset(&a, 0, sizeof(a));
	archive_add(&a, 'x', "pax", "13 path=first\n", 0); /* wrong length: 14 */
	archive_add(&a, '0', "next", "", 0644);
	expect_entries(&a, "error", "PAX record of a wrong length");

	memset(&a, 0, sizeof(a));
	archive_add(&a, 'x', "pax", "14 path=first\n10 uid=07\n", 0);
	archive_add(&a, 'x', "pax", "15 path=second\n12 path=\n", 0);
	archive_add(&a, '0', "header", "", 0644);
	archive_end(&a);
	expect_entries(&a, "error", "PAX record that ends too late");

	memset(&a, 0, sizeof(a));
	archive_add(&a, 'x', "pax", "14 path=first\n", 0);
	archive_add(&a, 'x', "pax", "15 path=second\n", 0);
	archive_add(&a, '0', "header", "1234", 0644);
	archive_add(&a, 'x', "pax", "9 path=\n", 0);
	archive_add(&a, '0', "own", "", 0644);
	archive_end(&a);
	expect_entries(&a, "error", "PAX record of 8 bytes that says 9");

	memset(&a, 0, sizeof(a));
	archive_add(&a, 'x', "pax", "14 path=first\n", 0);
	archive_add(&a, 'x', "pax", "15 path=second\n", 0);
	archive_add(&a, '0', "header", "1234", 0644);
	archive_add(&a, 'x', "pax", "8 path=\n", 0);
	archive_add(&a, '0', "own", "", 0644);
	archive_end(&a);
	expect_entries(&a, "second:0:4,own:0:0,", "the last PAX header counts, an empty value is none");

	memset(&a, 0, sizeof(a));
	snprintf(text, sizeof(text), "%s", "12 size=300\n");
	archive_add(&a, 'x', "pax", text, 0);
	archive_header(&a, '0', "big", "", 0, 0644);
	a.len += 512;
	archive_add(&a, '0', "next", "", 0644);
	archive_end(&a);
	expect_entries(&a, "big:0:300,next:0:0,", "PAX size");
}

/* However it is cut or changed, the reader ends, and within what it was given (ASan watches). */
static void cuts_and_flips(void)
{
	static struct archive a, b;
	char got[4096];

	archive_add(&a, 'x', "pax", "14 path=first\n30 SCHILY.xattr.user.a=content\n", 0);
	archive_add(&a, '0', "file", "some content", 0644);
	archive_add(&a, 'L', "././@LongLink", "a-long-name", 0);
	archive_add(&a, '1', "link", "first", 0644);
	archive_end(&a);
	for (size_t len = 0; len < a.len; len += 7) {
		memcpy(&b, &a, sizeof(a));
		b.len = len;
		read_all(&b, 100, got, sizeof(got));
	}
	srand(1);
	for (int i = 0; i < 20000; i++) {
		memcpy(b.bytes, a.bytes, a.len);
		b.len = a.len;
		for (int j = rand() % 4; j >= 0; j--) {
			size_t at = (size_t)rand() % a.len;

			b.bytes[at] = (uint8_t)rand();
			/* Keep the checksum right half of the time, so that it is not what refuses. */
			if (i % 2) {
				uint8_t *h = b.bytes + (at & ~(size_t)511);
				unsigned int sum = 0;

				memset(h + 148, ' ', 8);
				for (int k = 0; k < 512; k++)
					sum += h[k];
				snprintf((char *)h + 148, 8, "%06o", sum);
			}
		}
		read_all(&b, (size_t)(i % 700) + 1, got, sizeof(got));
	}
}

int main(void)
{
	numbers();
	formats();
	cuts_and_flips();
	return failed;
}
