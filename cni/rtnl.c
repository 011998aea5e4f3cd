// SPDX-License-Identifier: Apache-2.0
#include "rtnl.h"

#include <errno.h>
#include <string.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#ifndef IF_OPER_UP
#define IF_OPER_UP 6
#endif

/* One buffer for the requests of this file: single-threaded, and too large for a stack. */
static struct nl_buf buf;

static bool port_is_off(const struct nlattr *const *info)
{
	const struct nlattr *port[IFLA_BRPORT_STATE + 1];
	const struct nlattr *data = info[IFLA_INFO_SLAVE_DATA];

	if (!data || strcmp(nl_str(info[IFLA_INFO_SLAVE_KIND]), "bridge"))
		return false;
	nl_parse(nl_data(data), nl_len(data), port, IFLA_BRPORT_STATE);
	return port[IFLA_BRPORT_STATE] && nl_len(port[IFLA_BRPORT_STATE]) >= 1 &&
	       *(const uint8_t *)nl_data(port[IFLA_BRPORT_STATE]) == BR_STATE_DISABLED;
}

static void parse_link(const struct nlmsghdr *msg, struct link *ret)
{
	const struct ifinfomsg *head = NLMSG_DATA(msg);
	const struct nlattr *attr[IFLA_MAX + 1];
	const struct nlattr *info[IFLA_INFO_MAX + 1];
	struct link link = { .index = head->ifi_index, .flags = head->ifi_flags };

	nl_parse_msg(msg, sizeof(*head), attr, IFLA_MAX);
	strncpy(link.name, nl_str(attr[IFLA_IFNAME]), sizeof(link.name) - 1);
	if (attr[IFLA_ADDRESS] && nl_len(attr[IFLA_ADDRESS]) == sizeof(link.mac))
		memcpy(link.mac, nl_data(attr[IFLA_ADDRESS]), sizeof(link.mac));
	link.mtu = nl_u32(attr[IFLA_MTU]);
	link.master = (int)nl_u32(attr[IFLA_MASTER]);
	link.peer = (int)nl_u32(attr[IFLA_LINK]);
	if (attr[IFLA_OPERSTATE] && nl_len(attr[IFLA_OPERSTATE]) >= 1)
		link.up = *(const uint8_t *)nl_data(attr[IFLA_OPERSTATE]) == IF_OPER_UP;
	if (attr[IFLA_LINKINFO]) {
		nl_parse(nl_data(attr[IFLA_LINKINFO]), nl_len(attr[IFLA_LINKINFO]), info, IFLA_INFO_MAX);
		strncpy(link.kind, nl_str(info[IFLA_INFO_KIND]), sizeof(link.kind) - 1);
		link.port_off = port_is_off(info);
	}
	*ret = link;
}

static int on_link(const struct nlmsghdr *msg, void *arg)
{
	if (msg->nlmsg_type == RTM_NEWLINK && msg->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifinfomsg)))
		parse_link(msg, arg);
	return 0;
}

