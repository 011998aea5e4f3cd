/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: HOME of a user, from an image's /etc/passwd. It is a path that stands in the file, or "/". */
#include "base/fuzz_tree.h"
#include "container/internal.h"

static char top[200];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint32_t uid = fuzz_byte(&in);
	char home[64], part[80];
	int root, etc, fd;

	fuzz_folder(top, sizeof(top));
	root = fuzz_fresh(top, "root");
	mkdirat(root, "etc", 0755);
	etc = openat(root, "etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(etc, "passwd", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	FUZZ_HOLDS(fd >= 0 && write(fd, in.at, in.len) == (ssize_t)in.len, "write etc/passwd");
	environment_home(root, uid, home, sizeof(home));
	FUZZ_HOLDS(home[0] == '/' && !strpbrk(home, ":\n"), "HOME is \"%s\"", home);
	snprintf(part, sizeof(part), ":%s", home);
	FUZZ_HOLDS(!strcmp(home, "/") || memmem(in.at, in.len, part, strlen(part)), "\"%s\" is not in the file", home);
	close(fd);
	close(etc);
	close(root);
	return 0;
}
