/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links, addresses and routes through rtnetlink. Every function takes the socket of the network
 * namespace it works in (nl_open after setns(2)). Nothing is kept between calls.
 */
#ifndef KOBAKO_CNI_RTNL_H
#define KOBAKO_CNI_RTNL_H

#include <net/if.h>

#include "addr.h"
#include "nl.h"

struct link {
	int index;
	char name[IFNAMSIZ];
	uint8_t mac[6];
	uint32_t mtu;
	unsigned int flags;   /* IFF_* */
	int master;           /* index, 0: none */
	bool port_off;        /* a bridge port that is switched off */
	int peer;             /* veth: index of the other end in its namespace, 0: none */
	bool up;              /* operational state is up */
	char kind[16];        /* "bridge", "veth", "" */
};

/* -ENODEV when there is no such link. */
int rtnl_link_get(int fd, const char *name, struct link *ret, struct err *e);
int rtnl_link_get_index(int fd, int index, struct link *ret, struct err *e);
/* Removes a link; one that is gone is success. */
int rtnl_link_del(int fd, int index, struct err *e);
/* Switches a bridge port off at once: no frame goes in or out, nothing is sent to its addresses any more. */
int rtnl_port_off(int fd, int index, struct err *e);
int rtnl_link_up(int fd, int index, struct err *e);
int rtnl_link_promisc(int fd, int index, struct err *e);

/* -EEXIST when the name is taken. mtu 0: the kernel's. The bridge is down. */
int rtnl_bridge_add(int fd, const char *name, uint32_t mtu, const uint8_t mac[6], struct err *e);

struct veth {
	const char *host_name;
	const uint8_t *host_mac;
	const char *pod_name;
	const uint8_t *pod_mac;
	int pod_netns_fd;
	uint32_t mtu;          /* 0: the kernel's */
	int bridge;            /* index */
	bool hairpin;
	bool isolated;
};

/*
 * Makes the pair in one message: host end up and a port of the bridge; the pod's end directly in
 * its namespace, still down, so there is no carrier yet. -EEXIST: one of the two names is taken.
 */
int rtnl_veth_add(int fd, const struct veth *v, struct err *e);

/* Messages for a batch (nl_begin ... nl_talk): nothing is sent by these. */
void rtnl_put_addr(struct nl_buf *b, int index, const struct ip_net *addr, bool dad);
void rtnl_put_up(struct nl_buf *b, int index);

struct route {
	struct ip_net dst;
	struct ip gw;          /* family 0: on link */
	uint32_t mtu, advmss, priority, table; /* 0: the kernel's */
	int scope;             /* -1: by gw */
};
void rtnl_put_route(struct nl_buf *b, int index, const struct route *r);

/* Sees each address of a link. */
typedef int (*rtnl_addr_visit)(const struct ip_net *addr, void *arg);
int rtnl_addrs(int fd, int index, rtnl_addr_visit visit, void *arg, struct err *e);
int rtnl_addr_del(int fd, int index, const struct ip_net *addr, struct err *e);

/* Index of the link through which `to` is reached. */
int rtnl_route_link(int fd, const struct ip *to, int *ret_index, struct err *e);

#endif
