// SPDX-License-Identifier: Apache-2.0
/*
 * portmap: host ports of a pod, after a plugin that made its interface.
 * Configuration: capability portMappings (runtimeConfig.portMappings), snat. Ours on top: nftTable
 * (name of the table, default "kobako"), isolateLoopback (hostport.h, hostports_private).
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "conntrack.h"
#include "hostport.h"
#include "nft.h"
#include "plugin.h"
#include "result.h"

#define MAPPINGS 256

struct conf {
	const char *table;
	bool snat;
	bool isolate_loopback;
	char owner[NFT_COMMENT_MAX + 1];
};

struct mapping {
	uint8_t protocol;
	uint16_t host_port, pod_port;
	struct ip host_ip;
};

/* Rules of iptables cannot be taken over: better an error than an open port. */
static const char *const unsupported[] = {
	"conditionsV4", "conditionsV6", "externalSetMarkChain", "masqAll", NULL,
};

/* "<id>/<interface> <network>", short enough for a comment. */
static void owner_of(const char *id, const char *ifname, const char *network, char ret[NFT_COMMENT_MAX + 1])
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */

	if (strlen(id) + strlen(ifname) + strlen(network) + 2 <= NFT_COMMENT_MAX) {
		snprintf(ret, NFT_COMMENT_MAX + 1, "%s/%s %s", id, ifname, network);
		return;
	}
	for (const char *p = id; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 1099511628211u;
	for (const char *p = network; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 1099511628211u;
	snprintf(ret, NFT_COMMENT_MAX + 1, "%.40s+%016llx/%s %.40s", id, (unsigned long long)hash, ifname, network);
}

static int parse_conf(struct cni_call *call, struct conf *ret, struct err *e)
{
	struct jnode top = call_conf(call);
	struct jnode table = json_get(&top, "nftTable");
	const char *backend = "";

	*ret = (struct conf){ .table = "kobako", .snat = true };
	if (call_refuse_keys(call, unsupported, e) < 0)
		return -e->code;
	if (json_str(&top, "backend", &backend, e) < 0 || json_str(&top, "nftTable", &ret->table, e) < 0 ||
	    json_bool(&top, "snat", &ret->snat, e) < 0 || json_bool(&top, "isolateLoopback", &ret->isolate_loopback, e) < 0) {
		call->code = CNI_INVALID_CONFIG;
		return -e->code;
	}
	if (*backend && strcmp(backend, "nftables"))
		return call_refuse(call, CNI_UNSUPPORTED_FIELD, e, "key \"backend\": only nftables is supported");
	if (!cni_name_ok(ret->table) || strlen(ret->table) >= NFT_NAME_LEN) {
		call->code = CNI_INVALID_CONFIG;
		return json_refuse(&table, e, "no table name");
	}
	owner_of(call->id, call->ifname, call->name, ret->owner);
	return 0;
}

static int parse_mapping(const struct jnode *n, struct mapping *ret, struct err *e)
{
	const char *protocol = "tcp", *host_ip = "";
	int64_t host_port = 0, pod_port = 0;

	if (json_want_object(n, e) < 0 || json_str(n, "protocol", &protocol, e) < 0 || json_str(n, "hostIP", &host_ip, e) < 0 ||
	    json_i64(n, "hostPort", &host_port, e) < 0 || json_i64(n, "containerPort", &pod_port, e) < 0)
		return -e->code;
	if (host_port < 0 || host_port > 65535)
		return json_refuse(n, e, "hostPort is not 1 to 65535");
	if (pod_port < 1 || pod_port > 65535)
		return json_refuse(n, e, "containerPort is not 1 to 65535");
	*ret = (struct mapping){ .host_port = (uint16_t)host_port, .pod_port = (uint16_t)pod_port };
	if (*host_ip && !ip_parse(host_ip, &ret->host_ip))
		return json_refuse(n, e, "hostIP \"%.60s\" is no IP address", host_ip);
	if (!strcmp(protocol, "tcp") || !strcmp(protocol, "TCP"))
		ret->protocol = IPPROTO_TCP;
	else if (!strcmp(protocol, "udp") || !strcmp(protocol, "UDP"))
		ret->protocol = IPPROTO_UDP;
	else if (!strcmp(protocol, "sctp") || !strcmp(protocol, "SCTP"))
		ret->protocol = IPPROTO_SCTP;
	else
		return json_refuse(n, e, "protocol \"%.20s\" is not tcp, udp or sctp", protocol);
	return 0;
}

/* The first address of each family that the pod's interface has. */
static int pod_ips(struct cni_call *call, struct ip *ret_v4, struct ip *ret_v6, struct err *e)
{
	struct jnode top = call_conf(call);
	struct jnode prev = json_get(&top, "prevResult");
	static struct result result;

	if (!prev.value)
		return call_refuse(call, CNI_INVALID_CONFIG, e, "prevResult: missing, this plugin must follow another one");
	if (result_parse(&prev, &result, e) < 0) {
		call->code = CNI_INVALID_CONFIG;
		return -e->code;
	}
	for (size_t i = 0; i < result.ips; i++) {
		struct result_ip *ip = &result.ip[i];
		struct ip *to = ip->addr.ip.family == AF_INET ? ret_v4 : ret_v6;

		if (ip->link >= 0 && !*result.link[ip->link].sandbox)
			continue; /* an address of the host */
		if (!to->family)
			*to = ip->addr.ip;
	}
	return 0;
}

/* One host port per mapping and family that both sides have. */
static int parse_ports(struct cni_call *call, const struct conf *conf, struct hostport *ret, size_t *ret_count, struct err *e)
{
	struct jnode top = call_conf(call);
	struct jnode runtime = json_get(&top, "runtimeConfig");
	struct jnode list = json_get(&runtime, "portMappings");
	struct ip pod[2] = { 0 };
	size_t count = 0;

	if (json_want_array(&list, e) < 0)
		goto invalid;
	*ret_count = 0;
	if (!json_count(&list))
		return 0;
	if (json_count(&list) > MAPPINGS) {
		json_refuse(&list, e, "more than %d host ports", MAPPINGS);
		goto invalid;
	}
	if (pod_ips(call, &pod[0], &pod[1], e) < 0)
		return -e->code;
	for (size_t i = 0; i < json_count(&list); i++) {
		struct jnode n = json_item(&list, i);
		struct mapping m;
		bool placed = false;

		if (parse_mapping(&n, &m, e) < 0)
			goto invalid;
		for (size_t k = 0; k < 2 && m.host_port; k++) {
			if (!pod[k].family || (m.host_ip.family && m.host_ip.family != pod[k].family))
				continue;
			placed = true;
			ret[count++] = (struct hostport){
				.protocol = m.protocol,
				.host_port = m.host_port,
				.pod_port = m.pod_port,
				.host_ip = m.host_ip,
				.pod_ip = pod[k],
				.snat = conf->snat,
				.is_private = conf->isolate_loopback && m.host_ip.family && ip_is_loopback(&m.host_ip),
			};
		}
		if (m.host_port && !placed) {
			json_refuse(&n, e, "the pod has no address of the family of hostIP");
			goto invalid;
		}
	}
	*ret_count = count;
	return 0;
invalid:
	call->code = CNI_INVALID_CONFIG;
	return -e->code;
}

/* The link through which the host reaches the pods; both families share it. */
static int pod_link(const struct hostport *ports, struct link *ret, struct err *e)
{
	cleanup_fd int fd = -1;
	int index;

	if (nl_open(NETLINK_ROUTE, &fd, e) < 0 || rtnl_route_link(fd, &ports[0].pod_ip, &index, e) < 0)
		return -e->code;
	return rtnl_link_get_index(fd, index, ret, e);
}

/* Lets 127.0.0.1 be answered by pods; hostports_guard, which is in place by now, keeps others out. */
static int open_loopback(const struct hostport *ports, size_t count, const struct link *link, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		const struct hostport *p = &ports[i];
		int r;

		if (!p->snat || p->pod_ip.family != AF_INET || (p->host_ip.family && !ip_is_any(&p->host_ip) && !ip_is_loopback(&p->host_ip)))
			continue;
		r = sysctl_link("ipv4", link->name, "route_localnet", "1");
		return r < 0 ? err_set(e, -r, "set route_localnet of %s", link->name) : 0;
	}
	return 0;
}

