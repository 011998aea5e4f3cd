// SPDX-License-Identifier: Apache-2.0
#include "nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nfnetlink.h>

/* The userdata that nft(8) writes and shows as comments: one {type, length, text with its 0}. */
#define UDATA_COMMENT 0

static void *message(struct nft_batch *b, uint16_t type, uint16_t flags, const char *step)
{
	struct nfgenmsg *head = nl_begin(&b->nl, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, sizeof(*head), step);

	head->nfgen_family = NFPROTO_INET;
	head->version = NFNETLINK_V0;
	return head;
}

static void edge(struct nft_batch *b, uint16_t type)
{
	struct nfgenmsg *head = nl_begin(&b->nl, type, 0, sizeof(*head), "commit nf_tables transaction");

	head->res_id = htons(NFNL_SUBSYS_NFTABLES);
}

void nft_begin(struct nft_batch *b, const char *table)
{
	nl_reset(&b->nl);
	b->table = table;
	edge(b, NFNL_MSG_BATCH_BEGIN);
}

int nft_commit(int fd, struct nft_batch *b, struct err *e)
{
	edge(b, NFNL_MSG_BATCH_END);
	return nl_talk(fd, &b->nl, NULL, NULL, e);
}

void nft_add_table(struct nft_batch *b)
{
	message(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, "create nf_tables table");
	nl_put_str(&b->nl, NFTA_TABLE_NAME, b->table);
}

void nft_del_table(struct nft_batch *b)
{
	message(b, NFT_MSG_DELTABLE, 0, "remove nf_tables table");
	nl_put_str(&b->nl, NFTA_TABLE_NAME, b->table);
}

void nft_add_chain(struct nft_batch *b, const char *chain, const struct nft_hook *hook)
{
	size_t nest;

	message(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE, "create nf_tables chain");
	nl_put_str(&b->nl, NFTA_CHAIN_TABLE, b->table);
	nl_put_str(&b->nl, NFTA_CHAIN_NAME, chain);
	nl_put_str(&b->nl, NFTA_CHAIN_TYPE, hook->type);
	nest = nl_nest(&b->nl, NFTA_CHAIN_HOOK);
	nl_put_be32(&b->nl, NFTA_HOOK_HOOKNUM, hook->hook);
	nl_put_be32(&b->nl, NFTA_HOOK_PRIORITY, (uint32_t)hook->priority);
	nl_nest_end(&b->nl, nest);
}

void nft_add_set(struct nft_batch *b, const struct nft_set *set)
{
	message(b, NFT_MSG_NEWSET, NLM_F_CREATE, "create nf_tables set");
	nl_put_str(&b->nl, NFTA_SET_TABLE, b->table);
	nl_put_str(&b->nl, NFTA_SET_NAME, set->name);
	nl_put_be32(&b->nl, NFTA_SET_FLAGS, set->data_type ? NFT_SET_MAP : 0);
	nl_put_be32(&b->nl, NFTA_SET_KEY_TYPE, set->key_type);
	nl_put_be32(&b->nl, NFTA_SET_KEY_LEN, set->key_len);
	if (set->data_type) {
		nl_put_be32(&b->nl, NFTA_SET_DATA_TYPE, set->data_type);
		nl_put_be32(&b->nl, NFTA_SET_DATA_LEN, set->data_len);
	}
	nl_put_be32(&b->nl, NFTA_SET_ID, b->nl.seq);
}

void nft_flush_chain(struct nft_batch *b, const char *chain)
{
	message(b, NFT_MSG_DELRULE, 0, "empty nf_tables chain");
	nl_put_str(&b->nl, NFTA_RULE_TABLE, b->table);
	nl_put_str(&b->nl, NFTA_RULE_CHAIN, chain);
}

void nft_rule(struct nft_batch *b, const char *chain)
{
	message(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, "add nf_tables rule");
	nl_put_str(&b->nl, NFTA_RULE_TABLE, b->table);
	nl_put_str(&b->nl, NFTA_RULE_CHAIN, chain);
	b->expressions = nl_nest(&b->nl, NFTA_RULE_EXPRESSIONS);
}

