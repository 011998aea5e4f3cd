/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: what a shim sends. An event that is taken has ids within their bounds; an answer is one whole frame. */
#include <errno.h>

#include "base/fuzz.h"
#include "monitor/shim_message.h"

static void walk(struct proto_view m, int depth)
{
	struct proto_field f;
	size_t pos = 0, before = 0;
	int r;

	while ((r = proto_next(m, &pos, &f)) > 0) {
		FUZZ_HOLDS(pos > before && pos <= m.len, "the walk stands still at %zu of %zu", pos, m.len);
		before = pos;
		if (f.type == 2)
			FUZZ_HOLDS(f.bytes.at >= m.at && f.bytes.at + f.bytes.len <= m.at + m.len, "a field lies outside");
		if (f.type == 2 && depth < 6)
			walk(f.bytes, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proto_view message = { data, size };
	uint8_t frame[TTRPC_ANSWER_MAX];
	struct shim_event event;
	struct ttrpc_header h;
	int r = shim_event_parse(message, &event);

	walk(message, 0);
	FUZZ_HOLDS(r == 0 || r == -EINVAL || r == -ENOSYS, "the parser gives %d", r);
	if (r == 0)
		FUZZ_HOLDS(strnlen(event.container, sizeof(event.container)) <= SHIM_ID_MAX &&
			   strnlen(event.exec, sizeof(event.exec)) <= SHIM_ID_MAX && event.exited_ns >= 0,
			   "an event out of bounds");
	if (size >= TTRPC_HEADER) {
		char text[256];
		struct fuzz_input in = { data + TTRPC_HEADER, size - TTRPC_HEADER };
		size_t n;

		ttrpc_header_parse(data, &h);
		n = ttrpc_answer(frame, h.stream, TTRPC_UNIMPLEMENTED, fuzz_text(&in, text, sizeof(text)));
		FUZZ_HOLDS(n <= sizeof(frame), "an answer of %zu bytes", n);
		ttrpc_header_parse(frame, &h);
		FUZZ_HOLDS(h.len == n - TTRPC_HEADER && h.type == TTRPC_RESPONSE, "an answer that is no frame");
	}
	return 0;
}
