/* SPDX-License-Identifier: Apache-2.0 */
/* FIPS 180-4 examples, and equality of both kinds of rounds over many lengths and splits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"

static int failed;

static void digest(const char *data, size_t len, size_t piece, char ret[SHA256_HEX])
{
	struct sha256 s;

	sha256_init(&s);
	for (size_t at = 0; at < len; at += piece)
		sha256_add(&s, data + at, len - at < piece ? len - at : piece);
	sha256_hex(&s, ret);
}

static void expect(const char *what, const char *data, size_t len, const char *want)
{
	char got[SHA256_HEX];

	for (int portable = 0; portable < 2; portable++) {
		sha256_force_portable(portable);
		digest(data, len, 1000, got);
		if (strcmp(got, want)) {
			printf("%s (portable %d): %s, expected %s\n", what, portable, got, want);
			failed = 1;
		}
	}
}

int main(void)
{
	char *a = malloc(1000000), one[SHA256_HEX], two[SHA256_HEX];

	if (!a)
		return 1;
	memset(a, 'a', 1000000);
	expect("empty", "", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	expect("abc", "abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	expect("two blocks", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
	       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	expect("a million a", a, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	for (size_t len = 0; len < 300; len++) {
		for (size_t i = 0; i < len; i++)
			a[i] = (char)(i * 7 + len);
		sha256_force_portable(true);
		digest(a, len, len % 61 + 1, one);
		sha256_force_portable(false);
		digest(a, len, len % 97 + 1, two);
		if (strcmp(one, two)) {
			printf("length %zu: the two rounds differ\n", len);
			failed = 1;
		}
	}
	free(a);
	return failed;
}