static void put_comment(struct nft_batch *b, uint16_t type, const char *comment)
{
	uint8_t data[2 + NFT_COMMENT_MAX + 1];
	size_t len = strnlen(comment, NFT_COMMENT_MAX);

	data[0] = UDATA_COMMENT;
	data[1] = (uint8_t)(len + 1);
	memcpy(data + 2, comment, len);
	data[2 + len] = 0;
	nl_put(&b->nl, type, data, 2 + len + 1);
}

static void get_comment(const struct nlattr *a, char ret[NFT_COMMENT_MAX + 1])
{
	const uint8_t *at = a ? nl_data(a) : NULL;
	size_t left = a ? nl_len(a) : 0;

	ret[0] = 0;
	while (left >= 2 && at[1] <= left - 2) {
		if (at[0] == UDATA_COMMENT && at[1] && at[1] <= NFT_COMMENT_MAX + 1) {
			memcpy(ret, at + 2, at[1]);
			ret[at[1] - 1] = 0;
			return;
		}
		left -= 2u + at[1];
		at += 2 + at[1];
	}
}

void nft_rule_end(struct nft_batch *b, const char *comment)
{
	nl_nest_end(&b->nl, b->expressions);
	put_comment(b, NFTA_RULE_USERDATA, comment);
}

struct expr {
	size_t list, data;
};

static struct expr expr_begin(struct nft_batch *b, const char *name)
{
	struct expr x;

	x.list = nl_nest(&b->nl, NFTA_LIST_ELEM);
	nl_put_str(&b->nl, NFTA_EXPR_NAME, name);
	x.data = nl_nest(&b->nl, NFTA_EXPR_DATA);
	return x;
}

static void expr_end(struct nft_batch *b, struct expr x)
{
	nl_nest_end(&b->nl, x.data);
	nl_nest_end(&b->nl, x.list);
}

static void put_data(struct nft_batch *b, uint16_t type, const void *data, uint32_t len)
{
	size_t nest = nl_nest(&b->nl, type);

	nl_put(&b->nl, NFTA_DATA_VALUE, data, len);
	nl_nest_end(&b->nl, nest);
}

void nft_meta(struct nft_batch *b, uint32_t key, uint32_t reg)
{
	struct expr x = expr_begin(b, "meta");

	nl_put_be32(&b->nl, NFTA_META_KEY, key);
	nl_put_be32(&b->nl, NFTA_META_DREG, reg);
	expr_end(b, x);
}

void nft_ct(struct nft_batch *b, uint32_t key, uint32_t reg)
{
	struct expr x = expr_begin(b, "ct");

	nl_put_be32(&b->nl, NFTA_CT_KEY, key);
	nl_put_be32(&b->nl, NFTA_CT_DREG, reg);
	expr_end(b, x);
}

void nft_ct_original_dport(struct nft_batch *b, uint32_t reg)
{
	struct expr x = expr_begin(b, "ct");

	nl_put_be32(&b->nl, NFTA_CT_KEY, NFT_CT_PROTO_DST);
	nl_put_be32(&b->nl, NFTA_CT_DREG, reg);
	nl_put_u8(&b->nl, NFTA_CT_DIRECTION, IP_CT_DIR_ORIGINAL);
	expr_end(b, x);
}

void nft_payload(struct nft_batch *b, uint32_t base, uint32_t offset, uint32_t len, uint32_t reg)
{
	struct expr x = expr_begin(b, "payload");

	nl_put_be32(&b->nl, NFTA_PAYLOAD_DREG, reg);
	nl_put_be32(&b->nl, NFTA_PAYLOAD_BASE, base);
	nl_put_be32(&b->nl, NFTA_PAYLOAD_OFFSET, offset);
	nl_put_be32(&b->nl, NFTA_PAYLOAD_LEN, len);
	expr_end(b, x);
}

void nft_mask(struct nft_batch *b, uint32_t reg, const void *mask, uint32_t len)
{
	static const uint8_t zero[16];
	struct expr x = expr_begin(b, "bitwise");

	nl_put_be32(&b->nl, NFTA_BITWISE_SREG, reg);
	nl_put_be32(&b->nl, NFTA_BITWISE_DREG, reg);
	nl_put_be32(&b->nl, NFTA_BITWISE_LEN, len);
	put_data(b, NFTA_BITWISE_MASK, mask, len);
	put_data(b, NFTA_BITWISE_XOR, zero, len);
	expr_end(b, x);
}

