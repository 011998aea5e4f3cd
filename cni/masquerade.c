// SPDX-License-Identifier: Apache-2.0
#include "masquerade.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ruleset.h"

struct masquerade {
	const struct ip_net *subnets;
};

static void chain_name(const char *network, char ret[NFT_NAME_LEN])
{
	/* Chain names hold what network names do, but are shorter: the end of a long one is cut,
	 * which only matters to two networks that agree in their first 50 characters. */
	snprintf(ret, NFT_NAME_LEN, "masquerade-%.50s", network);
}

static void comment(size_t i, const void *arg, char ret[NFT_COMMENT_MAX + 1])
{
	const struct masquerade *m = arg;
	struct ip_net net = { ip_net_first(&m->subnets[i]), m->subnets[i].plen };
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
	const struct masquerade *m = arg;
	const struct ip_net *net = &m->subnets[i];
	bool v4 = net->ip.family == AF_INET;
	uint8_t family = v4 ? NFPROTO_IPV4 : NFPROTO_IPV6;

	nft_meta(b, NFT_META_NFPROTO, NFT_REG_1);
	nft_cmp(b, NFT_REG_1, NFT_CMP_EQ, &family, 1);
	match_net(b, v4 ? 12 : 8, net, NFT_CMP_EQ);
	match_net(b, v4 ? 16 : 24, net, NFT_CMP_NEQ);
	match_net(b, v4 ? 16 : 24, v4 ? &multicast4 : &multicast6, NFT_CMP_NEQ);
	nft_masquerade(b);
}

static struct ruleset_chain describe(const struct masquerade *m, const char *network, size_t count)
{
	struct ruleset_chain chain = {
		.hook = { "nat", NF_INET_POST_ROUTING, 100 },
		.rules = count,
		.comment = comment,
		.build = build,
		.arg = m,
	};

	chain_name(network, chain.name);
	return chain;
}

int masquerade_check(const char *table, const char *network, const struct ip_net *subnets, size_t count, struct err *e)
{
	struct masquerade m = { subnets };
	struct ruleset_chain chain = describe(&m, network, count);
	cleanup_fd int fd = -1;
	bool right;

	if (nl_open(NETLINK_NETFILTER, &fd, e) < 0 || ruleset_right(fd, table, &chain, 1, &right, e) < 0)
		return err_wrap(e, "ipMasq");
	return right ? 0 : err_set(e, ENOENT, "ipMasq: rules of table %s chain %s", table, chain.name);
}

int masquerade_ensure(const char *table, const char *network, const struct ip_net *subnets, size_t count, struct err *e)
{
	struct masquerade m = { subnets };
	struct ruleset_chain chain = describe(&m, network, count);
	cleanup_fd int fd = -1;

	if (nl_open(NETLINK_NETFILTER, &fd, e) < 0 || ruleset_ensure(fd, table, NULL, 0, &chain, 1, e) < 0)
		return err_wrap(e, "ipMasq");
	return 0;
}

int masquerade_remove(const char *table, const char *network, struct err *e)
{
	static struct nft_batch b;
	char name[NFT_NAME_LEN];
	cleanup_fd int fd = -1;
	int r;

	chain_name(network, name);
	if (nl_open(NETLINK_NETFILTER, &fd, e) < 0)
		return -e->code;
	nft_begin(&b, table);
	nft_flush_chain(&b, name);
	nft_del_chain(&b, name);
	r = nft_commit(fd, &b, e);
	return r == -ENOENT ? 0 : r;
}
