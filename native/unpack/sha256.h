/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4) of a stream. Uses the processor's SHA instructions where it has them.
 */
#ifndef KOBAKO_UNPACK_SHA256_H
#define KOBAKO_UNPACK_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32
/* "sha256:" + 64 hexadecimal digits + end */
#define DIGEST_TEXT (7 + 64 + 1)

struct sha256 {
	uint32_t h[8];
	uint64_t bytes;
	uint8_t block[64];
	size_t fill; /* bytes of block in use */
};

void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *data, size_t len);

/* Ends the stream; writes it as an OCI digest, "sha256:<hex>". */
void sha256_digest(struct sha256 *s, char ret[DIGEST_TEXT]);

/* For tests: use the portable rounds even where the processor has better. */
void sha256_force_portable(bool on);

#endif
