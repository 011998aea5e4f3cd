/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.netDevices: links of the caller's network namespace become the container's (config-linux.md, "Network
 * Devices"): moved, renamed, with their permanent global addresses, and up. In the runner.
 *
 * They are not moved back: what becomes of them when the namespace ends is the kernel's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "container/internal.h"

/* More than a device has in practice; the rest is an error. */
#define MAX_ADDRESSES 64

struct request {
	struct nlmsghdr head;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg addr;
	};
	char attrs[256];
};
struct address {
	struct ifaddrmsg head;
	unsigned char local[16], peer[16], broadcast[4];
	size_t local_len, peer_len, broadcast_len;
};

static void put(struct request *q, unsigned short type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)(void *)((char *)q + NLMSG_ALIGN(q->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	q->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(q->head.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

/* 0 or a negative errno: the kernel's. */
static int ask(int sock, struct request *q)
{
	char answer[4096] __attribute__((aligned(NLMSG_ALIGNTO)));
	const struct nlmsghdr *head = (const void *)answer;
	const struct nlmsgerr *result = NLMSG_DATA(head);
	ssize_t n;

	q->head.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (send(sock, q, q->head.nlmsg_len, 0) < 0)
		return -errno;
	n = recv(sock, answer, sizeof(answer), 0);
	if (n < 0)
		return -errno;
	return n < (ssize_t)NLMSG_LENGTH(sizeof(*result)) || head->nlmsg_type != NLMSG_ERROR ? -EPROTO : result->error;
}

static void keep_bytes(const struct rtattr *a, void *to, size_t room, size_t *ret_len)
{
	if (RTA_PAYLOAD(a) > room)
		return;
	memcpy(to, RTA_DATA(a), RTA_PAYLOAD(a));
	*ret_len = RTA_PAYLOAD(a);
}

/* An address of device `index`, if it is one that goes along. */
static bool parse_address(const struct nlmsghdr *head, int index, struct address *ret)
{
	const struct ifaddrmsg *m = NLMSG_DATA(head);
	int left = (int)(head->nlmsg_len - NLMSG_LENGTH(sizeof(*m)));
	uint32_t flags = m->ifa_flags;

	*ret = (struct address){ .head = *m };
	for (const struct rtattr *a = IFA_RTA(m); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFA_LOCAL)
			keep_bytes(a, ret->local, sizeof(ret->local), &ret->local_len);
		else if (a->rta_type == IFA_ADDRESS)
			keep_bytes(a, ret->peer, sizeof(ret->peer), &ret->peer_len);
		else if (a->rta_type == IFA_BROADCAST)
			keep_bytes(a, ret->broadcast, sizeof(ret->broadcast), &ret->broadcast_len);
		else if (a->rta_type == IFA_FLAGS && RTA_PAYLOAD(a) == sizeof(flags))
			memcpy(&flags, RTA_DATA(a), sizeof(flags));
	return (int)m->ifa_index == index && (flags & IFA_F_PERMANENT) && m->ifa_scope == RT_SCOPE_UNIVERSE;
}

static int list_addresses(int sock, int index, struct address *ret, size_t *ret_count)
{
	struct request q = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(q.addr)), .nlmsg_type = RTM_GETADDR,
				       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };
	char answer[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
	size_t count = 0;

	if (send(sock, &q, q.head.nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t n = recv(sock, answer, sizeof(answer), 0);
		int left = (int)n;

		if (n <= 0)
			return n < 0 ? -errno : -EPROTO;
		for (const struct nlmsghdr *head = (const void *)answer; NLMSG_OK(head, left); head = NLMSG_NEXT(head, left)) {
			if (head->nlmsg_type == NLMSG_DONE) {
				*ret_count = count;
				return 0;
			}
			if (head->nlmsg_type == NLMSG_ERROR)
				return ((const struct nlmsgerr *)NLMSG_DATA(head))->error;
			if (head->nlmsg_type != RTM_NEWADDR || head->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifaddrmsg)))
				continue;
			if (count == MAX_ADDRESSES)
				return -E2BIG;
			count += parse_address(head, index, &ret[count]);
		}
	}
}

static int add_address(int sock, int index, const struct address *a)
{
	struct request q = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(q.addr)), .nlmsg_type = RTM_NEWADDR,
				       .nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL } };

	q.addr = (struct ifaddrmsg){ .ifa_family = a->head.ifa_family, .ifa_prefixlen = a->head.ifa_prefixlen,
				     .ifa_scope = a->head.ifa_scope, .ifa_index = (uint32_t)index };
	if (a->local_len)
		put(&q, IFA_LOCAL, a->local, a->local_len);
	if (a->peer_len)
		put(&q, IFA_ADDRESS, a->peer, a->peer_len);
	if (a->broadcast_len)
		put(&q, IFA_BROADCAST, a->broadcast, a->broadcast_len);
	return ask(sock, &q);
}