static int get(int fd, const char *name, int index, struct link *ret, struct err *e)
{
	struct ifinfomsg *head;
	struct link link = { 0 };
	int r;

	nl_reset(&buf);
	head = nl_begin(&buf, RTM_GETLINK, 0, sizeof(*head), "get link");
	head->ifi_index = index;
	if (name)
		nl_put_str(&buf, IFLA_IFNAME, name);
	nl_put_u32(&buf, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	r = nl_talk(fd, &buf, on_link, &link, e);
	if (r < 0)
		return name ? err_set(e, -r, "get link %s", name) : err_set(e, -r, "get link %d", index);
	if (!link.index)
		return err_set(e, ENODEV, "get link %s", name ? name : "by index");
	*ret = link;
	return 0;
}

int rtnl_link_get(int fd, const char *name, struct link *ret, struct err *e)
{
	if (strlen(name) >= IFNAMSIZ)
		return err_set(e, ENODEV, "get link %s", name);
	return get(fd, name, 0, ret, e);
}

int rtnl_link_get_index(int fd, int index, struct link *ret, struct err *e)
{
	return get(fd, NULL, index, ret, e);
}

int rtnl_link_del(int fd, int index, struct err *e)
{
	struct ifinfomsg *head;
	int r;

	nl_reset(&buf);
	head = nl_begin(&buf, RTM_DELLINK, NLM_F_ACK, sizeof(*head), "remove link");
	head->ifi_index = index;
	r = nl_talk(fd, &buf, NULL, NULL, e);
	return r == -ENODEV ? 0 : r;
}

int rtnl_port_off(int fd, int index, struct err *e)
{
	struct ifinfomsg *head;
	size_t port;

	nl_reset(&buf);
	head = nl_begin(&buf, RTM_SETLINK, NLM_F_ACK, sizeof(*head), "switch bridge port off");
	head->ifi_family = AF_BRIDGE;
	head->ifi_index = index;
	port = nl_nest(&buf, IFLA_PROTINFO);
	nl_put_u8(&buf, IFLA_BRPORT_STATE, BR_STATE_DISABLED);
	nl_put(&buf, IFLA_BRPORT_FLUSH, NULL, 0); /* the port's MAC addresses are unlearned */
	nl_nest_end(&buf, port);
	return nl_talk(fd, &buf, NULL, NULL, e);
}

static int set_flags(int fd, int index, unsigned int flags, const char *step, struct err *e)
{
	struct ifinfomsg *head;

	nl_reset(&buf);
	head = nl_begin(&buf, RTM_NEWLINK, NLM_F_ACK, sizeof(*head), step);
	head->ifi_index = index;
	head->ifi_flags = flags;
	head->ifi_change = flags;
	return nl_talk(fd, &buf, NULL, NULL, e);
}

int rtnl_link_up(int fd, int index, struct err *e)
{
	return set_flags(fd, index, IFF_UP, "bring link up", e);
}

int rtnl_link_promisc(int fd, int index, struct err *e)
{
	return set_flags(fd, index, IFF_PROMISC, "make link promiscuous", e);
}

int rtnl_bridge_add(int fd, const char *name, uint32_t mtu, const uint8_t mac[6], struct err *e)
{
	size_t info;

	nl_reset(&buf);
	nl_begin(&buf, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg), "create bridge");
	nl_put_str(&buf, IFLA_IFNAME, name);
	nl_put(&buf, IFLA_ADDRESS, mac, 6);
	if (mtu)
		nl_put_u32(&buf, IFLA_MTU, mtu);
	info = nl_nest(&buf, IFLA_LINKINFO);
	nl_put_str(&buf, IFLA_INFO_KIND, "bridge");
	nl_nest_end(&buf, info);
	return nl_talk(fd, &buf, NULL, NULL, e);
}

static int set_port(int fd, const char *name, bool hairpin, bool isolated, struct err *e)
{
	struct ifinfomsg *head;
	size_t info, data;

	nl_reset(&buf);
	head = nl_begin(&buf, RTM_NEWLINK, NLM_F_ACK, sizeof(*head), "set bridge port options");
	head->ifi_family = AF_UNSPEC;
	nl_put_str(&buf, IFLA_IFNAME, name);
	info = nl_nest(&buf, IFLA_LINKINFO);
	nl_put_str(&buf, IFLA_INFO_SLAVE_KIND, "bridge");
	data = nl_nest(&buf, IFLA_INFO_SLAVE_DATA);
	nl_put_u8(&buf, IFLA_BRPORT_MODE, hairpin);
	nl_put_u8(&buf, IFLA_BRPORT_ISOLATED, isolated);
	nl_nest_end(&buf, data);
	nl_nest_end(&buf, info);
	return nl_talk(fd, &buf, NULL, NULL, e);
}

