/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains whose rules are fixed: put in place once and found unchanged from then on. Somebody who
 * flushes them gets them back with the next call.
 */
#ifndef KOBAKO_CNI_RULESET_H
#define KOBAKO_CNI_RULESET_H

#include "nft.h"

struct ruleset_chain {
	char name[NFT_NAME_LEN];
	struct nft_hook hook;
	size_t rules;
	/* The comment of rule i: the same comment means the same rule, so it names all that may differ. */
	void (*comment)(size_t i, const void *arg, char ret[NFT_COMMENT_MAX + 1]);
	/* Puts the expressions of rule i. */
	void (*build)(struct nft_batch *b, size_t i, const void *arg);
	const void *arg;
};

/* Makes table, sets and chains as described; what is right already is left alone. */
int ruleset_ensure(int fd, const char *table, const struct nft_set *sets, size_t set_count,
		   const struct ruleset_chain *chains, size_t chain_count, struct err *e);

/* Tells whether all chains are as described; changes nothing. */
int ruleset_right(int fd, const char *table, const struct ruleset_chain *chains, size_t chain_count, bool *ret,
		  struct err *e);

#endif
