// SPDX-License-Identifier: Apache-2.0
/*
 * bridge: a veth pair per pod, its host end a port of a bridge, addresses from an IPAM plugin.
 * Keys of the reference plugin: bridge, isGateway, isDefaultGateway, forceAddress, ipMasq, mtu,
 * hairpinMode, promiscMode, enabledad, portIsolation, mac. Ours on top: nftTable (default "kobako");
 * loopback: bring lo up too, which saves the loopback plugin's exec; keepAddresses: the bridge may have
 * other IPv4 addresses, of subnets that don't overlap; linkEndsWithNetns: the caller removes the pod's
 * namespace after DEL, and the pair ends with it. DEL only switches the port off, which is done at
 * once; removing a pair holds the caller up for 10 to 20 ms (RCU grace periods) to no avail.
 *
 * A pod's MAC address is 0a:58 and its IPv4 address: unique on the bridge as the address is, and
 * nobody's neighbour table is wrong when a new pod gets an old address. The host end's name and MAC
 * come from a hash of pod and interface: so it is found when the pod's namespace is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "bridge_conf.h"
#include "delegate.h"
#include "host_end.h"
#include "masquerade.h"
#include "plugin.h"

/* --- the bridge --- */

static int ensure_bridge(int fd, const struct bridge_conf *conf, struct link *ret, struct err *e)
{
	uint8_t mac[6];
	int r;

	for (int tries = 0;; tries++) {
		r = rtnl_link_get(fd, conf->bridge, ret, e);
		if (r != -ENODEV || tries == 3)
			break;
		/* A MAC of its own: else it is the lowest of its ports' and changes as pods come and go. */
		if (getrandom(mac, sizeof(mac), 0) != sizeof(mac))
			return err_set(e, EIO, "random MAC address");
		mac[0] = (uint8_t)((mac[0] & ~1u) | 2);
		r = rtnl_bridge_add(fd, conf->bridge, conf->mtu, mac, e);
		if (r < 0 && r != -EEXIST) /* EEXIST: another call made it */
			return err_wrap(e, "bridge %s", conf->bridge);
		/* Without waiting for its link-local address: forwarded packets need it to find a pod, and a
		 * MAC of our making has no double. */
		sysctl_link("ipv6", conf->bridge, "accept_dad", "0");
	}
	if (r < 0)
		return r;
	if (strcmp(ret->kind, "bridge"))
		return err_set(e, EEXIST, "%s is a link of another kind (%s)", conf->bridge, *ret->kind ? ret->kind : "hardware");
	/* A pod must not become the host's router (CVE-2020-10749). Without IPv6 there is no such file. */
	r = sysctl_link("ipv6", conf->bridge, "accept_ra", "0");
	if (r < 0 && r != -ENOENT)
		return err_set(e, -r, "set accept_ra of %s", conf->bridge);
	if (conf->promisc && !(ret->flags & IFF_PROMISC) && rtnl_link_promisc(fd, ret->index, e) < 0)
		return -e->code;
	if (!(ret->flags & IFF_UP) && rtnl_link_up(fd, ret->index, e) < 0)
		return -e->code;
	return 0;
}

struct own_addrs {
	struct ip_net addr[64];
	size_t count;
};

static int note_addr(const struct ip_net *addr, void *arg)
{
	struct own_addrs *own = arg;

	if (own->count < sizeof(own->addr) / sizeof(*own->addr))
		own->addr[own->count++] = *addr;
	return 0;
}

