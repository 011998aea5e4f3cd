/* SPDX-License-Identifier: Apache-2.0 */
#include "dbus.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* --- writing ---------------------------------------------------------------------------------- */

static uint8_t *grow(struct dbus_out *o, size_t align, size_t size)
{
	size_t at = (o->len + align - 1) / align * align;

	if (o->full || at + size > DBUS_BODY_MAX) {
		o->full = true;
		return NULL;
	}
	if (at + size > o->room) {
		size_t room = o->room ? o->room * 2 : 1024;
		uint8_t *more;

		while (room < at + size)
			room *= 2;
		more = realloc(o->data, room);
		if (!more) {
			o->full = true;
			return NULL;
		}
		o->data = more;
		o->room = room;
	}
	if (at > o->len)
		memset(o->data + o->len, 0, at - o->len);
	o->len = at + size;
	return o->data + at;
}

static void put(struct dbus_out *o, const void *value, size_t align, size_t size)
{
	uint8_t *to = grow(o, align, size);

	if (to && size)
		memcpy(to, value, size);
}

void dbus_out_free(struct dbus_out *o)
{
	free(o->data);
	memset(o, 0, sizeof(*o));
}

void dbus_put_u8(struct dbus_out *o, uint8_t value)
{
	put(o, &value, 1, 1);
}

void dbus_put_u32(struct dbus_out *o, uint32_t value)
{
	value = htole32(value);
	put(o, &value, 4, 4);
}

void dbus_put_bool(struct dbus_out *o, bool value)
{
	dbus_put_u32(o, value);
}

void dbus_put_u64(struct dbus_out *o, uint64_t value)
{
	value = htole64(value);
	put(o, &value, 8, 8);
}

void dbus_put_double(struct dbus_out *o, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	dbus_put_u64(o, bits);
}

void dbus_put_string(struct dbus_out *o, const char *value)
{
	size_t len = strlen(value);

	if (len > DBUS_BODY_MAX) {
		o->full = true;
		return;
	}
	dbus_put_u32(o, (uint32_t)len);
	put(o, value, 1, len + 1);
}

void dbus_put_signature(struct dbus_out *o, const char *value)
{
	size_t len = strlen(value);

	dbus_put_u8(o, (uint8_t)len);
	put(o, value, 1, len + 1);
}

void dbus_put_struct(struct dbus_out *o)
{
	grow(o, 8, 0);
}

size_t dbus_array_begin(struct dbus_out *o, size_t align)
{
	uint8_t *length = grow(o, 4, 4); /* known at the end */
	size_t at = length ? o->len - 4 : 0;

	grow(o, align, 0);
	return at;
}

void dbus_array_end(struct dbus_out *o, size_t begun, size_t align)
{
	/* What aligns the first element does not count. */
	size_t first = (begun + 4 + align - 1) / align * align;
	uint32_t len;

	if (o->full)
		return;
	len = htole32((uint32_t)(o->len - first));
	memcpy(o->data + begun, &len, sizeof(len));
}

/* --- reading ---------------------------------------------------------------------------------- */

static int get_u32_at(const uint8_t *data, size_t len, size_t *at, uint32_t *ret)
{
	size_t from = (*at + 3) / 4 * 4;

	if (from > len || len - from < 4)
		return -EPROTO;
	memcpy(ret, data + from, 4);
	*ret = le32toh(*ret);
	*at = from + 4;
	return 0;
}

/* A string of n bytes and its 0, which must be the first one. */
static int get_text_at(const uint8_t *data, size_t len, size_t *at, size_t n, const char **ret)
{
	if (*at > len || len - *at < n + 1 || memchr(data + *at, 0, n + 1) != data + *at + n)
		return -EPROTO;
	*ret = (const char *)data + *at;
	*at += n + 1;
	return 0;
}

int dbus_get_u32(struct dbus_message *m, uint32_t *ret)
{
	return get_u32_at(m->body, m->len, &m->at, ret);
}

int dbus_get_string(struct dbus_message *m, const char **ret)
{
	uint32_t n;
	int r = dbus_get_u32(m, &n);

	return r < 0 ? r : get_text_at(m->body, m->len, &m->at, n, ret);
}

int dbus_get_signature(struct dbus_message *m, const char **ret)
{
	size_t n;

	if (m->at >= m->len)
		return -EPROTO;
	n = m->body[m->at++];
	return get_text_at(m->body, m->len, &m->at, n, ret);
}

enum { FIELD_MEMBER = 3, FIELD_ERROR = 4, FIELD_REPLY = 5, FIELD_SIGNATURE = 8, HEADER_FIXED = 16 };

