// SPDX-License-Identifier: Apache-2.0
#include "bridge_conf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "nft.h"

static const char *const unsupported[] = {
	"vlan", "vlanTrunk", "macspoofchk", "disableContainerInterface", NULL,
};

static bool parse_mac(const char *text, uint8_t ret[6])
{
	unsigned int b[6];
	char end;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6)
		return false;
	for (int i = 0; i < 6; i++)
		ret[i] = (uint8_t)b[i];
	return !(ret[0] & 1);
}

static int parse_keys(struct cni_call *call, struct bridge_conf *c, struct err *e)
{
	struct jnode top = call_conf(call);
	struct jnode bridge = json_get(&top, "bridge"), table = json_get(&top, "nftTable");
	struct jnode runtime = json_get(&top, "runtimeConfig");
	struct jnode args = json_get(&top, "args");
	struct jnode args_cni = json_get(&args, "cni");
	const char *backend = "", *mac = NULL;
	char env_mac[32];

	if (json_str(&top, "bridge", &c->bridge, e) < 0 || json_str(&top, "nftTable", &c->table, e) < 0 ||
	    json_bool(&top, "isGateway", &c->gateway, e) < 0 || json_bool(&top, "isDefaultGateway", &c->default_gateway, e) < 0 ||
	    json_bool(&top, "forceAddress", &c->force_address, e) < 0 || json_bool(&top, "ipMasq", &c->masquerade, e) < 0 ||
	    json_bool(&top, "hairpinMode", &c->hairpin, e) < 0 || json_bool(&top, "promiscMode", &c->promisc, e) < 0 ||
	    json_bool(&top, "enabledad", &c->dad, e) < 0 || json_bool(&top, "portIsolation", &c->isolated, e) < 0 ||
	    json_bool(&top, "loopback", &c->loopback, e) < 0 || json_bool(&top, "keepAddresses", &c->keep_addresses, e) < 0 ||
	    json_bool(&top, "linkEndsWithNetns", &c->link_ends_with_netns, e) < 0 ||
	    json_u32(&top, "mtu", &c->mtu, e) < 0 || json_str(&top, "ipMasqBackend", &backend, e) < 0 ||
	    json_str(&args_cni, "mac", &mac, e) < 0 || json_str(&runtime, "mac", &mac, e) < 0)
		return -e->code;
	if (!cni_ifname_ok(c->bridge))
		return json_refuse(&bridge, e, "\"%.40s\" is no interface name", c->bridge);
	if (!cni_name_ok(c->table) || strlen(c->table) >= NFT_NAME_LEN)
		return json_refuse(&table, e, "\"%.40s\" is no table name", c->table);
	if (*backend && strcmp(backend, "nftables"))
		return call_refuse(call, CNI_UNSUPPORTED_FIELD, e, "key \"ipMasqBackend\": only nftables is supported");
	if (c->hairpin && c->promisc)
		return err_set(e, EINVAL, "hairpinMode and promiscMode: only one of them");
	if (!mac && call_arg(call, "MAC", env_mac, sizeof(env_mac)))
		mac = env_mac;
	if (mac && *mac) {
		if (!parse_mac(mac, c->mac))
			return err_set(e, EINVAL, "mac: \"%.40s\" is no unicast MAC address", mac);
		c->has_mac = true;
	}
	c->gateway |= c->default_gateway;
	return 0;
}

int bridge_conf_parse(struct cni_call *call, struct bridge_conf *ret, struct err *e)
{
	*ret = (struct bridge_conf){ .bridge = "cni0", .table = "kobako" };
	if (call_refuse_keys(call, unsupported, e) < 0)
		return -e->code;
	if (parse_keys(call, ret, e) < 0) {
		if (!call->code)
			call->code = CNI_INVALID_CONFIG;
		return -e->code;
	}
	return 0;
}