static int ensure_gateway(int fd, const struct bridge_conf *conf, const struct link *bridge, const struct own_addrs *own,
			  const struct ip_net *gw, struct err *e)
{
	static struct nl_buf batch;
	char text[IP_TEXT], other[IP_TEXT];
	int r;

	for (size_t i = 0; i < own->count; i++) {
		const struct ip_net *a = &own->addr[i];

		if (!ip_cmp(&a->ip, &gw->ip) && a->plen == gw->plen)
			return 0;
		if (a->ip.family != gw->ip.family ||
		    ((a->ip.family == AF_INET6 || conf->keep_addresses) && !ip_net_contains(a, &gw->ip) && !ip_net_contains(gw, &a->ip)))
			continue;
		if (!conf->force_address)
			return err_set(e, EADDRINUSE, "%s has the address %s and not %s (forceAddress would replace it)",
				       conf->bridge, ip_net_print(a, other), ip_net_print(gw, text));
		if (rtnl_addr_del(fd, bridge->index, a, e) < 0)
			return -e->code;
	}
	nl_reset(&batch);
	rtnl_put_addr(&batch, bridge->index, gw, false);
	r = nl_talk(fd, &batch, NULL, NULL, e);
	if (r < 0 && r != -EEXIST)
		return err_wrap(e, "address %s of %s", ip_net_print(gw, text), conf->bridge);
	return 0;
}

static int enable_forwarding(int family, struct err *e)
{
	const char *path = family == AF_INET ? "/proc/sys/net/ipv4/ip_forward" : "/proc/sys/net/ipv6/conf/all/forwarding";
	char old[8];
	int r;

	/* Written only when it changes something: a write walks over all links. */
	if (io_read_small_at(AT_FDCWD, path, old, sizeof(old)) > 0 && old[0] != '0')
		return 0;
	r = io_write_file_at(AT_FDCWD, path, "1");
	return r < 0 ? err_set(e, -r, "write %s", path) : 0;
}

/* Gateways of the addresses: filled in, set on the bridge, default routes added. */
static int setup_gateways(int fd, const struct bridge_conf *conf, const struct link *bridge, struct result *result, struct err *e)
{
	static struct own_addrs own;
	bool has_default[2] = { false, false };

	if (!conf->gateway)
		return 0;
	own.count = 0;
	if (rtnl_addrs(fd, bridge->index, note_addr, &own, e) < 0)
		return -e->code;
	for (size_t i = 0; i < result->routes; i++)
		if (!result->route[i].dst.plen && result->route[i].gw.family)
			has_default[result->route[i].dst.ip.family == AF_INET6] = true;
	for (size_t i = 0; i < result->ips; i++) {
		struct result_ip *ip = &result->ip[i];
		struct ip_net gw = { ip->gw, ip->addr.plen };
		bool *found = &has_default[ip->addr.ip.family == AF_INET6];

		if (!gw.ip.family) {
			struct ip first = ip_net_first(&ip->addr);

			gw.ip = ip->gw = ip_next(&first);
		}
		if (conf->default_gateway && !*found) {
			if (result->routes == RESULT_ROUTES)
				return err_set(e, E2BIG, "more than %d routes", RESULT_ROUTES);
			result->route[result->routes++] = (struct route){
				.dst = { { gw.ip.family, { 0 } }, 0 }, .gw = gw.ip, .scope = -1,
			};
			*found = true;
		}
		if (ensure_gateway(fd, conf, bridge, &own, &gw, e) < 0 || enable_forwarding(gw.ip.family, e) < 0)
			return -e->code;
	}
	return 0;
}

/* --- the pod --- */

static void pod_mac(const struct bridge_conf *conf, const struct cni_call *call, const struct result *result, uint8_t ret[6])
{
	if (conf->has_mac) {
		memcpy(ret, conf->mac, 6);
		return;
	}
	for (size_t i = 0; i < result->ips; i++) {
		if (result->ip[i].addr.ip.family != AF_INET)
			continue;
		ret[0] = 0x0a;
		ret[1] = 0x58;
		memcpy(ret + 2, result->ip[i].addr.ip.byte, 4);
		return;
	}
	memcpy(ret, host_end(call, HOST_END_ATTEMPTS).mac, 6);
}

