// SPDX-License-Identifier: Apache-2.0
/* loopback: brings the pod's lo up. The kernel gives it 127.0.0.1 and ::1 itself. */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/cleanup.h"
#include "plugin.h"
#include "result.h"

static int in_pod(struct cni_call *call, int *ret_fd, struct link *ret_lo, struct err *e)
{
	cleanup_fd int netns = -1;
	cleanup_fd int back = -1;

	if (netns_open(call->netns, &netns, e) < 0 || netns_enter(netns, &back, e) < 0 || nl_open(NETLINK_ROUTE, ret_fd, e) < 0)
		return -e->code;
	/* Nothing else happens in this process: no way back needed. */
	return rtnl_link_get(*ret_fd, "lo", ret_lo, e);
}

static int add(struct cni_call *call, struct err *e)
{
	static struct result result;
	cleanup_fd int fd = -1;
	struct link lo;
	json_t *doc;
	int r;

	if (in_pod(call, &fd, &lo, e) < 0 || rtnl_link_up(fd, lo.index, e) < 0)
		return -e->code;
	if (json_object_get(call->conf, "prevResult"))
		return call_print_prev(call, e);
	result.links = 1;
	result.link[0] = (struct result_link){ .name = "lo", .mac = "00:00:00:00:00:00", .sandbox = call->netns };
	result.ips = 2;
	result.ip[0] = (struct result_ip){ .addr = { { AF_INET, { 127, 0, 0, 1 } }, 8 } };
	result.ip[1] = (struct result_ip){ .addr = { { AF_INET6, { [15] = 1 } }, 128 } };
	doc = result_json(&result, call);
	r = doc ? call_print(doc, e) : err_set(e, ENOMEM, "print result");
	json_decref(doc);
	return r;
}

static int check(struct cni_call *call, struct err *e)
{
	cleanup_fd int fd = -1;
	struct link lo;

	if (in_pod(call, &fd, &lo, e) < 0)
		return -e->code;
	return lo.flags & IFF_UP ? 0 : err_set(e, ENETDOWN, "lo of %s", call->netns);
}

/* lo goes with its namespace. */
const struct cni_plugin loopback_plugin = {
	.name = "loopback",
	.add = add,
	.check = check,
};
