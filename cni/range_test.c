// SPDX-License-Identifier: Apache-2.0
/* host-local's configuration and the order in which addresses are tried. */
#include "cni_test.h"
#include "range.h"

static struct ipam ipam;

static void config(char *buf, size_t size, const char *ipam_body)
{
	snprintf(buf, size, "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"type\":\"host-local\",\"ipam\":{%s}}", ipam_body);
}

static void refused(const char *body, const char *words)
{
	char text[4096];
	struct cni_call call;
	struct err e = { 0 };

	config(text, sizeof(text), body);
	CHECK(test_call(&call, text, &e) == 0);
	CHECK(ipam_parse(&call, &ipam, &e) < 0);
	if (!strstr(e.step, words)) {
		fprintf(stderr, "%s: said \"%s\", not \"%s\"\n", body, e.step, words);
		exit(1);
	}
	CHECK(call.code == CNI_INVALID_CONFIG);
	call_free(&call);
}

/* The addresses of set 0 in order, after `last`, with blanks between. */
static void order(const char *body, const char *last_text, const char *want)
{
	char text[4096], got[4096] = "", one[IP_TEXT];
	struct range_cursor cursor = { 0 };
	const struct range *range;
	struct cni_call call;
	struct err e = { 0 };
	struct ip last = { 0 }, ip;

	config(text, sizeof(text), body);
	CHECK(test_call(&call, text, &e) == 0);
	CHECK(ipam_parse(&call, &ipam, &e) == 0);
	if (last_text)
		CHECK(ip_parse(last_text, &last));
	while (range_next(&ipam.set[0], &last, &cursor, &range, &ip)) {
		CHECK(strlen(got) < 3000);
		strcat(strcat(got, ip_print(&ip, one)), " ");
	}
	if (strcmp(got, want)) {
		fprintf(stderr, "%s after %s: %s, not %s\n", body, last_text ? last_text : "nothing", got, want);
		exit(1);
	}
	call_free(&call);
}

int main(void)
{
	order("\"subnet\":\"10.0.0.0/29\"", NULL, "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 ");
	order("\"subnet\":\"10.0.0.0/29\"", "10.0.0.4", "10.0.0.5 10.0.0.6 10.0.0.2 10.0.0.3 10.0.0.4 ");
	order("\"subnet\":\"10.0.0.0/29\"", "10.0.0.6", "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 ");
	order("\"subnet\":\"10.0.0.0/29\"", "10.9.9.9", "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 ");
	order("\"subnet\":\"10.0.0.0/24\",\"rangeStart\":\"10.0.0.7\",\"rangeEnd\":\"10.0.0.7\"", NULL, "10.0.0.7 ");
	order("\"subnet\":\"10.0.0.0/24\",\"rangeStart\":\"10.0.0.7\",\"rangeEnd\":\"10.0.0.7\"", "10.0.0.7", "10.0.0.7 ");
	order("\"subnet\":\"10.0.0.0/24\",\"rangeStart\":\"10.0.0.7\",\"rangeEnd\":\"10.0.0.7\",\"gateway\":\"10.0.0.7\"", NULL, "");
	order("\"subnet\":\"10.0.0.0/30\"", NULL, "10.0.0.2 ");
	order("\"subnet\":\"fd00::/126\"", NULL, "fd00::2 fd00::3 ");
	order("\"ranges\":[[{\"subnet\":\"10.0.0.0/30\"},{\"subnet\":\"10.0.1.0/30\"}]]", NULL, "10.0.0.2 10.0.1.2 ");
	order("\"ranges\":[[{\"subnet\":\"10.0.0.0/30\"},{\"subnet\":\"10.0.1.0/30\"}]]", "10.0.0.2", "10.0.1.2 10.0.0.2 ");

	refused("", "no address range");
	refused("\"subnet\":\"10.0.0.0/31\"", "too small");
	refused("\"subnet\":\"10.0.0.1/24\"", "host bits");
	refused("\"subnet\":\"10.0.0.0\"", "no subnet");
	refused("\"subnet\":7", "subnet");
	refused("\"ranges\":[[]]", "empty range set");
	refused("\"ranges\":[{}]", "ranges[0]");
	refused("\"ranges\":[[{\"subnet\":\"10.0.0.0/24\"},{\"subnet\":\"fd00::/64\"}]]", "IPv4 and IPv6");
	refused("\"ranges\":[[{\"subnet\":\"10.0.0.0/24\"}],[{\"subnet\":\"10.0.0.0/25\"}]]", "overlaps");
	refused("\"subnet\":\"10.0.0.0/24\",\"rangeStart\":\"10.0.1.1\"", "not in the subnet");
	refused("\"subnet\":\"10.0.0.0/24\",\"rangeStart\":\"10.0.0.9\",\"rangeEnd\":\"10.0.0.8\"", "after rangeEnd");
	refused("\"subnet\":\"10.0.0.0/24\",\"routes\":[{\"dst\":\"x\"}]", "routes[0].dst");
	refused("\"subnet\":\"10.0.0.0/24\",\"routes\":[{\"dst\":\"::/0\",\"gw\":\"10.0.0.1\"}]", "different families");
	return 0;
}
