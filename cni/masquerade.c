// SPDX-License-Identifier: Apache-2.0
#include "masquerade.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ruleset.h"

#define SUBNETS 16

static void comment(size_t i, const void *arg, char ret[NFT_COMMENT_MAX + 1])
{
	const struct ip_net *subnet = arg;
	struct ip_net net = { ip_net_first(subnet), subnet->plen };
	char text[IP_TEXT];

	snprintf(ret, NFT_COMMENT_MAX + 1, "from %s to the outside", ip_net_print(&net, text));
}

static void match_net(struct nft_batch *b, uint32_t offset, const struct ip_net *net, uint32_t op)
{
	struct ip first = ip_net_first(net);
	unsigned int len = ip_len(&first);
	uint8_t mask[16];

	ip_mask(net->plen, len, mask);
	nft_payload(b, NFT_PAYLOAD_NETWORK_HEADER, offset, len, NFT_REG_1);
	nft_mask(b, NFT_REG_1, mask, len);
	nft_cmp(b, NFT_REG_1, op, first.byte, len);
}

static void build(struct nft_batch *b, size_t i, const void *arg)
{
	static const struct ip_net multicast4 = { { AF_INET, { 224 } }, 4 };
	static const struct ip_net multicast6 = { { AF_INET6, { 0xff } }, 8 };
	const struct ip_net *net = arg;
	bool v4 = net->ip.family == AF_INET;
	uint8_t family = v4 ? NFPROTO_IPV4 : NFPROTO_IPV6;

	nft_meta(b, NFT_META_NFPROTO, NFT_REG_1);
	nft_cmp(b, NFT_REG_1, NFT_CMP_EQ, &family, 1);
	match_net(b, v4 ? 12 : 8, net, NFT_CMP_EQ);
	match_net(b, v4 ? 16 : 24, net, NFT_CMP_NEQ);
	match_net(b, v4 ? 16 : 24, v4 ? &multicast4 : &multicast6, NFT_CMP_NEQ);
	nft_masquerade(b);
}

/* One chain per subnet. Returns their number: at most SUBNETS are looked at, more than an answer holds. */
static size_t describe(const struct ip_net *subnets, size_t count, struct ruleset_chain ret[SUBNETS])
{
	size_t chains = 0;

	for (; chains < count && chains < SUBNETS; chains++) {
		struct ruleset_chain *chain = &ret[chains];
		struct ip_net net = { ip_net_first(&subnets[chains]), subnets[chains].plen };
		char text[IP_TEXT];

		*chain = (struct ruleset_chain){
			.hook = { "nat", NF_INET_POST_ROUTING, 100 },
			.rules = 1,
			.comment = comment,
			.build = build,
			.arg = &subnets[chains],
		};
		ip_net_print(&net, text);
		for (char *p = text; *p; p++) /* nft(8) reads no colons in names */
			*p = *p == ':' ? '_' : *p;
		snprintf(chain->name, sizeof(chain->name), "masquerade-%s", text);
	}
	return chains;
}

int masquerade_check(const char *table, const struct ip_net *subnets, size_t count, struct err *e)
{
	struct ruleset_chain chains[SUBNETS];
	cleanup_fd int fd = -1;
	bool right;

	count = describe(subnets, count, chains);
	if (nl_open(NETLINK_NETFILTER, &fd, e) < 0 || ruleset_right(fd, table, chains, count, &right, e) < 0)
		return err_wrap(e, "ipMasq");
	return right ? 0 : err_set(e, ENOENT, "ipMasq: rules of table %s", table);
}

int masquerade_ensure(const char *table, const struct ip_net *subnets, size_t count, struct err *e)
{
	struct ruleset_chain chains[SUBNETS];
	cleanup_fd int fd = -1;

	count = describe(subnets, count, chains);
	if (nl_open(NETLINK_NETFILTER, &fd, e) < 0 || ruleset_ensure(fd, table, NULL, 0, chains, count, e) < 0)
		return err_wrap(e, "ipMasq");
	return 0;
}
