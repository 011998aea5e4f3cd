/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small D-Bus client: enough to ask systemd for units. One connection, one call at a time, everything under one
 * deadline. Little endian, no descriptors, messages of at most 256 KiB; what is larger or malformed ends the
 * connection with EPROTO. Source: D-Bus specification 0.41, "Type System", "Message Protocol", "Authentication".
 *
 *   connect, "\0AUTH EXTERNAL <uid in hex>" and "BEGIN"  ->  "OK <guid>"
 *   on a bus: Hello, once; on systemd's private socket there is no bus and no name
 *   call  ->  (signals, passed over)  ->  return or error
 */
#ifndef KOBAKO_CGROUP_DBUS_H
#define KOBAKO_CGROUP_DBUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { DBUS_BODY_MAX = 64 << 10, DBUS_MESSAGE_MAX = 256 << 10 };

/* A body on its way out: the values one after the other, as the signature says. Too much of them: `full`. */
struct dbus_out {
	uint8_t *data;
	size_t len, room;
	bool full;
};

void dbus_out_free(struct dbus_out *o);
void dbus_put_u8(struct dbus_out *o, uint8_t value);
void dbus_put_bool(struct dbus_out *o, bool value);
void dbus_put_u32(struct dbus_out *o, uint32_t value);
void dbus_put_u64(struct dbus_out *o, uint64_t value);
void dbus_put_double(struct dbus_out *o, double value);
void dbus_put_string(struct dbus_out *o, const char *value); /* an object path too */
void dbus_put_signature(struct dbus_out *o, const char *value);
void dbus_put_struct(struct dbus_out *o); /* a struct or a dict entry begins */

/* An array of elements that are aligned to `align` bytes: begin gives what end takes. */
size_t dbus_array_begin(struct dbus_out *o, size_t align);
void dbus_array_end(struct dbus_out *o, size_t begun, size_t align);

enum { DBUS_CALL = 1, DBUS_RETURN, DBUS_ERROR, DBUS_SIGNAL };

/* A message that came. Texts and body point into the connection's buffer, until the next call. */
struct dbus_message {
	int type;
	uint32_t reply_to;
	const char *member, *error, *signature; /* "" when absent */
	const uint8_t *body;
	size_t len, at;
};

/* The next value of the body; -EPROTO past its end. Strings end with 0 and lie in the body. */
int dbus_get_u32(struct dbus_message *m, uint32_t *ret);
int dbus_get_string(struct dbus_message *m, const char **ret);
int dbus_get_signature(struct dbus_message *m, const char **ret);

struct dbus {
	int fd;
	bool bus;         /* behind a bus: calls name their destination */
	uint32_t serial;
	int64_t deadline; /* CLOCK_MONOTONIC, ms */
	uint8_t *in;      /* DBUS_MESSAGE_MAX bytes */
	size_t have;      /* bytes of in that came */
	size_t taken;     /* of them: of the message that was given out last */
};

/* Connects to the socket at path and authenticates; with `bus` says Hello. close it also after a failure. */
int dbus_open(struct dbus *b, const char *path, bool bus, int timeout_ms, struct err *e);
void dbus_close(struct dbus *b);

struct dbus_target {
	const char *destination, *path, *interface;
};

/*
 * Calls a method and waits for its answer. An answer that is an error: -EREMOTEIO with its name and text in *e, and
 * *ret_answer is it. body NULL: none.
 */
int dbus_call(struct dbus *b, const struct dbus_target *to, const char *member, const char *signature,
	      const struct dbus_out *body, struct dbus_message *ret_answer, struct err *e);

/* The next message, whatever it is. -ETIMEDOUT at the deadline. */
int dbus_next(struct dbus *b, struct dbus_message *ret, struct err *e);

#endif
