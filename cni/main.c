// SPDX-License-Identifier: Apache-2.0
/*
 * One program for all plugins: its name says which. Under its own name, kobako-cni, it takes away
 * what the embedded network of one instance made:
 *   kobako-cni remove BRIDGE TABLE
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "nft.h"
#include "plugin.h"
#include "rtnl.h"

static const struct cni_plugin *const plugins[] = {
	&bridge_plugin, &host_local_plugin, &loopback_plugin, &portmap_plugin,
};

/* Removes the bridge and the nf_tables table; what is gone already is success. */
static int remove_network(const char *bridge, const char *table, struct err *e)
{
	static struct nft_batch batch;
	cleanup_fd int route = -1;
	cleanup_fd int netfilter = -1;
	struct link link;
	int r;

	if (nl_open(NETLINK_ROUTE, &route, e) < 0 || nl_open(NETLINK_NETFILTER, &netfilter, e) < 0)
		return -e->code;
	r = rtnl_link_get(route, bridge, &link, e);
	if (!r && strcmp(link.kind, "bridge"))
		return err_set(e, EINVAL, "%s is no bridge", bridge);
	if (!r)
		r = rtnl_link_del(route, link.index, e);
	if (r < 0 && r != -ENODEV)
		return r;
	nft_begin(&batch, table);
	nft_del_table(&batch);
	r = nft_commit(netfilter, &batch, e);
	return r == -ENOENT ? 0 : r;
}

static int own_command(int argc, char **argv)
{
	struct err e;
	char text[sizeof(e.step) + 64];

	if (argc == 4 && !strcmp(argv[1], "remove") && cni_ifname_ok(argv[2]) && cni_name_ok(argv[3])) {
		if (!remove_network(argv[2], argv[3], &e))
			return 0;
		fprintf(stderr, "kobako-cni: %s\n", err_text(&e, text, sizeof(text)));
		return 1;
	}
	fprintf(stderr, "kobako-cni " KOBAKO_VERSION ": CNI plugins bridge, host-local, loopback, portmap "
			"(run by those names)\nusage: kobako-cni remove BRIDGE TABLE\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *name = argc && strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argc ? argv[0] : "";

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(plugins) / sizeof(*plugins); i++)
		if (!strcmp(name, plugins[i]->name))
			return plugin_run(plugins[i]);
	return own_command(argc, argv);
}
