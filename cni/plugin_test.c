// SPDX-License-Identifier: Apache-2.0
/* Configurations and results as hostile or careless people write them. */
#include "cni_test.h"
#include "result.h"

static void refused(const char *text, int code)
{
	struct cni_call call;
	struct err e = { 0 };

	if (test_call(&call, text, &e) == 0 || call.code != code) {
		fprintf(stderr, "%s: code %d, not %d\n", text, call.code, code);
		exit(1);
	}
	call_free(&call);
}

static struct result result;

static int parse(const char *prev)
{
	char text[8192];
	struct cni_call call;
	struct err e = { 0 };
	struct jnode top, n;
	int r;

	snprintf(text, sizeof(text), "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"prevResult\":%s}", prev);
	CHECK(test_call(&call, text, &e) == 0);
	top = call_conf(&call);
	n = json_get(&top, "prevResult");
	r = result_parse(&n, &result, &e);
	call_free(&call);
	return r;
}

static void many(const char *item, int count, const char *key)
{
	char text[8192] = "{\"";

	strcat(strcat(text, key), "\":[");
	for (int i = 0; i < count; i++)
		strcat(strcat(text, i ? "," : ""), item);
	CHECK(parse(strcat(text, "]}")) < 0);
}

static void printed(int version, const char *name, const char *has, const char *has_not)
{
	struct cni_call call = { .version = name, .version_number = version };
	json_t *doc;
	char *text;

	CHECK(parse("{\"interfaces\":[{\"name\":\"eth0\",\"sandbox\":\"/n\",\"mtu\":1400}],\"ips\":[{\"interface\":0,"
		    "\"address\":\"10.0.0.2/24\",\"gateway\":\"10.0.0.1\"}],\"routes\":[{\"dst\":\"0.0.0.0/0\",\"mtu\":1400}]}") == 0);
	result.link[0].sandbox = "/n";
	doc = result_json(&result, &call);
	text = json_text(doc, JSON_COMPACT);
	CHECK(strstr(text, has) && !strstr(text, has_not));
	free(text);
	json_decref(doc);
}

int main(void)
{
	struct cni_call call = { .args = "IgnoreUnknown=1;ip=10.0.0.9;K8S_POD_NAME=a;MAC=" };
	char buf[16];

	refused("", CNI_DECODE);
	refused("[]", CNI_DECODE);
	refused("{\"cniVersion\":\"1.0.0\",\"cniVersion\":\"1.0.0\",\"name\":\"n\"}", CNI_DECODE);
	refused("{\"cniVersion\":1,\"name\":\"n\"}", CNI_DECODE);
	refused("{\"name\":\"n\"}", CNI_INCOMPATIBLE_VERSION);
	refused("{\"cniVersion\":\"0.2.0\",\"name\":\"n\"}", CNI_INCOMPATIBLE_VERSION);
	refused("{\"cniVersion\":\"2.0.0\",\"name\":\"n\"}", CNI_INCOMPATIBLE_VERSION);
	refused("{\"cniVersion\":\"1.0.0\"}", CNI_INVALID_CONFIG);
	refused("{\"cniVersion\":\"1.0.0\",\"name\":\"../etc\"}", CNI_INVALID_CONFIG);
	refused("{\"cniVersion\":\"1.0.0\",\"name\":\"a/b\"}", CNI_INVALID_CONFIG);

	CHECK(call_arg(&call, "IP", buf, sizeof(buf)) && !strcmp(buf, "10.0.0.9"));
	CHECK(!call_arg(&call, "P", buf, sizeof(buf)));
	CHECK(!call_arg(&call, "MAC", buf, sizeof(buf)) || !*buf);
	CHECK(call_arg(&call, "K8S_POD_NAME", buf, sizeof(buf)) && !strcmp(buf, "a"));

	CHECK(cni_ifname_ok("eth0") && !cni_ifname_ok("") && !cni_ifname_ok("..") && !cni_ifname_ok("a/b"));
	CHECK(!cni_ifname_ok("sixteen-letters!") && cni_ifname_ok("fifteen-letters"));

	CHECK(parse("{}") == 0 && result.ips == 0);
	CHECK(parse("[]") < 0);
	CHECK(parse("{\"ips\":[{\"address\":\"10.0.0.2\"}]}") < 0);
	CHECK(parse("{\"ips\":[{\"interface\":0,\"address\":\"10.0.0.2/24\"}]}") < 0);
	CHECK(parse("{\"interfaces\":[{\"name\":\"../../eth0\"}]}") < 0);
	CHECK(parse("{\"interfaces\":[{\"name\":\"eth0\",\"sandbox\":7}]}") < 0);
	CHECK(parse("{\"routes\":[{\"dst\":\"0.0.0.0/0\",\"scope\":256}]}") < 0);
	many("{\"address\":\"10.0.0.2/24\"}", RESULT_IPS + 1, "ips");
	many("{\"name\":\"eth0\"}", RESULT_LINKS + 1, "interfaces");
	many("{\"dst\":\"10.0.0.0/8\"}", RESULT_ROUTES + 1, "routes");

	printed(301, "0.3.1", "\"version\":\"4\"", "mtu");
	printed(1000, "1.0.0", "\"gateway\":\"10.0.0.1\"", "version\":\"4");
	printed(1100, "1.1.0", "\"mtu\":1400", "version\":\"4");
	return 0;
}
