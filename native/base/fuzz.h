/* SPDX-License-Identifier: Apache-2.0 */
/* For *_fuzz.c: cutting an input into parts, and saying what does not hold. */
#ifndef KOBAKO_BASE_FUZZ_H
#define KOBAKO_BASE_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libFuzzer's entry. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A sentence that must be true of every input. */
#define FUZZ_HOLDS(condition, ...)                           \
	do {                                                 \
		if (!(condition)) {                          \
			fprintf(stderr, "does not hold: " __VA_ARGS__); \
			fprintf(stderr, "\n");                \
			abort();                             \
		}                                            \
	} while (0)

struct fuzz_input {
	const uint8_t *at;
	size_t len;
};

/* One byte; 0 at the end. */
static inline uint8_t fuzz_byte(struct fuzz_input *in)
{
	if (!in->len)
		return 0;
	in->len--;
	return *in->at++;
}

/* Text up to the next 0 or the end, at most size - 1 bytes of it, terminated. */
static inline char *fuzz_text(struct fuzz_input *in, char *buf, size_t size)
{
	size_t n = 0;

	while (in->len) {
		uint8_t c = fuzz_byte(in);

		if (!c)
			break;
		if (n + 1 < size)
			buf[n++] = (char)c;
	}
	buf[n] = '\0';
	return buf;
}

/* A folder of this process's own in $TMPDIR; hack/fuzz removes what is left there. */
static inline char *fuzz_folder(char *buf, size_t size)
{
	const char *tmp = getenv("TMPDIR");

	if (!*buf) {
		snprintf(buf, size, "%s/kobako-fuzz-XXXXXX", tmp && *tmp ? tmp : "/tmp");
		FUZZ_HOLDS(mkdtemp(buf), "no folder at %s", buf);
	}
	return buf;
}

#endif
