/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: tmpcopyup of a folder that somebody hostile made. The copy has what the folder has, and nothing else is touched. */
#include "base/fuzz_tree.h"
#include "container/internal.h"

static char top[200];

static void same_tree(int a, int b)
{
	DIR *list = fdopendir(dup(a));

	FUZZ_HOLDS(list, "list a folder");
	rewinddir(list);
	for (struct dirent *d; (d = readdir(list)); ) {
		struct stat x, y;
		int p, q;

		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		FUZZ_HOLDS(fstatat(a, d->d_name, &x, AT_SYMLINK_NOFOLLOW) == 0 &&
				   fstatat(b, d->d_name, &y, AT_SYMLINK_NOFOLLOW) == 0 && x.st_mode == y.st_mode &&
				   (S_ISDIR(x.st_mode) || x.st_size == y.st_size),
			   "\"%s\" is not the same in the copy", d->d_name);
		if (!S_ISDIR(x.st_mode))
			continue;
		p = openat(a, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		q = openat(b, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		same_tree(p, q);
		close(p);
		close(q);
	}
	closedir(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct err e = { 0 };
	int from, to, r;

	fuzz_folder(top, sizeof(top));
	fuzz_canary(top);
	from = fuzz_fresh(top, "from");
	to = fuzz_fresh(top, "to");
	fuzz_make_tree(from, &in);
	r = copy_up(from, to, &e);
	FUZZ_HOLDS(r == 0 || (e.code && *e.step), "an error that says nothing");
	if (r == 0)
		same_tree(from, to);
	FUZZ_HOLDS(fuzz_count(top) == 3, "something was made beside the trees");
	fuzz_canary_holds(top);
	close(from);
	close(to);
	return 0;
}
