/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: two layers, one over the other, of any entries: written without the sandbox around, then settled (tree.h,
 * layer.h, settle.h). What keeps them inside is path resolution alone; the canary is a folder beside them. The input
 * names the entries, as the archive's own form is unpack-tar's.
 */
#include "base/fuzz_tree.h"
#include "unpack/layer.h"
#include "unpack/settle.h"
#include "unpack/tar_build.h"

static char top[200];

static void add_entries(struct archive *a, struct fuzz_input *in)
{
	/* No device nodes: what is not root may not make them. */
	static const char types[] = "0012255567";
	int count = fuzz_byte(in) % FUZZ_MAX_ENTRIES;

	a->len = a->at = 0;
	a->piece = 1000;
	for (int i = 0; i < count && in->len; i++) {
		char type = types[fuzz_byte(in) % (sizeof(types) - 1)], name[101], text[101];

		fuzz_text(in, name, sizeof(name));
		fuzz_text(in, text, sizeof(text));
		archive_add(a, type, name, text, fuzz_byte(in) << 4 | 0700);
	}
	archive_end(a);
}

static int write_layer(int root, struct archive *a, struct pending *pending)
{
	const struct layer_limits limits = { .entries = 1000 };
	struct layer_result result;
	struct err e = { 0 };
	struct tar *t;
	int r;

	FUZZ_HOLDS(tar_open(archive_pull, a, &t, &e) == 0, "open an archive: %s", e.step);
	r = layer_write(root, t, &limits, pending, &result, &e);
	tar_close(t);
	FUZZ_HOLDS(r == 0 || (e.code && *e.step), "an error that says nothing");
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct archive a;
	struct fuzz_input in = { data, size };
	struct pending below = { 0 }, above = { 0 };
	uint64_t bytes, inodes;
	struct err e = { 0 };
	int lower, layer, r;

	umask(0);
	fuzz_folder(top, sizeof(top));
	fuzz_canary(top);
	lower = fuzz_fresh(top, "lower");
	layer = fuzz_fresh(top, "layer");
	add_entries(&a, &in);
	r = write_layer(lower, &a, &below);
	if (r == 0)
		r = settle(lower, -1, &below, &bytes, &inodes, &e);
	if (r == 0) {
		add_entries(&a, &in);
		r = write_layer(layer, &a, &above);
	}
	if (r == 0) {
		r = settle(layer, lower, &above, &bytes, &inodes, &e);
		FUZZ_HOLDS(r == 0 || (e.code && *e.step), "an error that says nothing");
	}
	pending_clear(&below);
	pending_clear(&above);
	FUZZ_HOLDS(fuzz_count(top) == 3, "something was made beside the layers");
	fuzz_canary_holds(top);
	close(lower);
	close(layer);
	return 0;
}
