/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames from a client's stream connection, cut into pieces as they come: u8 stream, u32 big-endian
 * length, bytes. Standard input passes through in any pieces; control frames are kept until whole.
 */
#ifndef KOBAKO_MONITOR_SESSION_H
#define KOBAKO_MONITOR_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum stream_id { STREAM_STDIN = 0, STREAM_STDOUT = 1, STREAM_STDERR = 2, STREAM_STATUS = 3, STREAM_RESIZE = 4 };

/* Largest frame of standard input, in bytes; nothing is buffered for it. */
#define STREAM_STDIN_MAX (16u << 20)
#define STREAM_CONTROL_MAX 256u

struct stream_parser {
	uint8_t head[5];
	size_t head_len;
	uint32_t left;                 /* of the frame's bytes */
	char control[STREAM_CONTROL_MAX];
	size_t control_len;
};

struct stream_sink {
	/* Takes bytes of standard input; returns how many. Fewer than given: full, the rest comes again. */
	size_t (*stdin_bytes)(void *arg, const char *bytes, size_t len);
	void (*stdin_end)(void *arg);
	/* One whole control frame. False: it is none, cut the connection. */
	bool (*resize)(void *arg, const char *json, size_t len);
	void *arg;
};

/* Returns how many bytes were taken, -1 when the peer broke the protocol. Pure but for the sink. */
ssize_t stream_parse(struct stream_parser *p, const struct stream_sink *sink, const char *bytes, size_t len);

/* {"width":N,"height":N}, each 0 to 65535. */
bool stream_resize_size(const char *json, size_t len, uint16_t *ret_width, uint16_t *ret_height);

#endif
