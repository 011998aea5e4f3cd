/* SPDX-License-Identifier: Apache-2.0 */
/* IP addresses of both families as plain values. Pure. */
#ifndef KOBAKO_CNI_ADDR_H
#define KOBAKO_CNI_ADDR_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>

#define IP_TEXT (INET6_ADDRSTRLEN + 5)

struct ip {
	int family;         /* AF_INET or AF_INET6; 0: none */
	uint8_t byte[16];   /* network order; IPv4 uses the first four, the rest are 0 */
};

/* An address with the length of its network's prefix. */
struct ip_net {
	struct ip ip;
	unsigned int plen;
};

static inline unsigned int ip_len(const struct ip *a)
{
	return a->family == AF_INET ? 4 : 16;
}

/* "10.0.0.1", "fd00::1"; an IPv4-mapped address becomes IPv4. False: neither. */
bool ip_parse(const char *text, struct ip *ret);
/* "10.0.0.1/24". False: not of this form. */
bool ip_net_parse(const char *text, struct ip_net *ret);
/* Writes at most IP_TEXT bytes and returns buf. */
char *ip_print(const struct ip *a, char *buf);
char *ip_net_print(const struct ip_net *n, char *buf);

/* <0, 0, >0; IPv4 sorts before IPv6. */
int ip_cmp(const struct ip *a, const struct ip *b);
/* The address after a; wraps at the end of the family. */
struct ip ip_next(const struct ip *a);
/* The first address of the network (host bits 0) and the last (host bits 1). */
struct ip ip_net_first(const struct ip_net *n);
struct ip ip_net_last(const struct ip_net *n);
bool ip_net_contains(const struct ip_net *n, const struct ip *a);
bool ip_is_any(const struct ip *a);
bool ip_is_loopback(const struct ip *a);
/* The prefix as a mask: len bytes of ones and zeros. */
void ip_mask(unsigned int plen, unsigned int len, uint8_t *ret);

#endif
