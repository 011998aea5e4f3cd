/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a containerd shim tells: ttrpc frames that hold task events. Pure: bytes in, values out.
 * Sources: containerd/ttrpc PROTOCOL.md; containerd/api services/ttrpc/events/v1, types/event.proto, events/task.proto.
 */
#ifndef KOBAKO_MONITOR_SHIM_MESSAGE_H
#define KOBAKO_MONITOR_SHIM_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "monitor/proto_view.h"

#define TTRPC_HEADER 10
#define TTRPC_REQUEST 1
#define TTRPC_RESPONSE 2
#define SHIM_ID_MAX 128

struct ttrpc_header {
	uint32_t len, stream;
	uint8_t type, flags;
};

void ttrpc_header_parse(const uint8_t bytes[TTRPC_HEADER], struct ttrpc_header *ret);

/* gRPC codes of answers. */
enum ttrpc_code { TTRPC_OK = 0, TTRPC_INVALID_ARGUMENT = 3, TTRPC_RESOURCE_EXHAUSTED = 8, TTRPC_UNIMPLEMENTED = 12 };

#define TTRPC_ANSWER_MAX 96
/* The frame that answers `stream`: an empty message, or the code. Returns its length. */
size_t ttrpc_answer(uint8_t buf[TTRPC_ANSWER_MAX], uint32_t stream, enum ttrpc_code code, const char *message);

enum shim_event_kind { SHIM_OTHER, SHIM_START, SHIM_EXIT, SHIM_OOM };

struct shim_event {
	enum shim_event_kind kind;
	char container[SHIM_ID_MAX + 1];
	char exec[SHIM_ID_MAX + 1]; /* "": the container's first process */
	uint32_t exit_status;
	int64_t exited_ns; /* since 1970; 0: the shim did not say */
};

/* Reads a request. SHIM_OTHER for events of no meaning here. -ENOSYS: another method; -EINVAL: malformed. */
int shim_event_parse(struct proto_view request, struct shim_event *ret);

#endif
