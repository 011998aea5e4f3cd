/* SPDX-License-Identifier: Apache-2.0 */
/* The bridge plugin's configuration. Pure. */
#ifndef KOBAKO_CNI_BRIDGE_CONF_H
#define KOBAKO_CNI_BRIDGE_CONF_H

#include "plugin.h"

struct bridge_conf {
	const char *bridge;
	const char *table;
	bool gateway, default_gateway, force_address, masquerade, hairpin, promisc, dad, isolated;
	bool loopback, keep_addresses, link_ends_with_netns;
	uint32_t mtu;
	uint8_t mac[6];
	bool has_mac;
};

/* Reads the call's configuration; strings belong to the call. An unsupported or wrong key is named. */
int bridge_conf_parse(struct cni_call *call, struct bridge_conf *ret, struct err *e);

#endif