/* The array of header fields: code, variant. Each holds a string, an object path, a signature or a u32. */
static int parse_fields(const uint8_t *data, size_t len, struct dbus_message *ret)
{
	for (size_t at = 0; at < len; ) {
		const char *type, *text = "";
		uint32_t number = 0;
		uint8_t code;
		size_t n;

		at = (at + 7) / 8 * 8;
		if (at >= len || len - at < 4)
			return -EPROTO;
		code = data[at++];
		n = data[at++];
		if (get_text_at(data, len, &at, n, &type) < 0)
			return -EPROTO;
		if (!strcmp(type, "u")) {
			if (get_u32_at(data, len, &at, &number) < 0)
				return -EPROTO;
		} else if (!strcmp(type, "s") || !strcmp(type, "o")) {
			if (get_u32_at(data, len, &at, &number) < 0 || get_text_at(data, len, &at, number, &text) < 0)
				return -EPROTO;
		} else if (!strcmp(type, "g")) {
			if (at >= len)
				return -EPROTO;
			n = data[at++];
			if (get_text_at(data, len, &at, n, &text) < 0)
				return -EPROTO;
		} else {
			return -EPROTO;
		}
		if (code == FIELD_MEMBER)
			ret->member = text;
		else if (code == FIELD_ERROR)
			ret->error = text;
		else if (code == FIELD_REPLY)
			ret->reply_to = number;
		else if (code == FIELD_SIGNATURE)
			ret->signature = text;
	}
	return 0;
}

/* The size of the message that begins at data; 0: more bytes are needed; -EPROTO. */
static ssize_t message_size(const uint8_t *data, size_t have)
{
	uint32_t body, fields;

	if (have < HEADER_FIXED)
		return 0;
	memcpy(&body, data + 4, 4);
	memcpy(&fields, data + 12, 4);
	body = le32toh(body);
	fields = le32toh(fields);
	if (data[0] != 'l' || data[3] != 1 || body > DBUS_MESSAGE_MAX || fields > DBUS_MESSAGE_MAX)
		return -EPROTO;
	fields = (fields + 7) / 8 * 8;
	if (HEADER_FIXED + (size_t)fields + body > DBUS_MESSAGE_MAX)
		return -EPROTO;
	return (ssize_t)(HEADER_FIXED + (size_t)fields + body);
}

static int parse_message(const uint8_t *data, size_t size, struct dbus_message *ret)
{
	uint32_t fields;
	size_t body;

	*ret = (struct dbus_message){ .type = data[1], .member = "", .error = "", .signature = "" };
	memcpy(&fields, data + 12, 4);
	fields = le32toh(fields);
	body = HEADER_FIXED + (fields + 7) / 8 * 8;
	ret->body = data + body;
	ret->len = size - body;
	return parse_fields(data + HEADER_FIXED, fields, ret);
}

/* --- the connection --------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int wait_for(struct dbus *b, short events, struct err *e)
{
	for (;;) {
		struct pollfd p = { .fd = b->fd, .events = events };
		int64_t left = b->deadline - now_ms();
		int r = left > 0 ? poll(&p, 1, (int)left) : 0;

		if (r > 0)
			return 0;
		if (r == 0)
			return err_set(e, ETIMEDOUT, "wait for systemd");
		if (errno != EINTR)
			return err_set(e, errno, "poll");
	}
}

static int send_all(struct dbus *b, const void *data, size_t len, struct err *e)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = send(b->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_set(e, errno, "send to systemd");
		if (n < 0) {
			if (wait_for(b, POLLOUT, e) < 0)
				return -e->code;
			continue;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int receive(struct dbus *b, struct err *e)
{
	for (;;) {
		ssize_t n = recv(b->fd, b->in + b->have, DBUS_MESSAGE_MAX - b->have, MSG_DONTWAIT);

		if (n > 0) {
			b->have += (size_t)n;
			return 0;
		}
		if (n == 0)
			return err_set(e, ECONNRESET, "systemd closed the connection");
		if (errno != EAGAIN && errno != EINTR)
			return err_set(e, errno, "read from systemd");
		if (wait_for(b, POLLIN, e) < 0)
			return -e->code;
	}
}

static int authenticate(struct dbus *b, struct err *e)
{
	char line[64], id[16];
	int n = snprintf(id, sizeof(id), "%u", (unsigned int)geteuid());
	size_t len = (size_t)snprintf(line, sizeof(line), "%cAUTH EXTERNAL ", '\0');
	uint8_t *end;

	for (int i = 0; i < n; i++)
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%02x", (unsigned char)id[i]);
	/*
	 * BEGIN goes with it, before the OK is read: sent by itself it can reach systemd (252) in one read with the first
	 * call, and that call then lies there until more bytes come.
	 */
	len += (size_t)snprintf(line + len, sizeof(line) - len, "\r\nBEGIN\r\n");
	if (send_all(b, line, len, e) < 0)
		return -e->code;
	while (!(end = memmem(b->in, b->have, "\r\n", 2))) {
		if (b->have > 4096)
			return err_set(e, EPROTO, "systemd's answer to AUTH");
		if (receive(b, e) < 0)
			return err_wrap(e, "authenticate");
	}
	if (b->have < 3 || memcmp(b->in, "OK ", 3))
		return err_set(e, EACCES, "systemd refuses uid %s", id);
	b->have -= (size_t)(end + 2 - b->in);
	memmove(b->in, end + 2, b->have);
	return 0;
}

