/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: linux.cgroupsPath and an id, then a mountinfo. */
#include "base/fuzz.h"
#include "cgroup/cgroup.h"

static void check_host(const struct cgroup_host *host)
{
	FUZZ_HOLDS(host->count >= 0 && host->count <= CGROUP_HIERARCHIES, "%d hierarchies", host->count);
	for (int i = 0; i < host->count; i++)
		FUZZ_HOLDS(host->list[i].mount[0] == '/' && memchr(host->list[i].mount, 0, sizeof(host->list[i].mount)),
			   "hierarchy %d is mounted at nothing", i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	char given[3000], id[300], path[CGROUP_PATH_MAX], *mountinfo;
	struct cgroup_host host;
	struct err e = { 0 };
	bool none = fuzz_byte(&in) & 1;

	fuzz_text(&in, given, sizeof(given));
	fuzz_text(&in, id, sizeof(id));
	if (cgroup_path(none ? NULL : given, id, path, &e) == 0) {
		size_t n = strnlen(path, sizeof(path));

		FUZZ_HOLDS(n > 1 && n < sizeof(path) && path[0] == '/' && path[n - 1] != '/', "path \"%s\"", path);
		FUZZ_HOLDS(!strstr(path, "//") && !strstr(path, "/../") && !strstr(path, "/./"), "path \"%s\"", path);
		FUZZ_HOLDS(strcmp(path + n - 2, "/.") && (n < 3 || strcmp(path + n - 3, "/..")), "path \"%s\"", path);
	}
	mountinfo = malloc(in.len + 1);
	if (!mountinfo)
		return 0;
	memcpy(mountinfo, in.at, in.len);
	mountinfo[in.len] = '\0';
	if (cgroup_host_parse(mountinfo, &host) >= 0)
		check_host(&host);
	free(mountinfo);
	return 0;
}