int rtnl_veth_add(int fd, const struct veth *v, struct err *e)
{
	struct ifinfomsg *head;
	size_t info, data, peer;
	int r;

	nl_reset(&buf);
	head = nl_begin(&buf, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(*head), "create veth pair");
	head->ifi_flags = IFF_UP;
	head->ifi_change = IFF_UP;
	nl_put_str(&buf, IFLA_IFNAME, v->host_name);
	nl_put(&buf, IFLA_ADDRESS, v->host_mac, 6);
	nl_put_u32(&buf, IFLA_MASTER, (uint32_t)v->bridge);
	if (v->mtu)
		nl_put_u32(&buf, IFLA_MTU, v->mtu);
	info = nl_nest(&buf, IFLA_LINKINFO);
	nl_put_str(&buf, IFLA_INFO_KIND, "veth");
	data = nl_nest(&buf, IFLA_INFO_DATA);
	peer = nl_nest(&buf, VETH_INFO_PEER);
	nl_reserve(&buf, sizeof(struct ifinfomsg));
	nl_put_str(&buf, IFLA_IFNAME, v->pod_name);
	nl_put(&buf, IFLA_ADDRESS, v->pod_mac, 6);
	nl_put_u32(&buf, IFLA_NET_NS_FD, (uint32_t)v->pod_netns_fd);
	if (v->mtu)
		nl_put_u32(&buf, IFLA_MTU, v->mtu);
	nl_nest_end(&buf, peer);
	nl_nest_end(&buf, data);
	nl_nest_end(&buf, info);
	r = nl_talk(fd, &buf, NULL, NULL, e);
	if (r < 0)
		return r;
	return v->hairpin || v->isolated ? set_port(fd, v->host_name, v->hairpin, v->isolated, e) : 0;
}

void rtnl_put_addr(struct nl_buf *b, int index, const struct ip_net *addr, bool dad)
{
	struct ifaddrmsg *head = nl_begin(b, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(*head), "add address");
	unsigned int len = ip_len(&addr->ip);

	head->ifa_family = (uint8_t)addr->ip.family;
	head->ifa_prefixlen = (uint8_t)addr->plen;
	head->ifa_index = (uint32_t)index;
	head->ifa_scope = RT_SCOPE_UNIVERSE;
	nl_put(b, IFA_LOCAL, addr->ip.byte, len);
	nl_put(b, IFA_ADDRESS, addr->ip.byte, len);
	if (addr->ip.family == AF_INET && addr->plen < 31) {
		struct ip last = ip_net_last(addr);

		nl_put(b, IFA_BROADCAST, last.byte, len);
	}
	/* Addresses come from an allocator: no second of waiting for a duplicate. */
	if (addr->ip.family == AF_INET6 && !dad)
		nl_put_u32(b, IFA_FLAGS, IFA_F_NODAD | IFA_F_PERMANENT);
}

void rtnl_put_up(struct nl_buf *b, int index)
{
	struct ifinfomsg *head = nl_begin(b, RTM_NEWLINK, NLM_F_ACK, sizeof(*head), "bring link up");

	head->ifi_index = index;
	head->ifi_flags = IFF_UP;
	head->ifi_change = IFF_UP;
}

void rtnl_put_route(struct nl_buf *b, int index, const struct route *r)
{
	struct rtmsg *head = nl_begin(b, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(*head), "add route");
	struct ip dst = ip_net_first(&r->dst);

	head->rtm_family = (uint8_t)dst.family;
	head->rtm_dst_len = (uint8_t)r->dst.plen;
	head->rtm_protocol = RTPROT_BOOT;
	head->rtm_type = RTN_UNICAST;
	head->rtm_table = r->table && r->table < 256 ? (uint8_t)r->table : r->table ? RT_TABLE_COMPAT : RT_TABLE_MAIN;
	head->rtm_scope = r->gw.family ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	if (r->scope >= 0)
		head->rtm_scope = (uint8_t)r->scope;
	if (r->table)
		nl_put_u32(b, RTA_TABLE, r->table);
	if (r->dst.plen)
		nl_put(b, RTA_DST, dst.byte, ip_len(&dst));
	if (r->gw.family)
		nl_put(b, RTA_GATEWAY, r->gw.byte, ip_len(&r->gw));
	nl_put_u32(b, RTA_OIF, (uint32_t)index);
	if (r->priority)
		nl_put_u32(b, RTA_PRIORITY, r->priority);
	if (r->mtu || r->advmss) {
		size_t metrics = nl_nest(b, RTA_METRICS);

		if (r->mtu)
			nl_put_u32(b, RTAX_MTU, r->mtu);
		if (r->advmss)
			nl_put_u32(b, RTAX_ADVMSS, r->advmss);
		nl_nest_end(b, metrics);
	}
}

