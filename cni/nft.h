/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nf_tables through nfnetlink: a batch is one transaction, all or nothing. One table of family inet.
 * Rules are recognised by their comment (shown by `nft list ruleset`), set elements too.
 * Source: linux/netfilter/nf_tables.h.
 */
#ifndef KOBAKO_CNI_NFT_H
#define KOBAKO_CNI_NFT_H

#include <netinet/in.h> /* before linux/netfilter.h: the two agree only in this order */
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>

#include "nl.h"

#define NFT_COMMENT_MAX 127
#define NFT_NAME_LEN 64

/* Registers: four bytes each; the first of a concatenation is named as nft(8) does. */
#define REG(n) ((n) == 0 ? NFT_REG_1 : NFT_REG32_00 + (n))

struct nft_batch {
	struct nl_buf nl;
	const char *table;
	size_t expressions; /* open nest of the rule under way */
};

struct nft_hook {
	const char *type;     /* "nat", "filter" */
	uint32_t hook;        /* NF_INET_* */
	int32_t priority;
};

struct nft_set {
	const char *name;
	uint32_t key_type;    /* nft(8)'s data type, for its listing: see NFT_TYPE */
	uint32_t key_len;
	uint32_t data_type;   /* 0: a plain set */
	uint32_t data_len;
};

/* nft(8)'s numbers of data types; a concatenation is six bits each, the first one highest. */
enum { NFT_T_IPV4 = 7, NFT_T_IPV6 = 8, NFT_T_PROTO = 12, NFT_T_SERVICE = 13, NFT_T_IFNAME = 41 };
#define NFT_TYPE2(a, b) ((uint32_t)(a) << 6 | (b))
#define NFT_TYPE3(a, b, c) (NFT_TYPE2(a, b) << 6 | (c))

void nft_begin(struct nft_batch *b, const char *table);
/* Sends the batch. */
int nft_commit(int fd, struct nft_batch *b, struct err *e);

/* Made unless they are there; then they stay as they are. */
void nft_add_table(struct nft_batch *b);
void nft_add_chain(struct nft_batch *b, const char *chain, const struct nft_hook *hook);
void nft_add_set(struct nft_batch *b, const struct nft_set *set);
void nft_flush_chain(struct nft_batch *b, const char *chain);
void nft_del_table(struct nft_batch *b);

/* A rule at the end of a chain: nft_rule, expressions, nft_rule_end. */
void nft_rule(struct nft_batch *b, const char *chain);
void nft_rule_end(struct nft_batch *b, const char *comment);
void nft_meta(struct nft_batch *b, uint32_t key, uint32_t reg);
void nft_ct(struct nft_batch *b, uint32_t key, uint32_t reg);
/* Destination port of the connection as its first packet had it, before any translation. */
void nft_ct_original_dport(struct nft_batch *b, uint32_t reg);
void nft_payload(struct nft_batch *b, uint32_t base, uint32_t offset, uint32_t len, uint32_t reg);
void nft_mask(struct nft_batch *b, uint32_t reg, const void *mask, uint32_t len);
void nft_cmp(struct nft_batch *b, uint32_t reg, uint32_t op, const void *data, uint32_t len);
/* Goes on when the registers from `reg` on are (not) in the set. */
void nft_in_set(struct nft_batch *b, const char *set, uint32_t reg, bool invert);
/* Puts the map's data for the registers from `reg` on into `dreg` on; goes on when there is some. */
void nft_map(struct nft_batch *b, const char *map, uint32_t reg, uint32_t dreg);
/* The destination address is (NFT_CMP_EQ) or isn't (NFT_CMP_NEQ) the node's own: fib daddr type local. */
void nft_daddr_local(struct nft_batch *b, uint32_t op);
void nft_dnat(struct nft_batch *b, uint32_t family, uint32_t reg_addr, uint32_t reg_port);
void nft_masquerade(struct nft_batch *b);
void nft_verdict(struct nft_batch *b, int32_t code);

/* Elements. data NULL: of a plain set. excl: an element that is there is EEXIST. */
void nft_add_elem(struct nft_batch *b, const struct nft_set *set, const void *key, const void *data, const char *comment,
		  bool excl);
void nft_del_elem(struct nft_batch *b, const struct nft_set *set, const void *key);

/* Sees the comment of each rule of a chain, in order. A missing chain or table has none. */
typedef int (*nft_rule_visit)(const char *comment, void *arg);
int nft_rules(int fd, const char *table, const char *chain, nft_rule_visit visit, void *arg, struct err *e);

/* Sees each element of a set; data is NULL in a plain one. A missing set has none. */
typedef int (*nft_elem_visit)(const void *key, const void *data, const char *comment, void *arg);
int nft_elems(int fd, const char *table, const struct nft_set *set, nft_elem_visit visit, void *arg, struct err *e);

#endif
