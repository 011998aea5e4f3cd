// SPDX-License-Identifier: Apache-2.0
#include "host_end.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rtnl.h"

static uint64_t mix(uint64_t x) /* the finalizer of splitmix64 */
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

struct host_end host_end(const struct cni_call *call, unsigned int attempt)
{
	uint64_t hash = 14695981039346656037u + attempt; /* FNV-1a */
	struct host_end end;

	for (const char *p = call->id; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 1099511628211u;
	hash = (hash ^ '/') * 1099511628211u;
	for (const char *p = call->ifname; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 1099511628211u;
	snprintf(end.name, sizeof(end.name), "veth%08x", (unsigned int)mix(hash));
	hash = mix(hash + 0x9e3779b97f4a7c15u);
	memcpy(end.mac, &hash, sizeof(end.mac));
	end.mac[0] = (uint8_t)((end.mac[0] & ~1u) | 2);
	return end;
}

int host_ends_remove(int fd, const struct cni_call *call, bool only_off, struct err *e)
{
	for (unsigned int i = 0; i < HOST_END_ATTEMPTS; i++) {
		struct host_end end = host_end(call, i);
		struct link link;
		int r = rtnl_link_get(fd, end.name, &link, e);

		if (r == -ENODEV)
			continue;
		if (r < 0)
			return r;
		/* The same name of another pod has another MAC. */
		if (strcmp(link.kind, "veth") || memcmp(link.mac, end.mac, 6))
			continue;
		r = only_off && link.master ? rtnl_port_off(fd, link.index, e) : rtnl_link_del(fd, link.index, e);
		if (r < 0 && r != -ENODEV)
			return r;
	}
	return 0;
}
