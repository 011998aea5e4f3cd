// SPDX-License-Identifier: Apache-2.0
#include "range.h"

#include <errno.h>
#include <string.h>

static bool in_range(const struct range *r, const struct ip *a)
{
	return a->family == r->subnet.ip.family && ip_cmp(a, &r->start) >= 0 && ip_cmp(a, &r->end) <= 0;
}

const struct range *range_find(const struct range_set *set, const struct ip *a)
{
	for (size_t i = 0; i < set->count; i++)
		if (in_range(&set->range[i], a))
			return &set->range[i];
	return NULL;
}

static bool overlap(const struct range *a, const struct range *b)
{
	return in_range(a, &b->start) || in_range(a, &b->end) || in_range(b, &a->start) || in_range(b, &a->end);
}

static int parse_edge(const struct jnode *n, const char *key, const struct ip_net *subnet, bool inside, struct ip *ret,
		      struct err *e)
{
	struct jnode at = json_get(n, key);
	const char *text = NULL;

	if (json_str(n, key, &text, e) < 0)
		return -e->code;
	if (!text || !*text)
		return 0;
	if (!ip_parse(text, ret))
		return json_refuse(&at, e, "\"%.60s\" is no IP address", text);
	if (inside && !ip_net_contains(subnet, ret))
		return json_refuse(&at, e, "%.60s is not in the subnet", text);
	return 0;
}

static int parse_range(const struct jnode *n, struct range *ret, struct err *e)
{
	struct jnode at = json_get(n, "subnet");
	struct range r = { 0 };
	struct ip first;
	const char *text;

	if (json_want_object(n, e) < 0 || json_need_str(n, "subnet", &text, e) < 0)
		return -e->code;
	if (!ip_net_parse(text, &r.subnet))
		return json_refuse(&at, e, "\"%.60s\" is no subnet", text);
	if (r.subnet.plen > ip_len(&r.subnet.ip) * 8 - 2)
		return json_refuse(&at, e, "%.60s is too small to give addresses from", text);
	first = ip_net_first(&r.subnet);
	if (ip_cmp(&first, &r.subnet.ip))
		return json_refuse(&at, e, "%.60s has host bits set", text);
	r.start = ip_next(&first);
	r.gw = r.start;
	r.end = ip_net_last(&r.subnet);
	if (r.end.family == AF_INET)
		r.end.byte[3]--; /* not the broadcast address; the last byte is odd there */
	if (parse_edge(n, "rangeStart", &r.subnet, true, &r.start, e) < 0 ||
	    parse_edge(n, "rangeEnd", &r.subnet, true, &r.end, e) < 0 ||
	    parse_edge(n, "gateway", &r.subnet, false, &r.gw, e) < 0)
		return -e->code;
	if (ip_cmp(&r.start, &r.end) > 0)
		return json_refuse(n, e, "rangeStart is after rangeEnd");
	*ret = r;
	return 0;
}

static int add_set(struct ipam *ipam, const struct jnode *at, const struct range_set *set, struct err *e)
{
	for (size_t i = 0; i < set->count; i++) {
		if (set->range[i].subnet.ip.family != set->range[0].subnet.ip.family)
			return json_refuse(at, e, "IPv4 and IPv6 in one range set");
		for (size_t k = i + 1; k < set->count; k++)
			if (overlap(&set->range[i], &set->range[k]))
				return json_refuse(at, e, "ranges %zu and %zu overlap", i, k);
		for (size_t k = 0; k < ipam->sets; k++)
			for (size_t m = 0; m < ipam->set[k].count; m++)
				if (overlap(&set->range[i], &ipam->set[k].range[m]))
					return json_refuse(at, e, "overlaps with range set %zu", k);
	}
	if (ipam->sets == RANGE_SETS)
		return json_refuse(at, e, "more than %d range sets", RANGE_SETS);
	ipam->set[ipam->sets++] = *set;
	return 0;
}

static int parse_sets(struct ipam *ipam, const struct jnode *list, struct err *e)
{
	if (json_want_array(list, e) < 0)
		return -e->code;
	for (size_t i = 0; i < json_count(list); i++) {
		struct jnode item = json_item(list, i);
		struct range_set set = { 0 };

		if (json_want_array(&item, e) < 0)
			return -e->code;
		if (!json_count(&item))
			return json_refuse(&item, e, "empty range set");
		if (json_count(&item) > RANGES_PER_SET)
			return json_refuse(&item, e, "more than %d ranges", RANGES_PER_SET);
		for (; set.count < json_count(&item); set.count++) {
			struct jnode range = json_item(&item, set.count);

			if (parse_range(&range, &set.range[set.count], e) < 0)
				return -e->code;
		}
		if (add_set(ipam, &item, &set, e) < 0)
			return -e->code;
	}
	return 0;
}

