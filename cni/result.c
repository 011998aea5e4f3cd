// SPDX-License-Identifier: Apache-2.0
#include "result.h"

#include <errno.h>
#include <string.h>

static int parse_ip(const struct jnode *n, const char *key, struct ip *ret, struct err *e)
{
	const char *text = NULL;

	if (json_str(n, key, &text, e) < 0)
		return -e->code;
	if (text && *text && !ip_parse(text, ret)) {
		struct jnode at = json_get(n, key);

		return json_refuse(&at, e, "\"%.60s\" is no IP address", text);
	}
	return 0;
}

static int parse_ip_net(const struct jnode *n, const char *key, struct ip_net *ret, struct err *e)
{
	const char *text;

	if (json_need_str(n, key, &text, e) < 0)
		return -e->code;
	if (!ip_net_parse(text, ret)) {
		struct jnode at = json_get(n, key);

		return json_refuse(&at, e, "\"%.60s\" is no address with a prefix length", text);
	}
	return 0;
}

int routes_parse(const struct jnode *list, struct route *ret, size_t max, size_t *ret_count, struct err *e)
{
	size_t count = json_count(list);

	if (json_want_array(list, e) < 0)
		return -e->code;
	if (count > max)
		return json_refuse(list, e, "more than %zu routes", max);
	for (size_t i = 0; i < count; i++) {
		struct jnode n = json_item(list, i);
		struct route r = { .scope = -1 };
		int64_t scope = -1;

		if (json_want_object(&n, e) < 0 || parse_ip_net(&n, "dst", &r.dst, e) < 0 || parse_ip(&n, "gw", &r.gw, e) < 0 ||
		    json_u32(&n, "mtu", &r.mtu, e) < 0 || json_u32(&n, "advmss", &r.advmss, e) < 0 ||
		    json_u32(&n, "priority", &r.priority, e) < 0 || json_u32(&n, "table", &r.table, e) < 0 ||
		    json_i64(&n, "scope", &scope, e) < 0)
			return -e->code;
		if (scope < -1 || scope > 255)
			return json_refuse(&n, e, "scope is not 0 to 255");
		if (r.gw.family && r.gw.family != r.dst.ip.family)
			return json_refuse(&n, e, "dst and gw are of different families");
		r.scope = (int)scope;
		ret[i] = r;
	}
	*ret_count = count;
	return 0;
}

static int parse_links(const struct jnode *list, struct result *ret, struct err *e)
{
	if (json_want_array(list, e) < 0)
		return -e->code;
	if (json_count(list) > RESULT_LINKS)
		return json_refuse(list, e, "more than %d interfaces", RESULT_LINKS);
	for (size_t i = 0; i < json_count(list); i++) {
		struct jnode n = json_item(list, i);
		struct result_link *link = &ret->link[i];
		const char *name = "", *mac = "";

		*link = (struct result_link){ .sandbox = "" };
		if (json_want_object(&n, e) < 0 || json_str(&n, "name", &name, e) < 0 || json_str(&n, "mac", &mac, e) < 0 ||
		    json_str(&n, "sandbox", &link->sandbox, e) < 0 || json_u32(&n, "mtu", &link->mtu, e) < 0)
			return -e->code;
		if (!cni_ifname_ok(name))
			return json_refuse(&n, e, "\"%.40s\" is no interface name", name);
		strcpy(link->name, name);
		if (strlen(mac) < sizeof(link->mac))
			strcpy(link->mac, mac);
		ret->links = i + 1;
	}
	return 0;
}

