/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host ports: connections to a port of the node are led to a pod. The rules are fixed; a pod adds and
 * takes away elements of maps, marked with its owner, in one transaction.
 *
 *   hostports_in, hostports_out (nat; from outside and pods; from the node itself)
 *     destination is not the node's own address -> leave alone: nobody else's traffic is caught
 *     {address, protocol, port} in hostportsN_at -> dnat     (a host IP was asked for)
 *     {protocol, port} in hostportsN -> dnat                  (any address of the node)
 *   hostports_post (nat): masquerade what would otherwise be answered past us, only for our own ports:
 *     the connection came in and leaves by one link (pod to a pod beside it, or to itself)
 *     the connection comes from 127.0.0.0/8 or ::1
 *     the connection comes from the pod that it goes to
 *   hostports_guard (filter, before connection tracking): 127.0.0.0/8 from any link but lo -> drop.
 *     A pod is reached from 127.0.0.1 only with route_localnet on its link; without this rule that
 *     would open the node's loopback services to the link (CVE-2020-8558). Answers to translated
 *     connections carry the link's own address at this point and are not met.
 *   hostports_private (filter, forward): a port published on a loopback address only, when the caller
 *     asked for it: new connections routed straight to the pod's address from another link -> drop.
 */
#ifndef KOBAKO_CNI_HOSTPORT_H
#define KOBAKO_CNI_HOSTPORT_H

#include "addr.h"
#include "base/err.h"
#include "nl.h"

struct hostport {
	uint8_t protocol;      /* IPPROTO_TCP, _UDP, _SCTP */
	uint16_t host_port;
	uint16_t pod_port;
	struct ip host_ip;     /* family 0 or any-address: every address of the node */
	struct ip pod_ip;      /* of the same family when host_ip has one */
	bool is_private;       /* see hostports_private */
	bool snat;             /* see hostports_post */
};

/* Addresses that ports other than TCP led to: their translated connections end with the port. */
struct hostport_pods {
	struct ip ip[4];
	size_t count;
};

/* `owner`: at most NFT_COMMENT_MAX bytes; elements are found again by it. `link`: reaches the pods. */
int hostport_add(int fd, const char *table, const char *owner, const char *link, const struct hostport *ports, size_t count,
		 struct err *e);

/* Removes all of the owner's elements; *ret tells the addresses they led to. */
int hostport_del(int fd, const char *table, const char *owner, struct hostport_pods *ret, struct err *e);

/* -ENOENT naming the port when one of them is not in place, or the fixed rules are not. */
int hostport_check(int fd, const char *table, const char *owner, const struct hostport *ports, size_t count, struct err *e);

/* Sees the owner of each host port; used to remove those of pods that are gone. */
typedef int (*hostport_visit)(const char *owner, void *arg);
int hostport_owners(int fd, const char *table, hostport_visit visit, void *arg, struct err *e);

#endif
