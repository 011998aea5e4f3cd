/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that grows: how the monitor writes JSON. A failure (no memory, over the cap) sticks and is
 * asked for once, at the end. Released with text_free; a zeroed struct is an empty text.
 */
#ifndef KOBAKO_MONITOR_TEXT_H
#define KOBAKO_MONITOR_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Largest message of the protocol, in bytes. */
#define TEXT_MAX (1024 * 1024)

struct text {
	char *at; /* not terminated */
	size_t len, room;
	bool failed;
};

void text_put(struct text *t, const char *bytes, size_t len);
void text_str(struct text *t, const char *s);
void text_fmt(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* `s` as a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
void text_json(struct text *t, const char *s);

void text_free(struct text *t);
static inline void cleanup_text_func(struct text *t)
{
	text_free(t);
}
#define cleanup_text __attribute__((cleanup(cleanup_text_func)))

/* Length of the UTF-8 sequence at s (at most n bytes), 0 when it is none (overlong, surrogate, cut). */
size_t utf8_sequence(const char *s, size_t n);

#endif