static int add(struct cni_call *call, struct err *e)
{
	static struct hostport ports[2 * MAPPINGS];
	static uint16_t udp[2 * MAPPINGS];
	struct err ignored;
	struct conf conf;
	struct link link;
	cleanup_fd int fd = -1;
	size_t count, udp_count = 0;

	if (parse_conf(call, &conf, e) < 0 || parse_ports(call, &conf, ports, &count, e) < 0)
		return -e->code;
	if (count) {
		if (nl_open(NETLINK_NETFILTER, &fd, e) < 0 || pod_link(ports, &link, e) < 0 ||
		    hostport_add(fd, conf.table, conf.owner, link.name, ports, count, e) < 0)
			return -e->code;
		if (open_loopback(ports, count, &link, e) < 0) {
			struct hostport_pods pods;

			hostport_del(fd, conf.table, conf.owner, &pods, &ignored);
			return -e->code;
		}
		/* Best effort: a kernel without connection listing still has working ports for TCP. */
		for (size_t i = 0; i < count; i++)
			if (ports[i].protocol == IPPROTO_UDP)
				udp[udp_count++] = ports[i].host_port;
		conntrack_forget_ports(fd, udp, udp_count, &ignored);
	}
	return call_print_prev(call, e);
}

static int del(struct cni_call *call, struct err *e)
{
	struct hostport_pods pods;
	struct err ignored;
	struct conf conf;
	cleanup_fd int fd = -1;

	if (parse_conf(call, &conf, e) < 0 || nl_open(NETLINK_NETFILTER, &fd, e) < 0 ||
	    hostport_del(fd, conf.table, conf.owner, &pods, e) < 0)
		return -e->code;
	for (size_t i = 0; i < pods.count; i++)
		conntrack_forget_pod(fd, &pods.ip[i], &ignored);
	return 0;
}

