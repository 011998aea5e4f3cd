// SPDX-License-Identifier: Apache-2.0
#include "addr.h"
#include "cni_test.h"

static void parses(const char *text, const char *want)
{
	char buf[IP_TEXT];
	struct ip a;

	CHECK(ip_parse(text, &a) == (want != NULL));
	if (want)
		CHECK(!strcmp(ip_print(&a, buf), want));
}

static void net_is(const char *text, const char *first, const char *last)
{
	char buf[IP_TEXT];
	struct ip_net n;
	struct ip a;

	CHECK(ip_net_parse(text, &n));
	a = ip_net_first(&n);
	CHECK(!strcmp(ip_print(&a, buf), first));
	a = ip_net_last(&n);
	CHECK(!strcmp(ip_print(&a, buf), last));
}

int main(void)
{
	static const char *const bad_nets[] = { "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/ 8",
						"10.0.0.0/0024", "fd00::/129", "/24", "10.0.0/24", "10.0.0.0/8x" };
	struct ip_net n;
	struct ip a, b;

	parses("10.0.0.1", "10.0.0.1");
	parses("::ffff:10.0.0.1", "10.0.0.1");
	parses("FD00:0::1", "fd00::1");
	parses("10.0.0", NULL);
	parses("", NULL);
	parses("10.0.0.1/24", NULL);
	net_is("10.1.2.3/24", "10.1.2.0", "10.1.2.255");
	net_is("10.1.2.3/0", "0.0.0.0", "255.255.255.255");
	net_is("10.1.2.3/32", "10.1.2.3", "10.1.2.3");
	net_is("10.1.130.3/17", "10.1.128.0", "10.1.255.255");
	net_is("fd00::1234/64", "fd00::", "fd00::ffff:ffff:ffff:ffff");
	for (size_t i = 0; i < sizeof(bad_nets) / sizeof(*bad_nets); i++)
		CHECK(!ip_net_parse(bad_nets[i], &n));
	CHECK(ip_parse("10.0.0.255", &a) && ip_parse("10.0.1.0", &b));
	a = ip_next(&a);
	CHECK(!ip_cmp(&a, &b));
	CHECK(ip_net_parse("10.0.1.0/24", &n) && ip_net_contains(&n, &a));
	CHECK(ip_parse("fd00::1", &b) && !ip_net_contains(&n, &b));
	CHECK(ip_cmp(&a, &b) < 0);
	return 0;
}
