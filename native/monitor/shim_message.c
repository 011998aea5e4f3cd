/* SPDX-License-Identifier: Apache-2.0 */
#include "shim_message.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

void ttrpc_header_parse(const uint8_t b[TTRPC_HEADER], struct ttrpc_header *ret)
{
	ret->len = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	ret->stream = (uint32_t)b[4] << 24 | (uint32_t)b[5] << 16 | (uint32_t)b[6] << 8 | b[7];
	ret->type = b[8];
	ret->flags = b[9];
}

static void put_u32(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 24);
	at[1] = (uint8_t)(v >> 16);
	at[2] = (uint8_t)(v >> 8);
	at[3] = (uint8_t)v;
}

size_t ttrpc_answer(uint8_t buf[TTRPC_ANSWER_MAX], uint32_t stream, enum ttrpc_code code, const char *message)
{
	uint8_t *at = buf + TTRPC_HEADER;

	if (code != TTRPC_OK) { /* Response.status = 1 { code = 1, message = 2 }; every length takes one byte */
		size_t n = strlen(message);

		if (n > TTRPC_ANSWER_MAX - TTRPC_HEADER - 6)
			n = TTRPC_ANSWER_MAX - TTRPC_HEADER - 6;
		*at++ = 1 << 3 | 2;
		*at++ = (uint8_t)(4 + n);
		*at++ = 1 << 3;
		*at++ = (uint8_t)code;
		*at++ = 2 << 3 | 2;
		*at++ = (uint8_t)n;
		memcpy(at, message, n);
		at += n;
	}
	put_u32(buf, (uint32_t)(at - buf - TTRPC_HEADER));
	put_u32(buf + 4, stream);
	buf[8] = TTRPC_RESPONSE;
	buf[9] = 0;
	return (size_t)(at - buf);
}

/* google.protobuf.Timestamp; what is before 1970 (Go's zero time) or out of range is 0. */
static int take_timestamp(struct proto_view m, int64_t *ret_ns)
{
	uint64_t seconds, nanos;

	if (proto_number(m, 1, &seconds) < 0 || proto_number(m, 2, &nanos) < 0)
		return -EINVAL;
	*ret_ns = 0;
	if (seconds < INT64_MAX / 1000000000 && nanos < 1000000000)
		*ret_ns = (int64_t)(seconds * 1000000000 + nanos);
	return 0;
}

/* The type's name without the host that may stand before it. */
static bool is_type(const char *url, const char *name)
{
	const char *slash = strrchr(url, '/');

	return strcmp(slash ? slash + 1 : url, name) == 0;
}

static int take_event(const char *type, struct proto_view event, struct shim_event *ret)
{
	struct proto_view stamp;
	uint64_t status;

	if (is_type(type, "containerd.events.TaskStart"))
		ret->kind = SHIM_START;
	else if (is_type(type, "containerd.events.TaskExit"))
		ret->kind = SHIM_EXIT;
	else if (is_type(type, "containerd.events.TaskOOM"))
		ret->kind = SHIM_OOM;
	else
		return 0;
	if (proto_string(event, 1, ret->container, sizeof(ret->container)) < 0)
		return -EINVAL;
	if (ret->kind != SHIM_EXIT)
		return 0;
	if (proto_string(event, 2, ret->exec, sizeof(ret->exec)) < 0 || proto_number(event, 4, &status) < 0 ||
	    proto_bytes(event, 5, &stamp) < 0 || take_timestamp(stamp, &ret->exited_ns) < 0)
		return -EINVAL;
	ret->exit_status = (uint32_t)status;
	if (strcmp(ret->exec, ret->container) == 0)
		ret->exec[0] = '\0';
	return 0;
}

int shim_event_parse(struct proto_view request, struct shim_event *ret)
{
	struct proto_view payload, envelope, any, value;
	char text[128];

	*ret = (struct shim_event){ 0 };
	if (proto_string(request, 1, text, sizeof(text)) < 0)
		return -EINVAL;
	if (strcmp(text, "containerd.services.events.ttrpc.v1.Events") != 0)
		return -ENOSYS;
	if (proto_string(request, 2, text, sizeof(text)) < 0)
		return -EINVAL;
	if (strcmp(text, "Forward") != 0)
		return -ENOSYS;
	if (proto_bytes(request, 3, &payload) < 0 || proto_bytes(payload, 1, &envelope) < 0 ||
	    proto_bytes(envelope, 4, &any) < 0 || proto_string(any, 1, text, sizeof(text)) < 0 ||
	    proto_bytes(any, 2, &value) < 0)
		return -EINVAL;
	return take_event(text, value, ret);
}
