/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: a configuration text, parsed as create does before it touches anything. */
#include <errno.h>

#include "base/fuzz.h"
#include "spec/mount-options.h"
#include "spec/spec.h"

static void check(const struct spec *s)
{
	FUZZ_HOLDS(s->oci_version[0] == '1' && s->oci_version[1] == '.', "version %s", s->oci_version);
	FUZZ_HOLDS(s->rootfs, "no root and no error");
	if (s->has_process) {
		FUZZ_HOLDS(s->process.args && s->process.args[0], "a process without program");
		FUZZ_HOLDS(s->process.cwd && s->process.cwd[0] == '/', "working folder \"%s\"", s->process.cwd);
		FUZZ_HOLDS(s->process.uid != UINT32_MAX && s->process.gid != UINT32_MAX, "-1 as an id");
	}
	for (int kind = 0; kind < NS_KINDS; kind++)
		FUZZ_HOLDS(!s->ns[kind].path || s->ns[kind].path[0] == '/', "namespace %s", s->ns[kind].path);
	for (int kind = 0; kind < HOOK_KINDS; kind++)
		for (size_t i = 0; i < s->hooks[kind].count; i++)
			FUZZ_HOLDS(s->hooks[kind].list[i].path[0] == '/', "hook %s", s->hooks[kind].list[i].path);
	for (size_t i = 0; i < s->mount_count; i++) {
		struct mount_options o;
		struct err e = { 0 };

		if (mount_options_parse(s->mounts[i].options, &o, &e) == 0)
			mount_options_free(&o);
		else
			FUZZ_HOLDS(e.code, "an error without a number");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = { 0 };
	struct spec s;
	int r = spec_parse((const char *)data, size, &s, &e);

	if (r == 0)
		check(&s);
	else
		FUZZ_HOLDS(e.code == -r && *e.step, "an error that says nothing: %d", r);
	spec_free(&s);
	return 0;
}