struct addr_walk {
	int index;
	rtnl_addr_visit visit;
	void *arg;
};

static int on_addr(const struct nlmsghdr *msg, void *arg)
{
	const struct addr_walk *walk = arg;
	const struct ifaddrmsg *head = NLMSG_DATA(msg);
	const struct nlattr *attr[IFA_MAX + 1];
	const struct nlattr *own;
	struct ip_net addr = { 0 };

	/* Kernels without strict checking answer with every link's addresses. */
	if (msg->nlmsg_type != RTM_NEWADDR || msg->nlmsg_len < NLMSG_LENGTH(sizeof(*head)) ||
	    (int)head->ifa_index != walk->index)
		return 0;
	nl_parse_msg(msg, sizeof(*head), attr, IFA_MAX);
	own = attr[IFA_LOCAL] ? attr[IFA_LOCAL] : attr[IFA_ADDRESS];
	addr.ip.family = head->ifa_family;
	addr.plen = head->ifa_prefixlen;
	if ((head->ifa_family != AF_INET && head->ifa_family != AF_INET6) || !own || nl_len(own) != ip_len(&addr.ip))
		return 0;
	memcpy(addr.ip.byte, nl_data(own), nl_len(own));
	return walk->visit(&addr, walk->arg);
}

int rtnl_addrs(int fd, int index, rtnl_addr_visit visit, void *arg, struct err *e)
{
	struct addr_walk walk = { index, visit, arg };
	struct ifaddrmsg *head;

	nl_reset(&buf);
	head = nl_begin(&buf, RTM_GETADDR, NLM_F_DUMP, sizeof(*head), "list addresses");
	head->ifa_index = (uint32_t)index;
	return nl_talk(fd, &buf, on_addr, &walk, e);
}

int rtnl_addr_del(int fd, int index, const struct ip_net *addr, struct err *e)
{
	struct ifaddrmsg *head;
	int r;

	nl_reset(&buf);
	head = nl_begin(&buf, RTM_DELADDR, NLM_F_ACK, sizeof(*head), "remove address");
	head->ifa_family = (uint8_t)addr->ip.family;
	head->ifa_prefixlen = (uint8_t)addr->plen;
	head->ifa_index = (uint32_t)index;
	nl_put(&buf, IFA_LOCAL, addr->ip.byte, ip_len(&addr->ip));
	r = nl_talk(fd, &buf, NULL, NULL, e);
	return r == -EADDRNOTAVAIL ? 0 : r;
}

static int on_route(const struct nlmsghdr *msg, void *arg)
{
	const struct nlattr *attr[RTA_MAX + 1];

	if (msg->nlmsg_type != RTM_NEWROUTE)
		return 0;
	nl_parse_msg(msg, sizeof(struct rtmsg), attr, RTA_MAX);
	*(int *)arg = (int)nl_u32(attr[RTA_OIF]);
	return 0;
}

int rtnl_route_link(int fd, const struct ip *to, int *ret_index, struct err *e)
{
	struct rtmsg *head;
	char text[IP_TEXT];
	int index = 0;
	int r;

	nl_reset(&buf);
	head = nl_begin(&buf, RTM_GETROUTE, 0, sizeof(*head), "find route");
	head->rtm_family = (uint8_t)to->family;
	head->rtm_dst_len = (uint8_t)(ip_len(to) * 8);
	nl_put(&buf, RTA_DST, to->byte, ip_len(to));
	r = nl_talk(fd, &buf, on_route, &index, e);
	if (r < 0)
		return err_wrap(e, "route to %s", ip_print(to, text));
	if (!index)
		return err_set(e, ENETUNREACH, "route to %s", ip_print(to, text));
	*ret_index = index;
	return 0;
}