int result_parse(const struct jnode *n, struct result *ret, struct err *e)
{
	struct jnode links = json_get(n, "interfaces");
	struct jnode ips = json_get(n, "ips");
	struct jnode routes = json_get(n, "routes");
	struct jnode dns = json_get(n, "dns");

	memset(ret, 0, sizeof(*ret));
	if (json_want_object(n, e) < 0 || parse_links(&links, ret, e) < 0 || json_want_array(&ips, e) < 0 ||
	    routes_parse(&routes, ret->route, RESULT_ROUTES, &ret->routes, e) < 0)
		return -e->code;
	if (json_count(&ips) > RESULT_IPS)
		return json_refuse(&ips, e, "more than %d addresses", RESULT_IPS);
	for (size_t i = 0; i < json_count(&ips); i++) {
		struct jnode at = json_item(&ips, i);
		struct result_ip *ip = &ret->ip[i];
		int64_t link = -1;

		if (json_want_object(&at, e) < 0 || parse_ip_net(&at, "address", &ip->addr, e) < 0 ||
		    parse_ip(&at, "gateway", &ip->gw, e) < 0 || json_i64(&at, "interface", &link, e) < 0)
			return -e->code;
		if (link < -1 || link >= (int64_t)ret->links)
			return json_refuse(&at, e, "interface index is not in the list");
		ip->link = (int)link;
		ret->ips = i + 1;
	}
	if (json_want_object(&dns, e) < 0)
		return -e->code;
	ret->dns = (json_t *)dns.value;
	return 0;
}

static void set(json_t *object, const char *key, json_t *value, bool *ok)
{
	if (json_object_set_new(object, key, value) < 0)
		*ok = false;
}

static json_t *links_json(const struct result *result, const struct cni_call *call, bool *ok)
{
	json_t *list = json_array();

	for (size_t i = 0; i < result->links; i++) {
		const struct result_link *link = &result->link[i];
		json_t *item = json_object();

		set(item, "name", json_string(link->name), ok);
		if (*link->mac)
			set(item, "mac", json_string(link->mac), ok);
		if (*link->sandbox)
			set(item, "sandbox", json_string(link->sandbox), ok);
		if (link->mtu && call->version_number >= 1100)
			set(item, "mtu", json_integer(link->mtu), ok);
		if (json_array_append_new(list, item) < 0)
			*ok = false;
	}
	return list;
}

static json_t *ips_json(const struct result *result, const struct cni_call *call, bool *ok)
{
	json_t *list = json_array();
	char text[IP_TEXT];

	for (size_t i = 0; i < result->ips; i++) {
		const struct result_ip *ip = &result->ip[i];
		json_t *item = json_object();

		if (call->version_number < 1000)
			set(item, "version", json_string(ip->addr.ip.family == AF_INET ? "4" : "6"), ok);
		if (ip->link >= 0)
			set(item, "interface", json_integer(ip->link), ok);
		set(item, "address", json_string(ip_net_print(&ip->addr, text)), ok);
		if (ip->gw.family)
			set(item, "gateway", json_string(ip_print(&ip->gw, text)), ok);
		if (json_array_append_new(list, item) < 0)
			*ok = false;
	}
	return list;
}

static json_t *routes_json(const struct result *result, const struct cni_call *call, bool *ok)
{
	json_t *list = json_array();
	char text[IP_TEXT];

	for (size_t i = 0; i < result->routes; i++) {
		const struct route *r = &result->route[i];
		const struct { const char *key; uint32_t value; } more[] = {
			{ "mtu", r->mtu }, { "advmss", r->advmss }, { "priority", r->priority }, { "table", r->table },
		};
		json_t *item = json_object();

		set(item, "dst", json_string(ip_net_print(&r->dst, text)), ok);
		if (r->gw.family)
			set(item, "gw", json_string(ip_print(&r->gw, text)), ok);
		for (size_t k = 0; k < 4 && call->version_number >= 1100; k++)
			if (more[k].value)
				set(item, more[k].key, json_integer(more[k].value), ok);
		if (r->scope >= 0 && call->version_number >= 1100)
			set(item, "scope", json_integer(r->scope), ok);
		if (json_array_append_new(list, item) < 0)
			*ok = false;
	}
	return list;
}

json_t *result_json(const struct result *result, const struct cni_call *call)
{
	json_t *doc = json_object();
	bool ok = doc != NULL;

	set(doc, "cniVersion", json_string(call->version), &ok);
	if (result->links)
		set(doc, "interfaces", links_json(result, call, &ok), &ok);
	set(doc, "ips", ips_json(result, call, &ok), &ok);
	if (result->routes)
		set(doc, "routes", routes_json(result, call, &ok), &ok);
	set(doc, "dns", result->dns ? json_incref(result->dns) : json_object(), &ok);
	if (!ok) {
		json_decref(doc);
		return NULL;
	}
	return doc;
}
