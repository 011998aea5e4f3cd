/* SPDX-License-Identifier: Apache-2.0 */
/* What external runtimes say, and what is made of it. */
#include "monitor/oci.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "monitor/json_view.h"

static int failures;

static void expect(const char *name, int ok)
{
	if (ok)
		return;
	fprintf(stderr, "not so: %s\n", name);
	failures++;
}

static void reason(const char *log, const char *want, enum error_kind kind)
{
	enum error_kind got;
	char text[128];

	oci_reason(log, strlen(log), text, sizeof(text), &got);
	expect(log, strcmp(text, want) == 0 && got == kind);
}

static void parse(const char *json, int code)
{
	struct oci_program program;
	struct json_view v;
	struct err e = { 0 };

	expect(json, json_view_parse(json, strlen(json), &v) == 0 && oci_parse(v, &program, &e) == -code);
	oci_free(&program);
}

int main(void)
{
	enum error_kind kind;
	char text[16], log[64];

	reason("", "", KIND_INTERNAL);
	/* runc 1.5: warnings before, the reason last */
	reason("{\"level\":\"warning\",\"msg\":\"w\",\"time\":\"t\"}\n"
	       "{\"level\":\"error\",\"msg\":\"exec: \\\"x\\\": executable file not found in $PATH\",\"time\":\"t\"}\n",
	       "exec: \"x\": executable file not found in $PATH", KIND_FAILED_PRECONDITION);
	/* crun 1.8 */
	reason("{\"msg\": \"executable file `/x` not found: No such file or directory\", \"level\": \"error\", \"time\": \"t\"}",
	       "executable file `/x` not found: No such file or directory", KIND_FAILED_PRECONDITION);
	/* youki: the text is one deeper */
	reason("{\"level\":\"ERROR\",\"fields\":{\"message\":\"m\"}}", "m", KIND_INTERNAL);
	reason("{\"level\":\"error\",\"msg\":\"mkdir /x: no space left on device\"}", "mkdir /x: no space left on device",
	       KIND_RESOURCE_EXHAUSTED);
	/* No JSON at all: its last line; with a reason told, nothing else counts */
	reason("usage: x\nunknown flag\n", "unknown flag", KIND_INTERNAL);
	reason("{\"level\":\"error\",\"msg\":\"first\"}\npanic\n", "first", KIND_INTERNAL);
	/* Garbage: no control characters come through, and nothing overruns */
	reason("\x1b[31mred\x07\n", " [31mred", KIND_INTERNAL);
	reason("a\xc2\x9b" "31m", "a \x9b" "31m", KIND_INTERNAL);
	reason("{\"level\":\"error\"", "{\"level\":\"error\"", KIND_INTERNAL);
	memset(log, 'a', sizeof(log));
	oci_reason(log, sizeof(log), text, sizeof(text), &kind);
	expect("a long line is cut", strlen(text) == sizeof(text) - 1);

	parse("{\"path\":\"/bin/runc\",\"root\":\"/r\",\"args\":[\"--root=/r\"],\"timeout_ms\":1000}", 0);
	parse("{\"path\":\"runc\",\"root\":\"/r\",\"timeout_ms\":1000}", EINVAL);
	parse("{\"path\":\"/bin/runc\",\"timeout_ms\":1000}", EINVAL);
	parse("{\"path\":\"/bin/runc\",\"root\":\"/r\",\"timeout_ms\":0}", EINVAL);
	parse("{\"path\":\"/bin/runc\",\"root\":\"/r\",\"timeout_ms\":1,\"args\":[1]}", EINVAL);
	parse("{\"path\":\"/bin/runc\",\"root\":\"/r\",\"timeout_ms\":1,\"hide\":\"x\"}", EINVAL);
	parse("{\"path\":\"/bin/crun\",\"root\":\"/r\",\"timeout_ms\":1,\"sealed\":1}", EINVAL);
	parse("[]", EINVAL);
	if (failures == 0)
		printf("oci_test: ok\n");
	return failures != 0;
}
