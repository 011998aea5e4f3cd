// SPDX-License-Identifier: Apache-2.0
#include "hostport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "ruleset.h"

enum { ANY4, ANY6, AT4, AT6, TARGET4, TARGET6, PRIVATE4, PRIVATE6, LINKS, SETS };

#define PORT_LEN 8            /* protocol . port */
#define LINK_LEN (2 * IFNAMSIZ)
#define KEY_MAX 32
#define DATA_MAX 20

/* By family: index + 1 is the IPv6 one. */
static const struct nft_set sets[SETS] = {
	[ANY4] = { "hostports4", NFT_TYPE2(NFT_T_PROTO, NFT_T_SERVICE), 8, NFT_TYPE2(NFT_T_IPV4, NFT_T_SERVICE), 8 },
	[ANY6] = { "hostports6", NFT_TYPE2(NFT_T_PROTO, NFT_T_SERVICE), 8, NFT_TYPE2(NFT_T_IPV6, NFT_T_SERVICE), 20 },
	[AT4] = { "hostports4_at", NFT_TYPE3(NFT_T_IPV4, NFT_T_PROTO, NFT_T_SERVICE), 12, NFT_TYPE2(NFT_T_IPV4, NFT_T_SERVICE), 8 },
	[AT6] = { "hostports6_at", NFT_TYPE3(NFT_T_IPV6, NFT_T_PROTO, NFT_T_SERVICE), 24, NFT_TYPE2(NFT_T_IPV6, NFT_T_SERVICE), 20 },
	/* pod address . protocol . pod port . host port */
	[TARGET4] = { "hostports4_pods", NFT_TYPE2(NFT_TYPE3(NFT_T_IPV4, NFT_T_PROTO, NFT_T_SERVICE), NFT_T_SERVICE), 16, 0, 0 },
	[TARGET6] = { "hostports6_pods", NFT_TYPE2(NFT_TYPE3(NFT_T_IPV6, NFT_T_PROTO, NFT_T_SERVICE), NFT_T_SERVICE), 28, 0, 0 },
	[PRIVATE4] = { "hostports4_private", NFT_TYPE3(NFT_T_IPV4, NFT_T_PROTO, NFT_T_SERVICE), 12, 0, 0 },
	[PRIVATE6] = { "hostports6_private", NFT_TYPE3(NFT_T_IPV6, NFT_T_PROTO, NFT_T_SERVICE), 24, 0, 0 },
	[LINKS] = { "hostports_links", NFT_TYPE2(NFT_T_IFNAME, NFT_T_IFNAME), LINK_LEN, 0, 0 },
};

/* --- the fixed rules --- */

struct family {
	uint8_t nfproto;
	uint32_t saddr, daddr, len, words; /* offsets and length in the IP header; registers of an address */
};
static const struct family families[2] = {
	{ NFPROTO_IPV4, 12, 16, 4, 1 },
	{ NFPROTO_IPV6, 8, 24, 16, 4 },
};

static void match_family(struct nft_batch *b, const struct family *f)
{
	nft_meta(b, NFT_META_NFPROTO, NFT_REG_1);
	nft_cmp(b, NFT_REG_1, NFT_CMP_EQ, &f->nfproto, 1);
}

/* protocol . destination port into the registers from word `at` on */
static void load_port(struct nft_batch *b, uint32_t at)
{
	nft_meta(b, NFT_META_L4PROTO, REG(at));
	nft_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, REG(at + 1));
}

static void load_daddr_port(struct nft_batch *b, const struct family *f)
{
	nft_payload(b, NFT_PAYLOAD_NETWORK_HEADER, f->daddr, f->len, NFT_REG_1);
	load_port(b, f->words);
}

static void match_ct(struct nft_batch *b, uint32_t key, uint32_t bits, uint32_t op)
{
	uint32_t zero = 0;

	nft_ct(b, key, NFT_REG_1);
	nft_mask(b, NFT_REG_1, &bits, sizeof(bits));
	nft_cmp(b, NFT_REG_1, op, &zero, sizeof(zero));
}

static void match_links(struct nft_batch *b, bool invert)
{
	nft_meta(b, NFT_META_IIFNAME, NFT_REG_1);
	nft_meta(b, NFT_META_OIFNAME, NFT_REG_2);
	nft_in_set(b, sets[LINKS].name, NFT_REG_1, invert);
}

