/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: a copy between two trees, both made by somebody hostile, from and to any path. Whatever comes of it,
 * nothing is made or changed outside of the second tree, and the first stays as it is.
 */
#include "base/fuzz_tree.h"
#include "copy/copy.h"

static char top[200];
static int seen;

static int count_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	seen++;
	return 0;
}

static int entries(const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	seen = 0;
	nftw(path, count_one, 32, FTW_PHYS);
	return seen;
}

static void left_out(const char *path)
{
	FUZZ_HOLDS(*path, "what is left out has no name");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	char source[300], target[300];
	struct err e = { 0 };
	int from, to, before, r;

	fuzz_folder(top, sizeof(top));
	fuzz_canary(top);
	from = fuzz_fresh(top, "from");
	to = fuzz_fresh(top, "to");
	fuzz_make_tree(from, &in);
	fuzz_make_tree(to, &in);
	fuzz_text(&in, source, sizeof(source));
	fuzz_text(&in, target, sizeof(target));
	before = entries("from");
	path_force_walk(fuzz_byte(&in) & 1);
	r = copy_path(from, source, to, target, left_out, &e);
	path_force_walk(false);
	FUZZ_HOLDS(r == 0 || (e.code && *e.step), "an error that says nothing");
	FUZZ_HOLDS(entries("from") == before, "what is copied changed");
	FUZZ_HOLDS(fuzz_count(top) == 3, "something was made beside the trees");
	fuzz_canary_holds(top);
	close(from);
	close(to);
	return 0;
}
