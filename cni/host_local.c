// SPDX-License-Identifier: Apache-2.0
/*
 * host-local: addresses for pods of this node, kept in files (lease.h).
 * Same configuration, same state on disk as the reference plugin of that name.
 */
#include "host_local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "lease.h"
#include "range.h"

#define RESOLV_LIMIT 65536

static void append(json_t *object, const char *key, const char *text)
{
	json_t *list = json_object_get(object, key);

	if (!list) {
		list = json_array();
		json_object_set_new(object, key, list);
	}
	json_array_append_new(list, json_string(text));
}

/* resolv.conf(5) as the dns part of a result. */
static int read_resolv(const char *path, json_t **ret, struct err *e)
{
	cleanup_free char *text = NULL;
	json_t *dns = json_object();
	size_t len;
	char *save_line = NULL;

	if (io_read_file_at(AT_FDCWD, path, RESOLV_LIMIT, &text, &len, e) < 0) {
		json_decref(dns);
		return err_wrap(e, "ipam.resolvConf");
	}
	for (char *line = strtok_r(text, "\n", &save_line); line; line = strtok_r(NULL, "\n", &save_line)) {
		char *save = NULL;
		char *key = strtok_r(line, " \t\r", &save);
		char *word;

		if (!key || *key == '#' || *key == ';')
			continue;
		while ((word = strtok_r(NULL, " \t\r", &save))) {
			if (!strcmp(key, "nameserver"))
				append(dns, "nameservers", word);
			else if (!strcmp(key, "search"))
				append(dns, "search", word);
			else if (!strcmp(key, "options"))
				append(dns, "options", word);
			else if (!strcmp(key, "domain"))
				json_object_set_new(dns, "domain", json_string(word));
		}
	}
	*ret = dns;
	return 0;
}

struct held {
	struct cni_call *call;
	struct ip ip[RESULT_IPS];
	size_t count;
};

static int note_own(struct leases *l, const char *name, const char *data, size_t len, void *arg)
{
	struct held *held = arg;

	if (held->count < RESULT_IPS && lease_owner(data, len, held->call->id, held->call->ifname) == LEASE_OWN)
		ip_parse(name, &held->ip[held->count++]);
	return 0;
}

/* One address of `set`: the one asked for, or the next free one. */
static int take(struct cni_call *call, struct leases *l, struct ipam *ipam, size_t set, struct result_ip *ret, struct err *e)
{
	const struct range_set *s = &ipam->set[set];
	struct range_cursor cursor = { 0 };
	const struct range *range;
	char text[IP_TEXT];
	struct ip last, ip;
	int r = 0;

	for (size_t i = 0; i < ipam->wanteds; i++) {
		range = range_find(s, &ipam->wanted[i]);
		if (!range)
			continue;
		ip = ipam->wanted[i];
		ipam->wanted[i] = ipam->wanted[--ipam->wanteds];
		if (!ip_cmp(&ip, &range->gw))
			return err_set(e, EADDRNOTAVAIL, "address %s is the gateway's", ip_print(&ip, text));
		r = lease_take(l, &ip, set, call->id, call->ifname, e);
		if (r == 0)
			return err_set(e, EADDRINUSE, "address %s", ip_print(&ip, text));
		goto taken;
	}
	last = lease_last(l, set);
	while (r == 0 && range_next(s, &last, &cursor, &range, &ip))
		r = lease_take(l, &ip, set, call->id, call->ifname, e);
	if (r == 0) {
		call->code = CNI_TRY_LATER;
		return err_set(e, EADDRNOTAVAIL, "no free address in %s of network %s", ip_net_print(&s->range[0].subnet, text),
			       call->name);
	}
taken:
	if (r < 0)
		return r;
	ret->addr.ip = ip;
	ret->addr.plen = range->subnet.plen;
	ret->gw = range->gw;
	ret->link = -1;
	return 0;
}

static int allocate(struct cni_call *call, struct leases *l, struct ipam *ipam, struct result *ret, struct err *e)
{
	struct held held = { .call = call };
	char text[IP_TEXT];

	if (leases_walk(l, note_own, &held, e) < 0)
		return -e->code;
	for (size_t i = 0; i < held.count; i++)
		for (size_t set = 0; set < ipam->sets; set++)
			if (range_find(&ipam->set[set], &held.ip[i]))
				return err_set(e, EEXIST, "%s is given to %s already", ip_print(&held.ip[i], text), call->id);
	for (size_t set = 0; set < ipam->sets; set++) {
		if (take(call, l, ipam, set, &ret->ip[set], e) < 0)
			goto undo;
		ret->ips = set + 1;
	}
	if (ipam->wanteds) {
		err_set(e, EADDRNOTAVAIL, "address %s is in no range of network %s", ip_print(&ipam->wanted[0], text), call->name);
		goto undo;
	}
	return 0;
undo:
	lease_release(l, call->id, call->ifname, NULL, &(struct err){ 0 });
	return -e->code;
}

