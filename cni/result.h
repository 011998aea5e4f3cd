/* SPDX-License-Identifier: Apache-2.0 */
/* CNI results of all versions from 0.3.0 as one value, and back. Pure. */
#ifndef KOBAKO_CNI_RESULT_H
#define KOBAKO_CNI_RESULT_H

#include <net/if.h>

#include "addr.h"
#include "plugin.h"
#include "rtnl.h"

#define RESULT_LINKS 8
#define RESULT_IPS 16
#define RESULT_ROUTES 128

struct result_link {
	char name[IFNAMSIZ];
	char mac[18];
	const char *sandbox;   /* "" on the host */
	uint32_t mtu;          /* printed from version 1.1.0 on; 0: not said */
};

struct result_ip {
	struct ip_net addr;
	struct ip gw;          /* family 0: none */
	int link;              /* index in links, -1: not said */
};

/* Strings belong to the documents they were read from. */
struct result {
	struct result_link link[RESULT_LINKS];
	size_t links;
	struct result_ip ip[RESULT_IPS];
	size_t ips;
	struct route route[RESULT_ROUTES];
	size_t routes;
	json_t *dns;           /* borrowed, NULL: none */
};

/* Reads a result of any version (`n` may be prevResult or a plugin's answer). */
int result_parse(const struct jnode *n, struct result *ret, struct err *e);

/* Reads the `routes` of an IPAM configuration or a result: {dst, gw, mtu, advmss, priority, table, scope}. */
int routes_parse(const struct jnode *list, struct route *ret, size_t max, size_t *ret_count, struct err *e);

/* The result as a document of the call's version. NULL: no memory. */
json_t *result_json(const struct result *result, const struct cni_call *call);

#endif