/* In the pod's namespace: link settings before the link is up, then all the rest in one request. */
static int configure_pod(struct cni_call *call, const struct bridge_conf *conf, const struct result *result, struct link *ret,
			 struct err *e)
{
	static struct nl_buf batch;
	const char *name = call->ifname;
	struct ip gw[2] = { 0 };
	cleanup_fd int fd = -1;
	bool v6 = false;
	int r;

	if (nl_open(NETLINK_ROUTE, &fd, e) < 0 || rtnl_link_get(fd, name, ret, e) < 0)
		return -e->code;
	for (size_t i = 0; i < result->ips; i++) {
		const struct ip *g = &result->ip[i].gw;

		v6 |= result->ip[i].addr.ip.family == AF_INET6;
		if (g->family && !gw[g->family == AF_INET6].family)
			gw[g->family == AF_INET6] = *g;
	}
	r = sysctl_link("ipv6", name, "accept_ra", "0");
	if (r < 0 && r != -ENOENT)
		return err_set(e, -r, "set accept_ra of %s in %s", name, call->netns);
	sysctl_link("ipv6", name, "accept_dad", conf->dad ? "1" : "0");
	sysctl_link("ipv4", name, "arp_notify", "1");
	if (v6) {
		sysctl_link("ipv6", "lo", "disable_ipv6", "0");
		r = sysctl_link("ipv6", name, "disable_ipv6", "0");
		if (r < 0)
			return err_set(e, -r, "enable IPv6 on %s in %s", name, call->netns);
		sysctl_link("ipv6", name, "keep_addr_on_down", "1");
		sysctl_link("ipv6", name, "ndisc_notify", "1");
	}
	nl_reset(&batch);
	if (conf->loopback)
		rtnl_put_up(&batch, 1); /* lo's index in every network namespace */
	for (size_t i = 0; i < result->ips; i++)
		rtnl_put_addr(&batch, ret->index, &result->ip[i].addr, conf->dad);
	rtnl_put_up(&batch, ret->index);
	for (size_t i = 0; i < result->routes; i++) {
		struct route route = result->route[i];

		if (!route.gw.family)
			route.gw = gw[route.dst.ip.family == AF_INET6];
		rtnl_put_route(&batch, ret->index, &route);
	}
	if (nl_talk(fd, &batch, NULL, NULL, e) < 0)
		return err_wrap(e, "%s in %s", name, call->netns);
	return 0;
}

static int make_pair(int fd, struct cni_call *call, const struct bridge_conf *conf, const struct link *bridge, int netns,
		     const uint8_t mac[6], struct host_end *ret, struct err *e)
{
	struct link link;
	int r = -EEXIST;

	for (unsigned int i = 0; r == -EEXIST && i < HOST_END_ATTEMPTS; i++) {
		struct veth v = {
			.host_name = ret->name, .host_mac = ret->mac, .pod_name = call->ifname, .pod_mac = mac,
			.pod_netns_fd = netns, .mtu = conf->mtu ? conf->mtu : bridge->mtu, .bridge = bridge->index,
			.hairpin = conf->hairpin, .isolated = conf->isolated,
		};

		*ret = host_end(call, i);
		r = rtnl_veth_add(fd, &v, e);
		/* The same pod again, in a namespace that was not removed: now its old pair is in the way. */
		if (r == -EEXIST && !rtnl_link_get(fd, ret->name, &link, &(struct err){ 0 }) && link.port_off &&
		    !memcmp(link.mac, ret->mac, 6) && !rtnl_link_del(fd, link.index, e))
			r = rtnl_veth_add(fd, &v, e);
		if (r == -EEXIST && rtnl_link_get(fd, ret->name, &link, &(struct err){ 0 }) == -ENODEV)
			return err_set(e, EEXIST, "%s in %s", call->ifname, call->netns);
		/* A pair of this very pod without its other half: what an ADD that was killed left. */
		if (r == -EEXIST && !memcmp(link.mac, ret->mac, 6) && !link.port_off)
			return err_set(e, EEXIST, "container %s is attached as %s already", call->id, ret->name);
	}
	return r < 0 ? err_wrap(e, "pod interface") : 0;
}