void nft_cmp(struct nft_batch *b, uint32_t reg, uint32_t op, const void *data, uint32_t len)
{
	struct expr x = expr_begin(b, "cmp");

	nl_put_be32(&b->nl, NFTA_CMP_SREG, reg);
	nl_put_be32(&b->nl, NFTA_CMP_OP, op);
	put_data(b, NFTA_CMP_DATA, data, len);
	expr_end(b, x);
}

static void lookup(struct nft_batch *b, const char *set, uint32_t reg, uint32_t dreg, bool invert)
{
	struct expr x = expr_begin(b, "lookup");

	nl_put_str(&b->nl, NFTA_LOOKUP_SET, set);
	nl_put_be32(&b->nl, NFTA_LOOKUP_SREG, reg);
	if (dreg)
		nl_put_be32(&b->nl, NFTA_LOOKUP_DREG, dreg);
	if (invert)
		nl_put_be32(&b->nl, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
	expr_end(b, x);
}

void nft_in_set(struct nft_batch *b, const char *set, uint32_t reg, bool invert)
{
	lookup(b, set, reg, 0, invert);
}

void nft_map(struct nft_batch *b, const char *map, uint32_t reg, uint32_t dreg)
{
	lookup(b, map, reg, dreg, false);
}

void nft_daddr_local(struct nft_batch *b, uint32_t op)
{
	struct expr x = expr_begin(b, "fib");
	uint32_t local = 2; /* RTN_LOCAL */

	nl_put_be32(&b->nl, NFTA_FIB_DREG, NFT_REG_1);
	nl_put_be32(&b->nl, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	nl_put_be32(&b->nl, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
	expr_end(b, x);
	nft_cmp(b, NFT_REG_1, op, &local, sizeof(local));
}

void nft_dnat(struct nft_batch *b, uint32_t family, uint32_t reg_addr, uint32_t reg_port)
{
	struct expr x = expr_begin(b, "nat");

	nl_put_be32(&b->nl, NFTA_NAT_TYPE, NFT_NAT_DNAT);
	nl_put_be32(&b->nl, NFTA_NAT_FAMILY, family);
	nl_put_be32(&b->nl, NFTA_NAT_REG_ADDR_MIN, reg_addr);
	nl_put_be32(&b->nl, NFTA_NAT_REG_PROTO_MIN, reg_port);
	expr_end(b, x);
}

void nft_masquerade(struct nft_batch *b)
{
	expr_end(b, expr_begin(b, "masq"));
}

void nft_verdict(struct nft_batch *b, int32_t code)
{
	struct expr x = expr_begin(b, "immediate");
	size_t data, verdict;

	nl_put_be32(&b->nl, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = nl_nest(&b->nl, NFTA_IMMEDIATE_DATA);
	verdict = nl_nest(&b->nl, NFTA_DATA_VERDICT);
	nl_put_be32(&b->nl, NFTA_VERDICT_CODE, (uint32_t)code);
	nl_nest_end(&b->nl, verdict);
	nl_nest_end(&b->nl, data);
	expr_end(b, x);
}

static void elem(struct nft_batch *b, const struct nft_set *set, uint16_t type, uint16_t flags, const void *key,
		 const void *data, const char *comment, const char *step)
{
	size_t list, item;

	message(b, type, flags, step);
	nl_put_str(&b->nl, NFTA_SET_ELEM_LIST_TABLE, b->table);
	nl_put_str(&b->nl, NFTA_SET_ELEM_LIST_SET, set->name);
	list = nl_nest(&b->nl, NFTA_SET_ELEM_LIST_ELEMENTS);
	item = nl_nest(&b->nl, NFTA_LIST_ELEM);
	put_data(b, NFTA_SET_ELEM_KEY, key, set->key_len);
	if (data)
		put_data(b, NFTA_SET_ELEM_DATA, data, set->data_len);
	if (comment)
		put_comment(b, NFTA_SET_ELEM_USERDATA, comment);
	nl_nest_end(&b->nl, item);
	nl_nest_end(&b->nl, list);
}

void nft_add_elem(struct nft_batch *b, const struct nft_set *set, const void *key, const void *data, const char *comment,
		  bool excl)
{
	elem(b, set, NFT_MSG_NEWSETELEM, excl ? NLM_F_CREATE | NLM_F_EXCL : NLM_F_CREATE, key, data, comment,
	     "add nf_tables element");
}

void nft_del_elem(struct nft_batch *b, const struct nft_set *set, const void *key)
{
	elem(b, set, NFT_MSG_DELSETELEM, 0, key, NULL, NULL, "remove nf_tables element");
}

/* Dumps are not transactions: one request each. */
static struct nft_batch dump;

struct rule_walk {
	nft_rule_visit visit;
	void *arg;
};

static int on_rule(const struct nlmsghdr *msg, void *arg)
{
	const struct rule_walk *walk = arg;
	const struct nlattr *attr[NFTA_RULE_USERDATA + 1];
	char comment[NFT_COMMENT_MAX + 1];

	nl_parse_msg(msg, sizeof(struct nfgenmsg), attr, NFTA_RULE_USERDATA);
	get_comment(attr[NFTA_RULE_USERDATA], comment);
	return walk->visit(comment, walk->arg);
}

static int missing_is_none(int r)
{
	return r == -ENOENT ? 0 : r;
}

int nft_rules(int fd, const char *table, const char *chain, nft_rule_visit visit, void *arg, struct err *e)
{
	struct rule_walk walk = { visit, arg };

	nl_reset(&dump.nl);
	message(&dump, NFT_MSG_GETRULE, NLM_F_DUMP, "list nf_tables rules");
	nl_put_str(&dump.nl, NFTA_RULE_TABLE, table);
	nl_put_str(&dump.nl, NFTA_RULE_CHAIN, chain);
	return missing_is_none(nl_talk(fd, &dump.nl, on_rule, &walk, e));
}

struct elem_walk {
	const struct nft_set *set;
	nft_elem_visit visit;
	void *arg;
};

static const void *value(const struct nlattr *a, uint32_t len)
{
	const struct nlattr *data[NFTA_DATA_VALUE + 1];

	if (!a)
		return NULL;
	nl_parse(nl_data(a), nl_len(a), data, NFTA_DATA_VALUE);
	if (!data[NFTA_DATA_VALUE] || nl_len(data[NFTA_DATA_VALUE]) < len)
		return NULL;
	return nl_data(data[NFTA_DATA_VALUE]);
}

static int on_elems(const struct nlmsghdr *msg, void *arg)
{
	const struct elem_walk *walk = arg;
	const struct nlattr *attr[NFTA_SET_ELEM_LIST_ELEMENTS + 1];
	const struct nlattr *list;
	size_t left;

	nl_parse_msg(msg, sizeof(struct nfgenmsg), attr, NFTA_SET_ELEM_LIST_ELEMENTS);
	list = attr[NFTA_SET_ELEM_LIST_ELEMENTS];
	if (!list)
		return 0;
	left = nl_len(list);
	for (const struct nlattr *a = nl_data(list); left >= NLA_HDRLEN && a->nla_len >= NLA_HDRLEN && a->nla_len <= left;) {
		const struct nlattr *item[NFTA_SET_ELEM_USERDATA + 1];
		char comment[NFT_COMMENT_MAX + 1];
		size_t step = NLA_ALIGN(a->nla_len);
		const void *key, *data;
		int r;

		nl_parse(nl_data(a), nl_len(a), item, NFTA_SET_ELEM_USERDATA);
		key = value(item[NFTA_SET_ELEM_KEY], walk->set->key_len);
		data = value(item[NFTA_SET_ELEM_DATA], walk->set->data_len);
		get_comment(item[NFTA_SET_ELEM_USERDATA], comment);
		r = key ? walk->visit(key, data, comment, walk->arg) : 0;
		if (r < 0)
			return r;
		if (step >= left)
			return 0;
		left -= step;
		a = (const void *)((const char *)a + step);
	}
	return 0;
}

int nft_elems(int fd, const char *table, const struct nft_set *set, nft_elem_visit visit, void *arg, struct err *e)
{
	struct elem_walk walk = { set, visit, arg };

	nl_reset(&dump.nl);
	message(&dump, NFT_MSG_GETSETELEM, NLM_F_DUMP, "list nf_tables elements");
	nl_put_str(&dump.nl, NFTA_SET_ELEM_LIST_TABLE, table);
	nl_put_str(&dump.nl, NFTA_SET_ELEM_LIST_SET, set->name);
	return missing_is_none(nl_talk(fd, &dump.nl, on_elems, &walk, e));
}
