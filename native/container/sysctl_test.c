/* SPDX-License-Identifier: Apache-2.0 */
/* Only names that belong to a namespace of the container, only one value (CVE-2022-0811). */
#include <stdio.h>
#include <string.h>

#include "container/internal.h"

static int failed;

static void expect(const char *name, const char *want)
{
	char path[64] = "";
	int r = sysctl_path(name, path, sizeof(path));

	if (want ? r < 0 || strcmp(path, want) : r == 0) {
		printf("sysctl_test: \"%s\" gives %d \"%s\", expected %s\n", name, r, path, want ? want : "an error");
		failed = 1;
	}
}

static void check(const char *name, const char *value, bool net, bool ok)
{
	struct spec_pair pair = { name, value };
	struct spec s = { .sysctls = &pair, .sysctl_count = 1 };
	struct err e = { 0 };
	int r;

	s.ns[NS_NETWORK].present = net;
	s.ns[NS_IPC].present = true;
	r = sysctl_check(&s, &e);
	if ((r == 0) != ok) {
		printf("sysctl_test: %s=%s gives %d %s\n", name, value, r, e.step);
		failed = 1;
	}
}

int main(void)
{
	struct spec_pair host_net = { "net.ipv4.ip_forward", "1" };
	struct spec joined = { .sysctls = &host_net, .sysctl_count = 1 };
	struct err e;

	expect("net.ipv4.ip_forward", "net/ipv4/ip_forward");
	expect("net/ipv4/ip_forward", "net/ipv4/ip_forward");
	expect("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding");
	expect("net/../kernel/core_pattern", NULL);
	expect("net..x", NULL);
	expect(".net", NULL);
	expect("net.", NULL);
	expect("", NULL);
	expect("kernel.shm_rmid_forced=1+kernel.core_pattern", NULL);

	check("kernel.shm_rmid_forced", "1", false, true);
	check("fs.mqueue.msg_max", "10", false, true);
	check("net.ipv4.ip_forward", "1", true, true);
	check("net.ipv4.ip_forward", "1", false, false);
	check("kernel.core_pattern", "|/x", true, false);
	check("kernel.hostname", "x", true, false);
	check("vm.overcommit_memory", "1", true, false);
	check("net.ipv4.ip_forward", "1\n2", true, false);
	check("net/../kernel/core_pattern", "x", true, false);

	/* A namespace that is joined and is our own all the same. */
	joined.ns[NS_NETWORK] = (struct spec_ns){ .present = true, .path = "/proc/self/ns/net" };
	if (sysctl_check(&joined, &e) == 0) {
		printf("sysctl_test: the host's network namespace counts as the container's\n");
		failed = 1;
	}
	return failed;
}
