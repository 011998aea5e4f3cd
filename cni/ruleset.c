// SPDX-License-Identifier: Apache-2.0
#include "ruleset.h"

#include <errno.h>
#include <string.h>

struct compare {
	const struct ruleset_chain *chain;
	size_t seen;
	bool same;
};

static int compare_rule(const char *comment, void *arg)
{
	struct compare *c = arg;
	char want[NFT_COMMENT_MAX + 1] = "";

	if (c->seen < c->chain->rules)
		c->chain->comment(c->seen, c->chain->arg, want);
	if (c->seen >= c->chain->rules || strcmp(want, comment))
		c->same = false;
	c->seen++;
	return 0;
}

static int chain_is_right(int fd, const char *table, const struct ruleset_chain *chain, bool *ret, struct err *e)
{
	struct compare c;
	int r;

	do { /* EINTR: changed while we were reading */
		c = (struct compare){ .chain = chain, .same = true };
		r = nft_rules(fd, table, chain->name, compare_rule, &c, e);
	} while (r == -EINTR);
	*ret = c.same && c.seen == chain->rules;
	return r;
}

int ruleset_ensure(int fd, const char *table, const struct nft_set *sets, size_t set_count,
		   const struct ruleset_chain *chains, size_t chain_count, struct err *e)
{
	static struct nft_batch b;
	size_t wrong = 0;

	nft_begin(&b, table);
	nft_add_table(&b);
	for (size_t i = 0; i < set_count; i++)
		nft_add_set(&b, &sets[i]);
	for (size_t i = 0; i < chain_count; i++) {
		const struct ruleset_chain *chain = &chains[i];
		bool right;

		if (chain_is_right(fd, table, chain, &right, e) < 0)
			return -e->code;
		if (right)
			continue;
		wrong++;
		nft_add_chain(&b, chain->name, &chain->hook);
		nft_flush_chain(&b, chain->name);
		for (size_t k = 0; k < chain->rules; k++) {
			char comment[NFT_COMMENT_MAX + 1];

			chain->comment(k, chain->arg, comment);
			nft_rule(&b, chain->name);
			chain->build(&b, k, chain->arg);
			nft_rule_end(&b, comment);
		}
	}
	return wrong ? nft_commit(fd, &b, e) : 0;
}

int ruleset_right(int fd, const char *table, const struct ruleset_chain *chains, size_t chain_count, bool *ret,
		  struct err *e)
{
	bool right = true;

	for (size_t i = 0; i < chain_count && right; i++)
		if (chain_is_right(fd, table, &chains[i], &right, e) < 0)
			return -e->code;
	*ret = right;
	return 0;
}