static void build_nat(struct nft_batch *b, size_t i, const void *arg)
{
	const struct family *f = &families[(i - 1) % 2];

	if (i == 0) {
		nft_daddr_local(b, NFT_CMP_NEQ);
		nft_verdict(b, NFT_RETURN);
		return;
	}
	match_family(b, f);
	if (i < 3) {
		load_daddr_port(b, f);
		nft_map(b, sets[AT4 + (i - 1)].name, NFT_REG_1, NFT_REG_1);
	} else {
		load_port(b, 0);
		nft_map(b, sets[ANY4 + (i - 3)].name, NFT_REG_1, NFT_REG_1);
	}
	nft_dnat(b, f->nfproto, NFT_REG_1, REG(f->words));
}

/* The address at `offset` is a pod's that this connection's port leads to. */
static void match_target(struct nft_batch *b, const struct family *f, uint32_t offset)
{
	nft_payload(b, NFT_PAYLOAD_NETWORK_HEADER, offset, f->len, NFT_REG_1);
	load_port(b, f->words);
	nft_ct_original_dport(b, REG(f->words + 2));
	nft_in_set(b, sets[f->len == 4 ? TARGET4 : TARGET6].name, NFT_REG_1, false);
}

static void build_post(struct nft_batch *b, size_t i, const void *arg)
{
	static const uint8_t net127 = 127;
	static const uint8_t loopback6[16] = { [15] = 1 };
	const struct family *f = &families[i % 2];

	match_ct(b, NFT_CT_STATUS, IPS_DST_NAT, NFT_CMP_NEQ);
	match_family(b, f);
	match_target(b, f, f->daddr);
	if (i < 2) {
		match_links(b, false);
	} else if (i >= 4) {
		/* A pod of this very port is the source: the pod itself. Bridged packets (br_netfilter) have
		 * no input link here, so the links don't tell. */
		match_target(b, f, f->saddr);
	} else if (f->len == 4) {
		nft_payload(b, NFT_PAYLOAD_NETWORK_HEADER, f->saddr, 1, NFT_REG_1);
		nft_cmp(b, NFT_REG_1, NFT_CMP_EQ, &net127, 1);
	} else {
		nft_payload(b, NFT_PAYLOAD_NETWORK_HEADER, f->saddr, 16, NFT_REG_1);
		nft_cmp(b, NFT_REG_1, NFT_CMP_EQ, loopback6, 16);
	}
	nft_masquerade(b);
}

static void build_guard(struct nft_batch *b, size_t i, const void *arg)
{
	static const uint32_t lo = 1; /* its index in every network namespace */
	static const uint8_t net127 = 127;

	nft_meta(b, NFT_META_IIF, NFT_REG_1);
	nft_cmp(b, NFT_REG_1, NFT_CMP_NEQ, &lo, sizeof(lo));
	match_family(b, &families[0]);
	nft_payload(b, NFT_PAYLOAD_NETWORK_HEADER, families[0].daddr, 1, NFT_REG_1);
	nft_cmp(b, NFT_REG_1, NFT_CMP_EQ, &net127, 1);
	nft_verdict(b, NF_DROP);
}

static void build_private(struct nft_batch *b, size_t i, const void *arg)
{
	match_ct(b, NFT_CT_STATE, NF_CT_STATE_BIT(IP_CT_NEW), NFT_CMP_NEQ);
	match_family(b, &families[i]);
	load_daddr_port(b, &families[i]);
	nft_in_set(b, sets[PRIVATE4 + i].name, NFT_REG_1, false);
	match_links(b, true);
	match_ct(b, NFT_CT_STATUS, IPS_DST_NAT, NFT_CMP_EQ);
	nft_verdict(b, NF_DROP);
}

/* The rules are those of this version of the file: counted up when one of them changes. */
#define RULES_VERSION 1

static void comment(size_t i, const void *arg, char ret[NFT_COMMENT_MAX + 1])
{
	snprintf(ret, NFT_COMMENT_MAX + 1, "host ports v%d: %s %zu", RULES_VERSION, (const char *)arg, i);
}

