/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kobako-copy FROM TO: copies between the trees of descriptors 3 (where FROM lies) and 4 (where TO does).
 * Exit code 0; 1 with a line on standard error. Each thing that is left out is a line there, too.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "copy/copy.h"

enum { FROM_ROOT = 3, TO_ROOT = 4 };

static void left_out(const char *path)
{
	dprintf(STDERR_FILENO, "left out: \"%s\" is neither a file, a folder nor a link\n", path);
}

int main(int argc, char *argv[])
{
	char text[sizeof(((struct err *)0)->step) + 128];
	struct err e;

	if (argc != 3 || fcntl(FROM_ROOT, F_GETFD) < 0 || fcntl(TO_ROOT, F_GETFD) < 0) {
		dprintf(STDERR_FILENO, "usage: kobako-copy FROM TO 3<FROM_ROOT 4<TO_ROOT\n");
		return 2;
	}
	sys_close_range(5, UINT_MAX, 0);
	umask(077);
	if (copy_path(FROM_ROOT, argv[1], TO_ROOT, argv[2], left_out, &e) == 0)
		return 0;
	dprintf(STDERR_FILENO, "%s\n", err_text(&e, text, sizeof(text)));
	return 1;
}
