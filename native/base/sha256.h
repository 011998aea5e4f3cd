/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4) of a stream. Uses the processor's SHA instructions where it has them.
 */
#ifndef KOBAKO_BASE_SHA256_H
#define KOBAKO_BASE_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_HEX 65 /* 64 digits and a 0 */

struct sha256 {
	uint32_t h[8];
	uint64_t bytes;
	uint8_t block[64];
	size_t fill; /* bytes of block in use */
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t len);

/* Ends the stream: 64 lower-case hexadecimal digits and a 0. */
void sha256_hex(struct sha256 *s, char ret[SHA256_HEX]);

/* For tests: use the portable rounds even where the processor has better. */
void sha256_force_portable(bool on);

#endif