static const struct ruleset_chain chains[] = {
	{ "hostports_guard", { "filter", NF_INET_PRE_ROUTING, -300 }, 1, comment, build_guard, "loopback is not routed" },
	{ "hostports_in", { "nat", NF_INET_PRE_ROUTING, -100 }, 5, comment, build_nat, "to pods" },
	{ "hostports_out", { "nat", NF_INET_LOCAL_OUT, -100 }, 5, comment, build_nat, "to pods" },
	{ "hostports_private", { "filter", NF_INET_FORWARD, 0 }, 2, comment, build_private, "published on loopback only" },
	{ "hostports_post", { "nat", NF_INET_POST_ROUTING, 100 }, 6, comment, build_post, "answers come back to us" },
};

static int ensure(int fd, const char *table, struct err *e)
{
	return ruleset_ensure(fd, table, sets, SETS, chains, sizeof(chains) / sizeof(*chains), e);
}

/* --- the elements --- */

static size_t put_ip(uint8_t *at, const struct ip *ip)
{
	memcpy(at, ip->byte, ip_len(ip));
	return ip_len(ip);
}

/* Each part of a concatenation takes a multiple of four bytes. */
static size_t put_protocol(uint8_t *at, uint8_t protocol)
{
	memset(at, 0, 4);
	at[0] = protocol;
	return 4;
}

static size_t put_port(uint8_t *at, uint16_t port)
{
	memset(at, 0, 4);
	at[0] = (uint8_t)(port >> 8);
	at[1] = (uint8_t)port;
	return 4;
}

struct element {
	int set;
	uint8_t key[KEY_MAX];
	uint8_t data[DATA_MAX];
};

static bool is_at(const struct hostport *p)
{
	return p->host_ip.family && !ip_is_any(&p->host_ip);
}

/* The element that leads the port to the pod. */
static struct element port_element(const struct hostport *p)
{
	struct element x = { .set = (is_at(p) ? AT4 : ANY4) + (p->pod_ip.family == AF_INET6) };
	size_t at = 0;

	if (is_at(p))
		at += put_ip(x.key, &p->host_ip);
	at += put_protocol(x.key + at, p->protocol);
	put_port(x.key + at, p->host_port);
	at = put_ip(x.data, &p->pod_ip);
	put_port(x.data + at, p->pod_port);
	return x;
}

static struct element pod_element(const struct hostport *p, int set)
{
	struct element x = { .set = set + (p->pod_ip.family == AF_INET6) };
	size_t at = put_ip(x.key, &p->pod_ip);

	at += put_protocol(x.key + at, p->protocol);
	at += put_port(x.key + at, p->pod_port);
	if (set == TARGET4)
		put_port(x.key + at, p->host_port);
	return x;
}

static void add(struct nft_batch *b, const struct element *x, const char *owner, bool excl)
{
	nft_add_elem(b, &sets[x->set], x->key, sets[x->set].data_type ? x->data : NULL, owner, excl);
}

static const char *port_text(const struct hostport *p, char *buf, size_t size)
{
	char ip[IP_TEXT] = "*";

	if (is_at(p))
		ip_print(&p->host_ip, ip);
	snprintf(buf, size, "host port %s:%u/%s", ip, p->host_port,
		 p->protocol == IPPROTO_TCP ? "tcp" : p->protocol == IPPROTO_UDP ? "udp" : "sctp");
	return buf;
}

struct find {
	const struct element *want;
	size_t key_len;
	bool found;
	char owner[NFT_COMMENT_MAX + 1];
};

static int find_key(const void *key, const void *data, const char *owner, void *arg)
{
	struct find *f = arg;

	if (!memcmp(key, f->want->key, f->key_len)) {
		f->found = true;
		strcpy(f->owner, owner);
	}
	return 0;
}

/* Whose the port is; found false: nobody's. */
static int find(int fd, const char *table, const struct hostport *p, struct find *ret, struct err *e)
{
	struct element x = port_element(p);
	int r;

	do {
		*ret = (struct find){ .want = &x, .key_len = sets[x.set].key_len };
		r = nft_elems(fd, table, &sets[x.set], find_key, ret, e);
	} while (r == -EINTR);
	ret->want = NULL;
	return r;
}

int hostport_add(int fd, const char *table, const char *owner, const char *link, const struct hostport *ports, size_t count,
		 struct err *e)
{
	static struct nft_batch b;
	uint8_t links[LINK_LEN] = { 0 };
	char text[128];
	int r;

