/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: linux.seccomp, and the names of linux.sysctl. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <stdlib.h>

#include "base/fuzz.h"
#include "base/json.h"
#include "container/internal.h"
#include "container/seccomp-emulate.h"

static void check_sysctl(const char *name)
{
	char path[256];

	if (sysctl_path(name, path, sizeof(path)) < 0)
		return;
	FUZZ_HOLDS(*path && *path != '/' && path[strlen(path) - 1] != '/', "sysctl \"%s\" is \"%s\"", name, path);
	FUZZ_HOLDS(!strstr(path, "//") && !strstr(path, "/../") && strncmp(path, "../", 3) && strcmp(path, ".."),
		   "sysctl \"%s\" is \"%s\"", name, path);
}

/* The filter answers as libseccomp's does, whatever the architecture, the number and the arguments. */
static void check_short(const json_t *doc, const struct seccomp_filter *filter, const uint8_t *input, size_t size)
{
	static const uint32_t architectures[] = { AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_PPC64 };
	struct jnode n = json_top(doc, "linux.seccomp");
	struct seccomp_data data = { 0 };
	struct err ignored;
	char *bpf = NULL;
	size_t len = 0;

	FUZZ_HOLDS(seccomp_compile(&n, &bpf, &len, &ignored) == 0, "a profile compiles once and not twice");
	memcpy(data.args, input, size < sizeof(data.args) ? size : sizeof(data.args));
	for (size_t i = 0; i < sizeof(architectures) / sizeof(architectures[0]); i++) {
		data.arch = architectures[i];
		FUZZ_HOLDS(seccomp_agree((struct sock_filter *)bpf, len / sizeof(struct sock_filter), filter->prog.filter,
					 filter->prog.len, &data),
			   "architecture %x, system call %d", data.arch, data.nr);
	}
	free(bpf);
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
	if (r == 0)
		check_short(doc, &filter, data, size);
	free(filter.prog.filter);
	json_decref(doc);
	return 0;
}