int dbus_open(struct dbus *b, const char *path, bool bus, int timeout_ms, struct err *e)
{
	static const struct dbus_target daemon = { "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus" };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct dbus_message answer;

	memset(b, 0, sizeof(*b));
	b->fd = -1;
	b->bus = bus;
	b->deadline = now_ms() + timeout_ms;
	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(e, ENAMETOOLONG, "connect to \"%s\"", path);
	strcpy(address.sun_path, path);
	b->in = malloc(DBUS_MESSAGE_MAX);
	if (!b->in)
		return err_set(e, ENOMEM, "connect to \"%s\"", path);
	b->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (b->fd < 0 || connect(b->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_set(e, errno, "connect to \"%s\"", path);
	if (authenticate(b, e) < 0)
		return err_wrap(e, "%s", path);
	return bus ? dbus_call(b, &daemon, "Hello", "", NULL, &answer, e) : 0;
}

void dbus_close(struct dbus *b)
{
	if (b->fd >= 0)
		close(b->fd);
	free(b->in);
	memset(b, 0, sizeof(*b));
	b->fd = -1;
}

static void put_field(struct dbus_out *o, uint8_t code, const char *type, const char *value)
{
	dbus_put_struct(o);
	dbus_put_u8(o, code);
	dbus_put_signature(o, type);
	if (*type == 'g')
		dbus_put_signature(o, value);
	else
		dbus_put_string(o, value);
}

static int send_call(struct dbus *b, const struct dbus_target *to, const char *member, const char *signature,
		     const struct dbus_out *body, struct err *e)
{
	struct dbus_out head = { 0 };
	size_t fields;
	int r;

	dbus_put_u8(&head, 'l');
	dbus_put_u8(&head, DBUS_CALL);
	dbus_put_u8(&head, 0);
	dbus_put_u8(&head, 1);
	dbus_put_u32(&head, body ? (uint32_t)body->len : 0);
	dbus_put_u32(&head, ++b->serial);
	fields = dbus_array_begin(&head, 8);
	put_field(&head, 1, "o", to->path);
	put_field(&head, 2, "s", to->interface);
	put_field(&head, FIELD_MEMBER, "s", member);
	if (b->bus)
		put_field(&head, 6, "s", to->destination);
	if (*signature)
		put_field(&head, FIELD_SIGNATURE, "g", signature);
	dbus_array_end(&head, fields, 8);
	dbus_put_struct(&head);
	if (head.full || (body && body->full)) {
		dbus_out_free(&head);
		return err_set(e, E2BIG, "%s", member);
	}
	r = send_all(b, head.data, head.len, e);
	dbus_out_free(&head);
	return r == 0 && body ? send_all(b, body->data, body->len, e) : r;
}

int dbus_next(struct dbus *b, struct dbus_message *ret, struct err *e)
{
	ssize_t size;

	b->have -= b->taken;
	memmove(b->in, b->in + b->taken, b->have);
	b->taken = 0;
	while ((size = message_size(b->in, b->have)) >= 0) {
		if (size && b->have >= (size_t)size) {
			if (parse_message(b->in, (size_t)size, ret) < 0)
				break;
			b->taken = (size_t)size;
			return 0;
		}
		if (receive(b, e) < 0)
			return -e->code;
	}
	return err_set(e, EPROTO, "systemd's answer can't be read");
}

int dbus_call(struct dbus *b, const struct dbus_target *to, const char *member, const char *signature,
	      const struct dbus_out *body, struct dbus_message *ret_answer, struct err *e)
{
	if (send_call(b, to, member, signature, body, e) < 0)
		return err_wrap(e, "%s", member);
	for (;;) {
		const char *text = "";

		if (dbus_next(b, ret_answer, e) < 0)
			return err_wrap(e, "%s", member);
		if (ret_answer->reply_to != b->serial)
			continue;
		if (ret_answer->type == DBUS_RETURN)
			return 0;
		if (ret_answer->type == DBUS_ERROR) {
			if (*ret_answer->signature == 's')
				dbus_get_string(ret_answer, &text);
			return err_set(e, EREMOTEIO, "%s: %.100s: %.250s", member, ret_answer->error, text);
		}
	}
}