	if (ensure(fd, table, e) < 0)
		return err_wrap(e, "host port rules");
	nft_begin(&b, table);
	strncpy((char *)links, link, IFNAMSIZ - 1);
	strncpy((char *)links + IFNAMSIZ, link, IFNAMSIZ - 1);
	nft_add_elem(&b, &sets[LINKS], links, NULL, NULL, false);
	for (size_t i = 0; i < count; i++) {
		struct element port = port_element(&ports[i]);
		struct element target = pod_element(&ports[i], TARGET4);
		struct element hidden = pod_element(&ports[i], PRIVATE4);

		add(&b, &port, owner, true);
		/* Two host addresses may lead to one port of the pod: these two may be there. */
		if (ports[i].snat)
			add(&b, &target, owner, false);
		if (ports[i].is_private)
			add(&b, &hidden, owner, false);
	}
	r = nft_commit(fd, &b, e);
	for (size_t i = 0; r == -EEXIST && i < count; i++) {
		struct find f;

		if (!find(fd, table, &ports[i], &f, e) && f.found)
			return err_set(e, EADDRINUSE, "%s is taken by %.80s", port_text(&ports[i], text, sizeof(text)), f.owner);
	}
	return r == -EEXIST ? err_set(e, EEXIST, "two host ports of the pod are the same") : r;
}

struct collect {
	struct nft_batch *b;
	const struct nft_set *set;
	const char *owner;
	size_t count;
	struct hostport_pods pods;
};

/* The pod's address stands first in what a map leads to. */
static void note_pod(struct hostport_pods *pods, int family, const void *data)
{
	struct ip ip = { .family = family };

	memcpy(ip.byte, data, ip_len(&ip));
	for (size_t i = 0; i < pods->count; i++)
		if (!ip_cmp(&pods->ip[i], &ip))
			return;
	if (pods->count < sizeof(pods->ip) / sizeof(*pods->ip))
		pods->ip[pods->count++] = ip;
}

static int collect_owned(const void *key, const void *data, const char *owner, void *arg)
{
	struct collect *c = arg;

	if (strcmp(owner, c->owner))
		return 0;
	nft_del_elem(c->b, c->set, key);
	/* A map's key ends with protocol . port. */
	if (data && ((const uint8_t *)key)[c->set->key_len - PORT_LEN] != IPPROTO_TCP)
		note_pod(&c->pods, c->set->data_len == 8 ? AF_INET : AF_INET6, data);
	c->count++;
	return 0;
}

int hostport_del(int fd, const char *table, const char *owner, struct hostport_pods *ret, struct err *e)
{
	static struct nft_batch b;
	int r = -EINTR;

	/* ENOENT, EINTR: another call for this pod, or for others, was faster: look again. */
	for (int tries = 0; (r == -EINTR || r == -ENOENT) && tries < 100; tries++) {
		struct collect c = { .b = &b, .owner = owner };

		nft_begin(&b, table);
		for (int i = 0, last = r = 0; i < LINKS && !last; i++) {
			c.set = &sets[i];
			last = r = nft_elems(fd, table, c.set, collect_owned, &c, e);
		}
		if (!r && c.count)
			r = nft_commit(fd, &b, e);
		if (!r)
			*ret = c.pods;
	}
	return r;
}

int hostport_check(int fd, const char *table, const char *owner, const struct hostport *ports, size_t count, struct err *e)
{
	char text[128];

	bool right;

	if (ruleset_right(fd, table, chains, sizeof(chains) / sizeof(*chains), &right, e) < 0)
		return -e->code;
	if (!right)
		return err_set(e, ENOENT, "host ports: rules of table %s", table);
	for (size_t i = 0; i < count; i++) {
		struct find f;

		if (find(fd, table, &ports[i], &f, e) < 0)
			return -e->code;
		if (!f.found || strcmp(f.owner, owner))
			return err_set(e, ENOENT, "%s is not in place", port_text(&ports[i], text, sizeof(text)));
	}
	return 0;
}

struct owners {
	hostport_visit visit;
	void *arg;
};

static int see_owner(const void *key, const void *data, const char *owner, void *arg)
{
	struct owners *o = arg;

	return o->visit(owner, o->arg);
}

int hostport_owners(int fd, const char *table, hostport_visit visit, void *arg, struct err *e)
{
	struct owners o = { visit, arg };

	for (int i = ANY4; i <= AT6; i++)
		if (nft_elems(fd, table, &sets[i], see_owner, &o, e) < 0)
			return -e->code;
	return 0;
}
