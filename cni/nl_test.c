// SPDX-License-Identifier: Apache-2.0
/* Netlink messages: lengths, padding, nesting, and answers that lie about their length. */
#include "nl.h"

#include <errno.h>

#include "cni_test.h"
#include "nft.h"
#include "rtnl.h"

static struct nl_buf b;

static void layout(void)
{
	const struct nlmsghdr *msg;
	const struct nlattr *attr[8], *inner[8];
	size_t nest;

	nl_reset(&b);
	nl_begin(&b, 16, NLM_F_ACK, 5, "first"); /* a header that needs padding */
	nl_put_str(&b, 1, "abc");
	nest = nl_nest(&b, 2);
	nl_put_u8(&b, 3, 7);
	nl_put_u32(&b, 4, 0x01020304);
	nl_nest_end(&b, nest);
	nl_begin(&b, 17, 0, 0, "second");
	CHECK(!b.overflow && b.seq == 2 && b.len == 16 + 8 + 8 + 4 + 8 + 8 + 16);

	msg = (const void *)b.data;
	CHECK(msg->nlmsg_len == b.len - 16 && msg->nlmsg_seq == 1 && (msg->nlmsg_flags & NLM_F_REQUEST));
	nl_parse_msg(msg, 5, attr, 7);
	CHECK(!strcmp(nl_str(attr[1]), "abc") && attr[2] && !attr[3]);
	nl_parse(nl_data(attr[2]), nl_len(attr[2]), inner, 7);
	CHECK(nl_len(inner[3]) == 1 && nl_u32(inner[4]) == 0x01020304 && nl_u32(inner[3]) == 0);
	CHECK(nl_u32(NULL) == 0 && !*nl_str(NULL));
}

static void overflow(void)
{
	static const char block[60000];
	struct err e = { 0 };

	nl_reset(&b);
	nl_begin(&b, 16, 0, 4, "large");
	for (int i = 0; i < 8; i++)
		nl_put(&b, 1, block, sizeof(block));
	nl_nest_end(&b, nl_nest(&b, 2));
	CHECK(b.overflow && nl_talk(-1, &b, NULL, NULL, &e) == -EMSGSIZE);
	nl_reset(&b);
	nl_begin(&b, 16, 0, 4, "large attribute");
	nl_put(&b, 1, block, UINT16_MAX);
	CHECK(b.overflow);
	nl_reset(&b);
	for (int i = 0; i < NL_MAX_STEPS + 5; i++)
		nl_begin(&b, 16, 0, 4, "many");
	CHECK(b.overflow);
}

static void hostile(void)
{
	/* Each cut of a good list of attributes, in a buffer of just that size so that ASan sees a read past it. */
	const struct nlattr *attr[4];
	uint8_t good[24] = { 8, 0, 1, 0, 1, 2, 3, 4, 7, 0, 2, 0, 'a', 'b', 0, 0, 8, 0, 3, 0, 9, 9, 9, 9 };

	for (size_t len = 0; len <= sizeof(good); len++) {
		uint8_t *cut = malloc(len ? len : 1);

		memcpy(cut, good, len);
		nl_parse(cut, len, attr, 3);
		nl_u32(attr[1]);
		nl_str(attr[2]);
		free(cut);
	}
	good[0] = 255; /* longer than what there is */
	nl_parse(good, sizeof(good), attr, 3);
	CHECK(!attr[1] && !attr[2]);
	good[0] = 3; /* shorter than its own header */
	nl_parse(good, sizeof(good), attr, 3);
	CHECK(!attr[1]);
}

/* Messages that other files build: whole, and their pieces where the kernel looks for them. */
static void builders(void)
{
	static struct nft_batch batch;
	static const struct nft_set set = { "s", NFT_TYPE2(NFT_T_PROTO, NFT_T_SERVICE), 8, NFT_TYPE2(NFT_T_IPV4, NFT_T_SERVICE), 8 };
	static const uint8_t key[8] = { 6, 0, 0, 0, 0x1f, 0x90 };
	struct ip_net addr = { { AF_INET, { 10, 0, 0, 2 } }, 24 };
	struct route route = { .dst = { { AF_INET6, { 0 } }, 0 }, .gw = { AF_INET6, { 0xfd } }, .scope = -1 };
	size_t seen = 0, messages = 0;

	nl_reset(&b);
	rtnl_put_addr(&b, 3, &addr, false);
	rtnl_put_up(&b, 3);
	rtnl_put_route(&b, 3, &route);
	CHECK(!b.overflow && b.seq == 3);

	nft_begin(&batch, "t");
	nft_add_table(&batch);
	nft_add_set(&batch, &set);
	nft_add_elem(&batch, &set, key, key, "owner", true);
	nft_rule(&batch, "c");
	nft_daddr_local(&batch, NFT_CMP_EQ);
	nft_verdict(&batch, NF_DROP);
	nft_rule_end(&batch, "rule");
	CHECK(!batch.nl.overflow);
	while (seen < batch.nl.len) {
		const struct nlmsghdr *msg = (const void *)(batch.nl.data + seen);

		CHECK(msg->nlmsg_len >= 20 && msg->nlmsg_len <= batch.nl.len - seen);
		seen += NLMSG_ALIGN(msg->nlmsg_len);
		messages++;
	}
	CHECK(messages == 5 && seen == batch.nl.len);
}

int main(void)
{
	layout();
	overflow();
	hostile();
	builders();
	return 0;
}