static int want(struct ipam *ipam, const char *text, const char *where, struct err *e)
{
	char host[IP_TEXT];
	size_t len = strcspn(text, "/"); /* "10.0.0.5/24" is allowed: the prefix is the range's */

	if (ipam->wanteds == RANGE_REQUESTS)
		return err_set(e, EINVAL, "%s: more than %d addresses asked for", where, RANGE_REQUESTS);
	if (len >= sizeof(host))
		return err_set(e, EINVAL, "%s: \"%.60s\" is no IP address", where, text);
	memcpy(host, text, len);
	host[len] = 0;
	if (!ip_parse(host, &ipam->wanted[ipam->wanteds]))
		return err_set(e, EINVAL, "%s: \"%.60s\" is no IP address", where, text);
	ipam->wanteds++;
	return 0;
}

static int want_list(struct ipam *ipam, const struct jnode *list, const char *where, struct err *e)
{
	if (json_want_array(list, e) < 0)
		return -e->code;
	for (size_t i = 0; i < json_count(list); i++) {
		struct jnode item = json_item(list, i);
		const char *text;

		if (json_as_str(&item, &text, e) < 0 || want(ipam, text, where, e) < 0)
			return -e->code;
	}
	return 0;
}

static int parse(struct cni_call *call, struct ipam *ret, struct err *e)
{
	struct jnode top = call_conf(call);
	struct jnode n = json_get(&top, "ipam");
	struct jnode runtime = json_get(&top, "runtimeConfig");
	struct jnode runtime_ranges = json_get(&runtime, "ipRanges");
	struct jnode runtime_ips = json_get(&runtime, "ips");
	struct jnode args = json_get(&top, "args");
	struct jnode args_cni = json_get(&args, "cni");
	struct jnode args_ips = json_get(&args_cni, "ips");
	struct jnode ranges = json_get(&n, "ranges");
	struct jnode routes = json_get(&n, "routes");
	struct jnode subnet = json_get(&n, "subnet");
	char ip[IP_TEXT];

	ret->data_dir = "/var/lib/cni/networks";
	if (!n.value)
		return json_refuse(&n, e, "missing");
	if (json_want_object(&n, e) < 0 || json_str(&n, "dataDir", &ret->data_dir, e) < 0 ||
	    json_str(&n, "resolvConf", &ret->resolv_conf, e) < 0 || parse_sets(ret, &runtime_ranges, e) < 0)
		return -e->code;
	if (!*ret->data_dir)
		ret->data_dir = "/var/lib/cni/networks";
	if (subnet.value) { /* one range, written in the old way */
		struct range_set set = { .count = 1 };

		if (parse_range(&n, &set.range[0], e) < 0 || add_set(ret, &n, &set, e) < 0)
			return -e->code;
	}
	if (parse_sets(ret, &ranges, e) < 0)
		return -e->code;
	if (!ret->sets)
		return json_refuse(&ranges, e, "no address range given");
	if (call_arg(call, "IP", ip, sizeof(ip)) && want(ret, ip, "CNI_ARGS", e) < 0)
		return -e->code;
	if (want_list(ret, &args_ips, "args.cni.ips", e) < 0 || want_list(ret, &runtime_ips, "runtimeConfig.ips", e) < 0)
		return -e->code;
	return routes_parse(&routes, ret->route, RANGE_ROUTES, &ret->routes, e);
}

int ipam_parse(struct cni_call *call, struct ipam *ret, struct err *e)
{
	memset(ret, 0, sizeof(*ret));
	if (parse(call, ret, e) < 0) {
		call->code = CNI_INVALID_CONFIG;
		return -e->code;
	}
	return 0;
}

bool range_next(const struct range_set *set, const struct ip *last, struct range_cursor *c,
		const struct range **ret_range, struct ip *ret)
{
	if (!set->count)
		return false;
	for (;;) {
		const struct range *r = &set->range[c->range];

		if (!c->started && last->family && range_find(set, last)) {
			r = range_find(set, last);
			c->range = (size_t)(r - set->range);
			c->at = *last;
		} else if (!c->started) {
			c->started = true;
			c->first = c->at = r->start;
			goto seen;
		}
		if (!ip_cmp(&c->at, &r->end)) {
			c->range = (c->range + 1) % set->count;
			r = &set->range[c->range];
			c->at = r->start;
		} else {
			c->at = ip_next(&c->at);
		}
		if (!c->started) {
			c->started = true;
			c->first = c->at;
		} else if (!ip_cmp(&c->at, &c->first)) {
			return false;
		}
seen:
		if (!ip_cmp(&c->at, &r->gw))
			continue;
		*ret_range = r;
		*ret = c->at;
		return true;
	}
}