/*
 * The port forwards once the kernel's link watch has seen the carrier: normally at once, in a work
 * queue. A pod that starts earlier would lose its first packets and wait a second for the next.
 */
static int wait_for_port(int fd, const char *name, struct link *ret, struct err *e)
{
	const struct timespec pause = { .tv_nsec = 200000 };

	for (int i = 0; i < 5000; i++) {
		if (rtnl_link_get(fd, name, ret, e) < 0)
			return -e->code;
		if (ret->up)
			return 0;
		nanosleep(&pause, NULL);
	}
	return err_set(e, ENETDOWN, "bridge port %s", name);
}

static void print_mac(const uint8_t mac[6], char ret[18])
{
	snprintf(ret, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static int print_result(struct cni_call *call, const struct bridge_conf *conf, const struct link *bridge, const struct link *host,
			const struct link *pod, struct result *result, struct err *e)
{
	json_t *dns = json_object_get(call->conf, "dns");
	json_t *doc;
	int r;

	result->links = 3;
	strcpy(result->link[0].name, bridge->name);
	strcpy(result->link[1].name, host->name);
	strcpy(result->link[2].name, pod->name);
	print_mac(bridge->mac, result->link[0].mac);
	print_mac(host->mac, result->link[1].mac);
	print_mac(pod->mac, result->link[2].mac);
	result->link[0].sandbox = result->link[1].sandbox = "";
	result->link[2].sandbox = call->netns;
	result->link[0].mtu = bridge->mtu;
	result->link[1].mtu = host->mtu;
	result->link[2].mtu = pod->mtu;
	for (size_t i = 0; i < result->ips; i++)
		result->ip[i].link = 2;
	if (json_is_object(dns) && json_object_size(dns))
		result->dns = dns;
	doc = result_json(result, call);
	r = doc ? call_print(doc, e) : err_set(e, ENOMEM, "print result");
	json_decref(doc);
	return r;
}

/* What this ADD made so far. Only that is undone: a second ADD of one pod leaves the first alone. */
struct made {
	bool addresses, pair;
};

/* Everything from the bridge to the answer; the caller undoes what *made says. */
static int attach(struct cni_call *call, const struct bridge_conf *conf, int fd, int netns, struct delegate *ipam,
		  struct result *result, struct made *made, struct err *e)
{
	struct host_end end = { 0 };
	struct link bridge, host, pod;
	struct ip_net subnets[RESULT_IPS];
	cleanup_fd int back = -1;
	uint8_t mac[6];
	int r;

	if (ensure_bridge(fd, conf, &bridge, e) < 0)
		return -e->code;
	if (ipam->type) {
		if (delegate_add(ipam, result, e) < 0)
			return -e->code;
		made->addresses = true;
		if (!result->ips)
			return err_set(e, EPROTO, "ipam plugin %s gave no address", ipam->type);
	}
	if (setup_gateways(fd, conf, &bridge, result, e) < 0)
		return -e->code;
	pod_mac(conf, call, result, mac);
	if (make_pair(fd, call, conf, &bridge, netns, mac, &end, e) < 0)
		return -e->code;
	made->pair = true;
	/* Before the carrier: a port of a bridge takes no part in IPv6 (1: no link-local address). */
	sysctl_link("ipv6", end.name, "addr_gen_mode", "1");
	r = sysctl_link("ipv6", end.name, "accept_ra", "0");
	if (r < 0 && r != -ENOENT)
		return err_set(e, -r, "set accept_ra of %s", end.name);
	if (netns_enter(netns, &back, e) < 0)
		return -e->code;
	r = configure_pod(call, conf, result, &pod, e);
	if (setns(back, CLONE_NEWNET) < 0)
		return err_set(e, errno, "return to own network namespace");
	if (r < 0)
		return r;
	for (size_t i = 0; i < result->ips; i++)
		subnets[i] = result->ip[i].addr;
	if (conf->masquerade && result->ips && masquerade_ensure(conf->table, subnets, result->ips, e) < 0)
		return -e->code;
	if (wait_for_port(fd, end.name, &host, e) < 0)
		return -e->code;
	return print_result(call, conf, &bridge, &host, &pod, result, e);
}

static int add(struct cni_call *call, struct err *e)
{
	static struct result result;
	cleanup_delegate struct delegate ipam = { 0 };
	struct made made = { false, false };
	struct err ignored;
	struct bridge_conf conf;
	cleanup_fd int fd = -1;
	cleanup_fd int netns = -1;
	int code;

	if (bridge_conf_parse(call, &conf, e) < 0 || delegate_open(call, &ipam, e) < 0 || netns_open(call->netns, &netns, e) < 0 ||
	    nl_open(NETLINK_ROUTE, &fd, e) < 0)
		return -e->code;
	if (!attach(call, &conf, fd, netns, &ipam, &result, &made, e))
		return 0;
	code = call->code;
	if (made.pair)
		host_ends_remove(fd, call, false, &ignored);
	if (made.addresses)
		delegate_run(&ipam, CNI_DEL, &ignored);
	call->code = code;
	return -e->code;
}

/* Removes the pod's end, and with it the pair. */
static int remove_pod_end(int netns, const char *name, struct err *e)
{
	cleanup_fd int back = -1;
	cleanup_fd int fd = -1;
	struct link link;
	int r;

	if (netns_enter(netns, &back, e) < 0)
		return -e->code;
	r = nl_open(NETLINK_ROUTE, &fd, e);
	if (!r)
		r = rtnl_link_get(fd, name, &link, e);
	if (!r && !(link.flags & IFF_LOOPBACK))
		r = rtnl_link_del(fd, link.index, e);
	if (setns(back, CLONE_NEWNET) < 0)
		return err_set(e, errno, "return to own network namespace");
	return r == -ENODEV ? 0 : r;
}

static int del(struct cni_call *call, struct err *e)
{
	cleanup_delegate struct delegate ipam = { 0 };
	struct jnode top = call_conf(call);
	cleanup_fd int fd = -1;
	cleanup_fd int netns = -1;
	bool ends = false;
	int r = 0;

	/* No bridge_conf_parse: what was made is taken back even when the configuration was edited into nonsense. */
	json_bool(&top, "linkEndsWithNetns", &ends, &(struct err){ 0 });
	if (*call->netns)
		r = netns_open(call->netns, &netns, e);
	if (r < 0 && r != -ENOENT)
		return r;
	ends = ends && netns >= 0;
	/* The link first: an address that is given back must not be in use. */
	if (nl_open(NETLINK_ROUTE, &fd, e) < 0 || host_ends_remove(fd, call, ends, e) < 0)
		return -e->code;
	if (netns >= 0 && !ends && remove_pod_end(netns, call->ifname, e) < 0)
		return -e->code;
	if (delegate_open(call, &ipam, e) < 0)
		return -e->code;
	return delegate_run(&ipam, CNI_DEL, e);
}

/* --- CHECK, GC, STATUS --- */

static int check_pod(struct cni_call *call, const struct result *prev, struct err *e)
{
	static struct own_addrs own;
	char text[IP_TEXT];
	cleanup_fd int fd = -1;
	struct link link;

	if (nl_open(NETLINK_ROUTE, &fd, e) < 0 || rtnl_link_get(fd, call->ifname, &link, e) < 0)
		return -e->code;
	if (!(link.flags & IFF_UP))
		return err_set(e, ENETDOWN, "%s in %s", call->ifname, call->netns);
	own.count = 0;
	if (rtnl_addrs(fd, link.index, note_addr, &own, e) < 0)
		return -e->code;
	for (size_t i = 0; i < prev->ips; i++) {
		const struct result_ip *ip = &prev->ip[i];
		bool found = false;

		if (ip->link < 0 || strcmp(prev->link[ip->link].name, call->ifname))
			continue;
		for (size_t k = 0; k < own.count; k++)
			found |= !ip_cmp(&own.addr[k].ip, &ip->addr.ip) && own.addr[k].plen == ip->addr.plen;
		if (!found)
			return err_set(e, EADDRNOTAVAIL, "%s in %s lacks the address %s", call->ifname, call->netns,
				       ip_net_print(&ip->addr, text));
	}
	return 0;
}

static int check_host(int fd, struct cni_call *call, const struct bridge_conf *conf, const struct result *prev, struct err *e)
{
	struct ip_net subnets[RESULT_IPS];
	struct link bridge, link;

	if (rtnl_link_get(fd, conf->bridge, &bridge, e) < 0)
		return -e->code;
	if (strcmp(bridge.kind, "bridge") || !(bridge.flags & IFF_UP))
		return err_set(e, ENETDOWN, "bridge %s", conf->bridge);
	for (size_t i = 0; i < prev->links; i++) {
		if (*prev->link[i].sandbox || strncmp(prev->link[i].name, "veth", 4))
			continue;
		if (rtnl_link_get(fd, prev->link[i].name, &link, e) < 0)
			return -e->code;
		if (link.master != bridge.index)
			return err_set(e, ENOTCONN, "%s is no port of %s", link.name, conf->bridge);
	}
	for (size_t i = 0; i < prev->ips; i++)
		subnets[i] = prev->ip[i].addr;
	return conf->masquerade && prev->ips ? masquerade_check(conf->table, subnets, prev->ips, e) : 0;
}

static int check(struct cni_call *call, struct err *e)
{
	struct jnode top = call_conf(call);
	struct jnode prev_node = json_get(&top, "prevResult");
	static struct result prev;
	cleanup_delegate struct delegate ipam = { 0 };
	struct bridge_conf conf;
	cleanup_fd int fd = -1;
	cleanup_fd int netns = -1;
	cleanup_fd int back = -1;
	int r;

	if (bridge_conf_parse(call, &conf, e) < 0 || delegate_open(call, &ipam, e) < 0)
		return -e->code;
	if (!prev_node.value || result_parse(&prev_node, &prev, e) < 0)
		return call_refuse(call, CNI_INVALID_CONFIG, e, "prevResult: missing or no result");
	if (delegate_run(&ipam, CNI_CHECK, e) < 0 || nl_open(NETLINK_ROUTE, &fd, e) < 0 ||
	    check_host(fd, call, &conf, &prev, e) < 0 || netns_open(call->netns, &netns, e) < 0 || netns_enter(netns, &back, e) < 0)
		return -e->code;
	r = check_pod(call, &prev, e);
	if (setns(back, CLONE_NEWNET) < 0)
		return err_set(e, errno, "return to own network namespace");
	return r;
}

static int gc(struct cni_call *call, struct err *e)
{
	cleanup_delegate struct delegate ipam = { 0 };
	struct bridge_conf conf;

	/* Pairs go with their namespaces, the rules are the network's: only addresses can be left over. */
	if (bridge_conf_parse(call, &conf, e) < 0 || delegate_open(call, &ipam, e) < 0)
		return -e->code;
	return delegate_run(&ipam, CNI_GC, e);
}

static int status(struct cni_call *call, struct err *e)
{
	cleanup_delegate struct delegate ipam = { 0 };
	struct bridge_conf conf;

	if (bridge_conf_parse(call, &conf, e) < 0)
		return -e->code;
	if (delegate_open(call, &ipam, e) < 0) {
		call->code = CNI_NOT_AVAILABLE;
		return -e->code;
	}
	return delegate_run(&ipam, CNI_STATUS, e);
}

const struct cni_plugin bridge_plugin = {
	.name = "bridge",
	.add = add,
	.del = del,
	.check = check,
	.gc = gc,
	.status = status,
};
