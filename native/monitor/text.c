/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_put(struct text *t, const char *bytes, size_t len)
{
	if (t->failed)
		return;
	if (len > TEXT_MAX || t->len + len > TEXT_MAX) {
		t->failed = true;
		return;
	}
	if (t->len + len > t->room) {
		size_t room = t->room ? t->room * 2 : 256;
		char *more;

		while (room < t->len + len)
			room *= 2;
		more = realloc(t->at, room);
		if (!more) {
			t->failed = true;
			return;
		}
		t->at = more;
		t->room = room;
	}
	memcpy(t->at + t->len, bytes, len);
	t->len += len;
}

void text_str(struct text *t, const char *s)
{
	text_put(t, s, strlen(s));
}

void text_fmt(struct text *t, const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line))
		t->failed = true;
	else
		text_put(t, line, (size_t)n);
}

/* RFC 3629, section 4. */
size_t utf8_sequence(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t len = 0;

	if (n == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		len = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		len = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		len = 4;
	if (len == 0 || n < len)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

void text_json(struct text *t, const char *s)
{
	size_t left = strlen(s);

	text_put(t, "\"", 1);
	while (left) {
		size_t n = utf8_sequence(s, left);

		if (n == 0) {
			text_str(t, "\xef\xbf\xbd");
			n = 1;
		} else if (*s == '"' || *s == '\\') {
			text_put(t, "\\", 1);
			text_put(t, s, 1);
		} else if ((unsigned char)*s < 0x20 || *s == 0x7f) {
			text_fmt(t, "\\u%04x", (unsigned int)(unsigned char)*s);
		} else {
			text_put(t, s, n);
		}
		s += n;
		left -= n;
	}
	text_put(t, "\"", 1);
}

void text_free(struct text *t)
{
	free(t->at);
	*t = (struct text){ 0 };
}
