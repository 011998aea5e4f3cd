/* SPDX-License-Identifier: Apache-2.0 */
/* Names of archive entries, by their text alone. */
#ifndef KOBAKO_UNPACK_NAME_H
#define KOBAKO_UNPACK_NAME_H

#include <limits.h>

#include "base/err.h"

/*
 * The shortest form of an entry's name below the layer root: no leading or trailing slash, no "//",
 * "." or ".."; ".." at the root stays there, as in a chroot. The root itself is "".
 * Errors: EBADMSG when it is longer than PATH_MAX - 1, or a part is longer than NAME_MAX.
 */
int name_clean(const char *name, char ret[PATH_MAX], struct err *e);

/* Splits a clean, non-empty name in place: *ret_dir is "" for the root. Returns the last part. */
const char *name_split(char *name, const char **ret_dir);

/*
 * When the next part of `rest` (of a link's target, say) is "..": what stands after it; else NULL.
 * "x/.." of an x that is nowhere goes nowhere: nothing is made for it.
 */
const char *name_after_back(const char *rest);

/* What a clean name means by image-spec layer.md, "Whiteouts". */
enum name_kind {
	NAME_PLAIN,
	NAME_WHITEOUT,    /* of the sibling whose name follows ".wh." */
	NAME_OPAQUE,      /* hides what lower layers have in its folder */
	NAME_BOOKKEEPING, /* of AUFS, ".wh..wh.plnk" and such: not content */
	NAME_BAD,         /* ".wh." of nothing, of "." or "..", or a folder of that form */
};

enum name_kind name_kind_of(const char *name);

#endif
