/* SPDX-License-Identifier: Apache-2.0 */
/* What a shim sends is an event or refused; no byte of it is trusted. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/shim_message.h"

static int failed;

#define CHECK(cond, ...)                                               \
	do {                                                           \
		if (!(cond)) {                                         \
			printf("shim_message_test:%d: ", __LINE__);    \
			printf(__VA_ARGS__);                           \
			printf("\n");                                  \
			failed = 1;                                    \
		}                                                      \
	} while (0)

/* A message that is written: bytes fields and numbers. */
struct out {
	uint8_t at[1024];
	size_t len;
};

static void put_varint(struct out *o, uint64_t v)
{
	while (v >= 0x80) {
		o->at[o->len++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	o->at[o->len++] = (uint8_t)v;
}

static void put_bytes(struct out *o, uint32_t number, const void *bytes, size_t len)
{
	put_varint(o, number << 3 | 2);
	put_varint(o, len);
	memcpy(o->at + o->len, bytes, len);
	o->len += len;
}

static void put_string(struct out *o, uint32_t number, const char *s)
{
	put_bytes(o, number, s, strlen(s));
}

static void put_number(struct out *o, uint32_t number, uint64_t v)
{
	put_varint(o, number << 3);
	put_varint(o, v);
}

static struct out request_of(const char *type, const struct out *event)
{
	struct out any = { 0 }, envelope = { 0 }, forward = { 0 }, request = { 0 };

	put_string(&any, 1, type);
	put_bytes(&any, 2, event->at, event->len);
	put_string(&envelope, 2, "kobako");
	put_string(&envelope, 3, "/tasks/exit");
	put_bytes(&envelope, 4, any.at, any.len);
	put_bytes(&forward, 1, envelope.at, envelope.len);
	put_string(&request, 1, "containerd.services.events.ttrpc.v1.Events");
	put_string(&request, 2, "Forward");
	put_bytes(&request, 3, forward.at, forward.len);
	put_number(&request, 4, 5000000000);
	return request;
}

static struct out exit_of(const char *container, const char *id, uint64_t status)
{
	struct out event = { 0 }, stamp = { 0 };

	put_number(&stamp, 1, 1700000000);
	put_number(&stamp, 2, 7);
	put_string(&event, 1, container);
	put_string(&event, 2, id);
	put_number(&event, 3, 4711);
	put_number(&event, 4, status);
	put_bytes(&event, 5, stamp.at, stamp.len);
	return event;
}

static int parse(const struct out *o, struct shim_event *e)
{
	uint8_t *copy = malloc(o->len ? o->len : 1);
	int r;

	memcpy(copy, o->at, o->len); /* of exactly its size, so that a read past the end is seen */
	r = shim_event_parse((struct proto_view){ copy, o->len }, e);
	free(copy);
	return r;
}

static void reads_events(void)
{
	struct out event = exit_of("c1", "c1", 137), request = request_of("containerd.events.TaskExit", &event);
	struct shim_event e;

	CHECK(parse(&request, &e) == 0 && e.kind == SHIM_EXIT, "an exit");
	CHECK(strcmp(e.container, "c1") == 0 && e.exec[0] == '\0', "of a container: %s/%s", e.container, e.exec);
	CHECK(e.exit_status == 137 && e.exited_ns == 1700000000000000007, "its status and time");

	event = exit_of("c1", "e9", 0);
	request = request_of("type.googleapis.com/containerd.events.TaskExit", &event);
	CHECK(parse(&request, &e) == 0 && strcmp(e.exec, "e9") == 0, "of an exec, with a host before the type");

	request = request_of("containerd.events.TaskOOM", &event);
	CHECK(parse(&request, &e) == 0 && e.kind == SHIM_OOM, "out of memory");
	request = request_of("containerd.events.TaskStart", &event);
	CHECK(parse(&request, &e) == 0 && e.kind == SHIM_START, "a start");
	request = request_of("containerd.events.TaskPaused", &event);
	CHECK(parse(&request, &e) == 0 && e.kind == SHIM_OTHER, "others are of no meaning");
}

static void a_time_before_1970_is_none(void)
{
	struct out event = { 0 }, stamp = { 0 }, request;
	struct shim_event e;

	put_number(&stamp, 1, (uint64_t)-62135596800); /* Go's zero time */
	put_string(&event, 1, "c");
	put_bytes(&event, 5, stamp.at, stamp.len);
	request = request_of("containerd.events.TaskExit", &event);
	CHECK(parse(&request, &e) == 0 && e.exited_ns == 0, "%lld", (long long)e.exited_ns);
}

static void refuses_the_rest(void)
{
	struct out event = { 0 }, request = { 0 };
	struct shim_event e;
	char id[200];

	put_string(&request, 1, "containerd.task.v2.Task");
	CHECK(parse(&request, &e) == -ENOSYS, "another service");
	memset(id, 'x', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	event = exit_of(id, id, 0);
	request = request_of("containerd.events.TaskExit", &event);
	CHECK(parse(&request, &e) == -EINVAL, "an id that is too long");
	event.len = 0;
	put_bytes(&event, 1, "a\0b", 3);
	request = request_of("containerd.events.TaskExit", &event);
	CHECK(parse(&request, &e) == -EINVAL, "an id with a NUL");
	event.len = 0;
	put_number(&event, 1, 7);
	request = request_of("containerd.events.TaskExit", &event);
	CHECK(parse(&request, &e) == -EINVAL, "an id that is a number");
}

/* Every prefix, every one-byte change and a lot of noise: judged without a read out of bounds. */
static void survives_damage(void)
{
	struct out event = exit_of("container", "exec", 1), whole = request_of("containerd.events.TaskExit", &event), o;
	struct shim_event e;
	uint32_t x = 1;

	for (size_t n = 0; n < whole.len; n++) {
		o = whole;
		o.len = n;
		parse(&o, &e);
	}
	for (size_t at = 0; at < whole.len; at++)
		for (int byte = 0; byte < 256; byte++) {
			o = whole;
			o.at[at] = (uint8_t)byte;
			if (parse(&o, &e) == 0)
				CHECK(strlen(e.container) <= SHIM_ID_MAX && strlen(e.exec) <= SHIM_ID_MAX, "ids keep their bounds");
		}
	for (int i = 0; i < 50000; i++) {
		o.len = x % 64;
		for (size_t n = 0; n < o.len; n++) {
			x ^= x << 13;
			x ^= x >> 17;
			x ^= x << 5;
			o.at[n] = (uint8_t)(x % 3 ? x % 32 : x >> 8);
		}
		x ^= x << 7;
		parse(&o, &e);
	}
}

static void answers_in_frames(void)
{
	static const uint8_t ok[] = { 0, 0, 0, 0, 0, 0, 0, 5, 2, 0 };
	static const uint8_t no[] = { 0, 0, 0, 8, 0, 0, 0, 7, 2, 0, 0x0a, 6, 8, 12, 0x12, 2, 'n', 'o' };
	uint8_t buf[TTRPC_ANSWER_MAX];
	char text[400];
	struct ttrpc_header h;
	size_t n = ttrpc_answer(buf, 5, TTRPC_OK, "");

	CHECK(n == sizeof(ok) && memcmp(buf, ok, n) == 0, "an empty answer");
	n = ttrpc_answer(buf, 7, TTRPC_UNIMPLEMENTED, "no");
	CHECK(n == sizeof(no) && memcmp(buf, no, n) == 0, "a status");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	n = ttrpc_answer(buf, 9, TTRPC_INVALID_ARGUMENT, text);
	ttrpc_header_parse(buf, &h);
	CHECK(n <= TTRPC_ANSWER_MAX && h.len == n - TTRPC_HEADER && h.stream == 9, "a long text is cut");
}

int main(void)
{
	reads_events();
	a_time_before_1970_is_none();
	refuses_the_rest();
	survives_damage();
	answers_in_frames();
	return failed;
}