static int index_of(int sock, const char *name)
{
	struct ifreq r = { 0 };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	return ioctl(sock, SIOCGIFINDEX, &r) < 0 ? -errno : r.ifr_ifindex;
}

static int bring_up(int sock, const char *name)
{
	struct ifreq r = { 0 };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (ioctl(sock, SIOCGIFFLAGS, &r) < 0)
		return -errno;
	r.ifr_flags |= IFF_UP;
	return ioctl(sock, SIOCSIFFLAGS, &r) < 0 ? -errno : 0;
}

/* The name inside; of a template ("eth%d") the first that is free. */
static void name_inside(int sock, const char *wanted, char ret[IFNAMSIZ])
{
	const char *at = strchr(wanted, '%');

	snprintf(ret, IFNAMSIZ, "%s", wanted);
	for (int i = 0; at && i < 10000; i++) {
		snprintf(ret, IFNAMSIZ, "%.*s%d", (int)(at - wanted), wanted, i);
		if (index_of(sock, ret) == -ENODEV)
			return;
	}
}

/*
 * What can be known before the first is moved. The kernel renames after the move (do_setlink): a name that is taken
 * would leave the device inside, to end with the namespace.
 */
static int check(int outside, int inside, const struct spec_pair *device, struct err *e)
{
	int index = index_of(outside, device->name);

	if (index < 0)
		return err_set(e, -index, "linux.netDevices: device \"%s\"", device->name);
	if (index_of(inside, device->value) >= 0)
		return err_set(e, EEXIST, "linux.netDevices: move \"%s\" into the container as \"%s\"", device->name,
			       device->value);
	return 0;
}

static int move(int outside, int inside, int netns, const struct spec_pair *device, struct err *e)
{
	struct request q = { .head = { .nlmsg_len = NLMSG_LENGTH(sizeof(q.link)), .nlmsg_type = RTM_NEWLINK } };
	struct address addresses[MAX_ADDRESSES + 1];
	char name[IFNAMSIZ];
	size_t count = 0;
	int index = index_of(outside, device->name), r;

	if (index < 0)
		return err_set(e, -index, "linux.netDevices: device \"%s\"", device->name);
	r = list_addresses(outside, index, addresses, &count);
	if (r < 0)
		return err_set(e, -r, "linux.netDevices: addresses of \"%s\"", device->name);
	name_inside(inside, device->value, name);
	q.link.ifi_index = index;
	put(&q, IFLA_NET_NS_FD, &netns, sizeof(netns));
	put(&q, IFLA_IFNAME, name, strlen(name) + 1);
	r = ask(outside, &q);
	if (r < 0)
		return err_set(e, -r, "linux.netDevices: move \"%s\" into the container as \"%s\"", device->name, name);
	index = index_of(inside, name);
	r = index < 0 ? index : 0;
	for (size_t i = 0; i < count && r == 0; i++)
		r = add_address(inside, index, &addresses[i]);
	if (r < 0)
		return err_set(e, -r, "linux.netDevices: give \"%s\" its addresses in the container", name);
	r = bring_up(inside, name);
	return r < 0 ? err_set(e, -r, "linux.netDevices: bring \"%s\" up in the container", name) : 0;
}

int netdev_open(const struct spec *s, int *ret_sock, struct err *e)
{
	if (!s->net_device_count)
		return 0;
	if (geteuid() != 0)
		return err_set(e, EPERM, "linux.netDevices: only root may move network devices");
	*ret_sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	return *ret_sock < 0 ? err_set(e, errno, "linux.netDevices: netlink socket") : 0;
}

int netdev_move(const struct spec *s, int outside, pid_t pid, struct err *e)
{
	cleanup_fd int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), netns = -1, inside = -1;
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	netns = open(path, O_RDONLY | O_CLOEXEC);
	if (home < 0 || netns < 0 || setns(netns, CLONE_NEWNET) < 0)
		return err_set(e, errno, "linux.netDevices: enter the container's network namespace");
	inside = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (inside < 0 || setns(home, CLONE_NEWNET) < 0)
		return err_set(e, errno, "linux.netDevices: netlink socket in the container's network namespace");
	for (size_t i = 0; i < s->net_device_count; i++)
		if (check(outside, inside, &s->net_devices[i], e) < 0)
			return -e->code;
	for (size_t i = 0; i < s->net_device_count; i++)
		if (move(outside, inside, netns, &s->net_devices[i], e) < 0)
			return -e->code;
	return 0;
}
