/* SPDX-License-Identifier: Apache-2.0 */
#include "hex.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

ssize_t hex_take(struct json_view v, uint8_t *ret, size_t max)
{
	cleanup_free char *text = malloc(2 * max + 1);
	int n;

	if (!text)
		return -ENOMEM;
	n = json_view_string(v, text, 2 * max + 1);
	if (n < 0 || n % 2)
		return -EINVAL;
	for (int i = 0; i < n; i += 2) {
		int high = digit(text[i]), low = digit(text[i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		ret[i / 2] = (uint8_t)(high << 4 | low);
	}
	return n / 2;
}

void hex_put(struct text *t, const void *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *at = bytes;
	char two[3] = "";

	for (size_t i = 0; i < len; i++) {
		two[0] = digits[at[i] >> 4];
		two[1] = digits[at[i] & 15];
		text_str(t, two);
	}
}
