// SPDX-License-Identifier: Apache-2.0
#include "addr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool ip_parse(const char *text, struct ip *ret)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	struct ip a = { .family = AF_INET };

	if (inet_pton(AF_INET, text, a.byte) != 1) {
		a.family = AF_INET6;
		if (inet_pton(AF_INET6, text, a.byte) != 1)
			return false;
		if (!memcmp(a.byte, mapped, sizeof(mapped))) {
			a.family = AF_INET;
			memcpy(a.byte, a.byte + 12, 4);
			memset(a.byte + 4, 0, 12);
		}
	}
	*ret = a;
	return true;
}

bool ip_net_parse(const char *text, struct ip_net *ret)
{
	const char *slash = strchr(text, '/');
	char host[INET6_ADDRSTRLEN];
	struct ip_net n = { 0 };
	size_t len;

	if (!slash || (len = (size_t)(slash - text)) >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = 0;
	/* One to three digits: strtoul alone would take signs and blanks. */
	if (strspn(slash + 1, "0123456789") != strlen(slash + 1) || !slash[1] || strlen(slash + 1) > 3)
		return false;
	n.plen = (unsigned int)strtoul(slash + 1, NULL, 10);
	if (!ip_parse(host, &n.ip) || n.plen > ip_len(&n.ip) * 8)
		return false;
	*ret = n;
	return true;
}

char *ip_print(const struct ip *a, char *buf)
{
	if (!a->family || !inet_ntop(a->family, a->byte, buf, INET6_ADDRSTRLEN))
		buf[0] = 0;
	return buf;
}

char *ip_net_print(const struct ip_net *n, char *buf)
{
	ip_print(&n->ip, buf);
	snprintf(buf + strlen(buf), 5, "/%u", n->plen % 1000);
	return buf;
}

int ip_cmp(const struct ip *a, const struct ip *b)
{
	if (a->family != b->family)
		return a->family == AF_INET ? -1 : 1;
	return memcmp(a->byte, b->byte, ip_len(a));
}

struct ip ip_next(const struct ip *a)
{
	struct ip next = *a;

	for (unsigned int i = ip_len(a); i-- > 0;)
		if (++next.byte[i])
			break;
	return next;
}

void ip_mask(unsigned int plen, unsigned int len, uint8_t *ret)
{
	for (unsigned int i = 0; i < len; i++) {
		unsigned int bits = plen > i * 8 ? plen - i * 8 : 0;

		ret[i] = bits >= 8 ? 0xff : (uint8_t)(0xff00u >> bits);
	}
}

struct ip ip_net_first(const struct ip_net *n)
{
	struct ip a = n->ip;
	uint8_t mask[16];

	ip_mask(n->plen, sizeof(mask), mask);
	for (unsigned int i = 0; i < sizeof(mask); i++)
		a.byte[i] &= mask[i];
	return a;
}

struct ip ip_net_last(const struct ip_net *n)
{
	struct ip a = n->ip;
	uint8_t mask[16];

	ip_mask(n->plen, sizeof(mask), mask);
	for (unsigned int i = 0; i < ip_len(&a); i++)
		a.byte[i] |= (uint8_t)~mask[i];
	return a;
}

bool ip_net_contains(const struct ip_net *n, const struct ip *a)
{
	struct ip_net other = { *a, n->plen };
	struct ip x = ip_net_first(n);
	struct ip y = ip_net_first(&other);

	return ip_cmp(&x, &y) == 0;
}

bool ip_is_any(const struct ip *a)
{
	static const uint8_t zero[16];

	return !memcmp(a->byte, zero, ip_len(a));
}

bool ip_is_loopback(const struct ip *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->family == AF_INET ? a->byte[0] == 127 : !memcmp(a->byte, one, 16);
}
