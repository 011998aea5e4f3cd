/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host-local's configuration: which addresses may be given out. Pure.
 * Keys and rules are those of the reference plugin (cni.dev, host-local): a range set gives one address.
 */
#ifndef KOBAKO_CNI_RANGE_H
#define KOBAKO_CNI_RANGE_H

#include "addr.h"
#include "plugin.h"
#include "result.h"

#define RANGE_SETS 8
#define RANGES_PER_SET 16
#define RANGE_REQUESTS 8
#define RANGE_ROUTES 64

struct range {
	struct ip_net subnet;      /* its first address */
	struct ip start, end;      /* both inclusive */
	struct ip gw;
};

struct range_set {
	struct range range[RANGES_PER_SET];
	size_t count;
};

struct ipam {
	const char *data_dir;
	const char *resolv_conf;   /* NULL: none */
	struct range_set set[RANGE_SETS];
	size_t sets;
	struct ip wanted[RANGE_REQUESTS]; /* from CNI_ARGS, args.cni.ips, runtimeConfig.ips */
	size_t wanteds;
	struct route route[RANGE_ROUTES];
	size_t routes;
};

/* Reads `ipam` and what the runtime asked for. Strings belong to the call. */
int ipam_parse(struct cni_call *call, struct ipam *ret, struct err *e);

/* The range of the set that holds `a`, or NULL. */
const struct range *range_find(const struct range_set *set, const struct ip *a);

/*
 * Goes through a set once, from after `last` (family 0: from the start), gateways left out.
 * Start with cursor = {0}; false: all were seen.
 */
struct range_cursor {
	size_t range;
	struct ip at, first;
	bool started;
};
bool range_next(const struct range_set *set, const struct ip *last, struct range_cursor *cursor,
		const struct range **ret_range, struct ip *ret);

#endif
