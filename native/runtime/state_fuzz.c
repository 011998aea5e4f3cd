/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: state.json as a crash or somebody else left it. The first part of the input is the id that is asked for. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fuzz.h"
#include "runtime/state.h"

static char root[200];

static void put(const char *path, const uint8_t *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	FUZZ_HOLDS(fd >= 0 && write(fd, data, size) == (ssize_t)size, "write %s", path);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	char id[300], folder[220], file[240];
	struct err e = { 0 };
	struct state s;

	fuzz_folder(root, sizeof(root));
	fuzz_text(&in, id, sizeof(id));
	if (state_open(root, id, &s, &e) == 0)
		FUZZ_HOLDS(!strchr(id, '/') && strcmp(id, "..") && strcmp(id, ".") && *id, "id \"%s\"", id);
	snprintf(folder, sizeof(folder), "%s/c", root);
	snprintf(file, sizeof(file), "%s/state.json", folder);
	mkdir(folder, 0700);
	put(file, in.at, in.len);
	e = (struct err){ 0 };
	if (state_load(root, "c", &s, &e) == 0) {
		FUZZ_HOLDS(memchr(s.bundle, 0, sizeof(s.bundle)) && memchr(s.cgroup, 0, sizeof(s.cgroup)), "no end");
		/* Both are acted on: signalled, killed, removed. */
		FUZZ_HOLDS(s.pid > 0, "pid %d", (int)s.pid);
		FUZZ_HOLDS(!*s.cgroup || (s.cgroup[0] == '/' && s.cgroup[1]), "cgroup \"%s\"", s.cgroup);
		json_decref(state_json(&s, ""));
		state_close(&s);
	} else {
		FUZZ_HOLDS(e.code && *e.step, "an error that says nothing");
	}
	unlink(file);
	rmdir(folder);
	return 0;
}