int host_local_add(struct cni_call *call, struct result *ret, struct err *e)
{
	cleanup_leases struct leases l = { -1, -1 };
	static struct ipam ipam;
	json_t *dns = NULL;

	memset(ret, 0, sizeof(*ret));
	if (ipam_parse(call, &ipam, e) < 0 || (ipam.resolv_conf && *ipam.resolv_conf && read_resolv(ipam.resolv_conf, &dns, e) < 0))
		return -e->code;
	if (leases_open(ipam.data_dir, call->name, true, &l, e) < 0 || allocate(call, &l, &ipam, ret, e) < 0) {
		json_decref(dns);
		return -e->code;
	}
	memcpy(ret->route, ipam.route, ipam.routes * sizeof(*ipam.route));
	ret->routes = ipam.routes;
	ret->dns = dns;
	return 0;
}

/* The network's leases for verbs that make nothing; -ENOENT: there never were any. */
static int open_leases(struct cni_call *call, struct leases *ret, struct err *e)
{
	struct jnode top = call_conf(call);
	struct jnode n = json_get(&top, "ipam");
	const char *dir = "";

	/* Not ipam_parse: addresses are given back even when the ranges were edited into nonsense. */
	if (json_want_object(&n, e) < 0 || json_str(&n, "dataDir", &dir, e) < 0) {
		call->code = CNI_INVALID_CONFIG;
		return -e->code;
	}
	return leases_open(*dir ? dir : "/var/lib/cni/networks", call->name, false, ret, e);
}

int host_local_del(struct cni_call *call, struct err *e)
{
	cleanup_leases struct leases l = { -1, -1 };
	int r = open_leases(call, &l, e);

	if (!r)
		r = lease_release(&l, call->id, call->ifname, NULL, e);
	return r == -ENOENT ? 0 : r;
}

int host_local_check(struct cni_call *call, struct err *e)
{
	cleanup_leases struct leases l = { -1, -1 };
	struct held held = { .call = call };
	int r = open_leases(call, &l, e);

	if (!r)
		r = leases_walk(&l, note_own, &held, e);
	if (!r && !held.count)
		r = err_set(e, ENOENT, "no address of container %s in network %s", call->id, call->name);
	return r;
}

static int drop_invalid(struct leases *l, const char *name, const char *data, size_t len, void *arg)
{
	struct jnode *valid = arg;
	struct err ignored;

	for (size_t i = 0; i < json_count(valid); i++) {
		struct jnode item = json_item(valid, i);
		const char *id = "", *ifname = "";

		if (json_str(&item, "containerID", &id, &ignored) < 0 || json_str(&item, "ifname", &ifname, &ignored) < 0)
			return -EINVAL;
		if (*id && lease_owner(data, len, id, ifname) == LEASE_OWN)
			return 0;
	}
	return unlinkat(l->dir_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int host_local_gc(struct cni_call *call, struct err *e)
{
	cleanup_leases struct leases l = { -1, -1 };
	struct jnode top = call_conf(call);
	struct jnode valid = json_get(&top, "cni.dev/valid-attachments");
	int r;

	/* Absent is not the same as empty: without the list nobody is removed. */
	if (!json_is_array(valid.value))
		return call_refuse(call, CNI_INVALID_CONFIG, e, "cni.dev/valid-attachments: missing or no list");
	r = open_leases(call, &l, e);
	if (!r)
		r = leases_walk(&l, drop_invalid, &valid, e);
	return r == -ENOENT ? 0 : r;
}

static int add(struct cni_call *call, struct err *e)
{
	static struct result result;
	json_t *doc;
	int r;

	if (host_local_add(call, &result, e) < 0)
		return -e->code;
	doc = result_json(&result, call);
	json_decref(result.dns);
	r = doc ? call_print(doc, e) : err_set(e, ENOMEM, "print result");
	json_decref(doc);
	if (r < 0)
		host_local_del(call, &(struct err){ 0 });
	return r;
}

static int status(struct cni_call *call, struct err *e)
{
	static struct ipam ipam;

	return ipam_parse(call, &ipam, e);
}

const struct cni_plugin host_local_plugin = {
	.name = "host-local",
	.add = add,
	.del = host_local_del,
	.check = host_local_check,
	.gc = host_local_gc,
	.status = status,
};
