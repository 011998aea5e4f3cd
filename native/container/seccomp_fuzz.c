/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: linux.seccomp, and the names of linux.sysctl. */
#include <errno.h>
#include <linux/filter.h>

#include "base/fuzz.h"
#include "base/json.h"
#include "container/internal.h"

static void check_sysctl(const char *name)
{
	char path[256];

	if (sysctl_path(name, path, sizeof(path)) < 0)
		return;
	FUZZ_HOLDS(*path && *path != '/' && path[strlen(path) - 1] != '/', "sysctl \"%s\" is \"%s\"", name, path);
	FUZZ_HOLDS(!strstr(path, "//") && !strstr(path, "/../") && strncmp(path, "../", 3) && strcmp(path, ".."),
		   "sysctl \"%s\" is \"%s\"", name, path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seccomp_filter filter = { 0 };
	struct fuzz_input in = { data, size };
	struct err e = { 0 };
	char name[300];
	json_t *doc;
	int r;

	check_sysctl(fuzz_text(&in, name, sizeof(name)));
	if (json_parse((const char *)data, size, &doc, &e) < 0)
		return 0;
	/* A cache that can't be: each input is compiled. */
	r = seccomp_prepare(doc, "/proc/no-cache", &filter, &e);
	FUZZ_HOLDS(r == 0 || (e.code && *e.step), "an error that says nothing");
	FUZZ_HOLDS(r < 0 || (filter.needed && filter.prog.len > 0 && filter.prog.len <= BPF_MAXINSNS),
		   "a profile of %u instructions", filter.prog.len);
	free(filter.prog.filter);
	json_decref(doc);
	return 0;
}
