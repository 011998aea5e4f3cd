// SPDX-License-Identifier: Apache-2.0
#include "conntrack.h"

#include <errno.h>
#include <string.h>
#include <netinet/in.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "nl.h"

struct forget {
	const struct ip *pod;   /* NULL: by port */
	const uint16_t *ports;
	size_t port_count;
	int family;             /* 0: both */
	struct nl_buf *remove;
	bool full;
};

static void begin(struct nl_buf *b, uint16_t type, uint16_t flags, int family, const char *step)
{
	struct nfgenmsg *head = nl_begin(b, (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type), flags, sizeof(*head), step);

	head->nfgen_family = (uint8_t)family;
	head->version = NFNETLINK_V0;
}

static bool parse_protocol(const struct nlattr *tuple, uint8_t *ret_protocol, uint16_t *ret_port)
{
	const struct nlattr *proto[CTA_PROTO_MAX + 1];

	if (!tuple)
		return false;
	nl_parse(nl_data(tuple), nl_len(tuple), proto, CTA_PROTO_MAX);
	if (!proto[CTA_PROTO_NUM] || nl_len(proto[CTA_PROTO_NUM]) != 1 || !proto[CTA_PROTO_DST_PORT] ||
	    nl_len(proto[CTA_PROTO_DST_PORT]) != 2)
		return false;
	*ret_protocol = *(const uint8_t *)nl_data(proto[CTA_PROTO_NUM]);
	memcpy(ret_port, nl_data(proto[CTA_PROTO_DST_PORT]), 2);
	*ret_port = ntohs(*ret_port);
	return true;
}

static bool matches(const struct forget *f, uint32_t status, const struct nlattr *orig, const struct nlattr *reply)
{
	const struct nlattr *tuple[CTA_TUPLE_MAX + 1], *ip[CTA_IP_MAX + 1];
	const struct nlattr *source;
	uint8_t protocol;
	uint16_t port;

	nl_parse(nl_data(orig), nl_len(orig), tuple, CTA_TUPLE_MAX);
	if (!parse_protocol(tuple[CTA_TUPLE_PROTO], &protocol, &port))
		return false;
	for (size_t i = 0; !f->pod && i < f->port_count; i++)
		if (port == f->ports[i] && protocol == IPPROTO_UDP && !(status & IPS_DST_NAT))
			return true;
	if (!f->pod || !(status & IPS_DST_NAT) || protocol == IPPROTO_TCP)
		return false;
	nl_parse(nl_data(reply), nl_len(reply), tuple, CTA_TUPLE_MAX);
	if (!tuple[CTA_TUPLE_IP])
		return false;
	nl_parse(nl_data(tuple[CTA_TUPLE_IP]), nl_len(tuple[CTA_TUPLE_IP]), ip, CTA_IP_MAX);
	source = ip[f->pod->family == AF_INET ? CTA_IP_V4_SRC : CTA_IP_V6_SRC];
	return source && nl_len(source) == ip_len(f->pod) && !memcmp(nl_data(source), f->pod->byte, nl_len(source));
}

static int on_connection(const struct nlmsghdr *msg, void *arg)
{
	struct forget *f = arg;
	const struct nlattr *attr[CTA_MAX + 1];
	uint32_t status;

	nl_parse_msg(msg, sizeof(struct nfgenmsg), attr, CTA_MAX);
	if (!attr[CTA_TUPLE_ORIG] || !attr[CTA_TUPLE_REPLY] || f->full)
		return 0;
	status = ntohl(nl_u32(attr[CTA_STATUS]));
	if (!matches(f, status, attr[CTA_TUPLE_ORIG], attr[CTA_TUPLE_REPLY]))
		return 0;
	if (f->remove->seq + 2 >= NL_MAX_STEPS || f->remove->len + 1024 > NL_BUF_SIZE) {
		f->full = true;
		return 0;
	}
	begin(f->remove, IPCTNL_MSG_CT_DELETE, 0, ((const struct nfgenmsg *)NLMSG_DATA(msg))->nfgen_family,
	      "forget connection");
	nl_put(f->remove, CTA_TUPLE_ORIG | NLA_F_NESTED, nl_data(attr[CTA_TUPLE_ORIG]), nl_len(attr[CTA_TUPLE_ORIG]));
	if (attr[CTA_ZONE])
		nl_put(f->remove, CTA_ZONE, nl_data(attr[CTA_ZONE]), nl_len(attr[CTA_ZONE]));
	return 0;
}

static int forget(int fd, struct forget *f, struct err *e)
{
	static struct nl_buf dump, removal;
	int r;

	f->remove = &removal;
	do {
		f->full = false;
		nl_reset(&dump);
		nl_reset(&removal);
		begin(&dump, IPCTNL_MSG_CT_GET, NLM_F_DUMP, f->family, "list connections");
		r = nl_talk(fd, &dump, on_connection, f, e);
		if (!r && removal.len)
			r = nl_talk(fd, &removal, NULL, NULL, e);
		if (r == -ENOENT) /* it ended by itself */
			r = 0;
	} while (!r && f->full);
	return r;
}

int conntrack_forget_pod(int fd, const struct ip *pod, struct err *e)
{
	struct forget f = { .pod = pod, .family = pod->family };

	return forget(fd, &f, e);
}

int conntrack_forget_ports(int fd, const uint16_t *ports, size_t count, struct err *e)
{
	struct forget f = { .ports = ports, .port_count = count };

	return count ? forget(fd, &f, e) : 0;
}