static int check(struct cni_call *call, struct err *e)
{
	static struct hostport ports[2 * MAPPINGS];
	struct conf conf;
	cleanup_fd int fd = -1;
	size_t count;

	if (parse_conf(call, &conf, e) < 0 || parse_ports(call, &conf, ports, &count, e) < 0)
		return -e->code;
	if (!count)
		return 0;
	if (nl_open(NETLINK_NETFILTER, &fd, e) < 0)
		return -e->code;
	return hostport_check(fd, conf.table, conf.owner, ports, count, e);
}

#define GONE_MAX 1024

struct gone {
	struct cni_call *call;
	const struct jnode *valid;
	size_t count;
	char owner[GONE_MAX][NFT_COMMENT_MAX + 1];
};

static int note_gone(const char *owner, void *arg)
{
	struct gone *g = arg;
	const char *network = strchr(owner, ' ');
	char name[NFT_COMMENT_MAX + 1];

	/* Another network's, or one of a network whose name was cut: not ours to judge. */
	if (!network || strcmp(network + 1, g->call->name))
		return 0;
	for (size_t i = 0; i < json_count(g->valid); i++) {
		struct jnode item = json_item(g->valid, i);
		const char *id = "", *ifname = "";
		struct err ignored;

		if (json_str(&item, "containerID", &id, &ignored) < 0 || json_str(&item, "ifname", &ifname, &ignored) < 0)
			return -EINVAL;
		owner_of(id, ifname, g->call->name, name);
		if (!strcmp(name, owner))
			return 0;
	}
	if (g->count < GONE_MAX)
		strcpy(g->owner[g->count++], owner);
	return 0;
}

static int gc(struct cni_call *call, struct err *e)
{
	static struct gone gone;
	struct jnode top = call_conf(call);
	struct jnode valid = json_get(&top, "cni.dev/valid-attachments");
	struct conf conf;
	cleanup_fd int fd = -1;
	int r = 0;

	if (parse_conf(call, &conf, e) < 0)
		return -e->code;
	if (!json_is_array(valid.value))
		return call_refuse(call, CNI_INVALID_CONFIG, e, "cni.dev/valid-attachments: missing or no list");
	gone.call = call;
	gone.valid = &valid;
	if (nl_open(NETLINK_NETFILTER, &fd, e) < 0 || hostport_owners(fd, conf.table, note_gone, &gone, e) < 0)
		return -e->code;
	for (size_t i = 0; !r && i < gone.count; i++) {
		struct hostport_pods pods;

		r = hostport_del(fd, conf.table, gone.owner[i], &pods, e);
	}
	return r;
}

static int status(struct cni_call *call, struct err *e)
{
	struct conf conf;

	return parse_conf(call, &conf, e);
}

const struct cni_plugin portmap_plugin = {
	.name = "portmap",
	.add = add,
	.del = del,
	.check = check,
	.gc = gc,
	.status = status,
};
