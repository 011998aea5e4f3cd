/* SPDX-License-Identifier: Apache-2.0 */
/* Names by their text: cleaning never leads out of the root, whiteouts are told from names. */
#include <stdio.h>
#include <string.h>

#include "unpack/name.h"
#include "unpack/xattr.h"

static int failed;

static const struct {
	const char *name, *clean; /* NULL: refused */
} clean[] = {
	{ "", "" },
	{ "/", "" },
	{ ".", "" },
	{ "./", "" },
	{ "..", "" },
	{ "../..", "" },
	{ "a", "a" },
	{ "/a/", "a" },
	{ "./a/./b//c/", "a/b/c" },
	{ "../x", "x" },
	{ "a/../../x", "x" },
	{ "a//..//../x", "x" },
	{ "a/b/../c", "a/c" },
	{ "a/b/../../c", "c" },
	{ "...", "..." },
	{ "a/..b/c..", "a/..b/c.." },
};

static const struct {
	const char *name;
	enum name_kind kind;
} kinds[] = {
	{ "a", NAME_PLAIN },
	{ "a.wh.b", NAME_PLAIN },
	{ "a/b.wh.", NAME_PLAIN },
	{ ".wh", NAME_PLAIN },
	{ ".wh.a", NAME_WHITEOUT },
	{ "d/.wh.a", NAME_WHITEOUT },
	{ "d/.wh..a", NAME_WHITEOUT },
	{ "d/.wh.a/b", NAME_BAD },
	{ ".wh.", NAME_BAD },
	{ ".wh..", NAME_BAD },
	{ ".wh...", NAME_BAD },
	{ "d/.wh..wh..opq", NAME_OPAQUE },
	{ ".wh..wh..opq", NAME_OPAQUE },
	{ "d/.wh..wh..opq/x", NAME_BOOKKEEPING },
	{ ".wh..wh.plnk", NAME_BOOKKEEPING },
	{ ".wh..wh.plnk/12.34", NAME_BOOKKEEPING },
};

static const struct {
	const char *name;
	bool allowed;
} attributes[] = {
	{ "user.x", true },
	{ "user.overlay.opaque", false },
	{ "user.overlay.overlay.opaque", false },
	{ "user.overlayer", true },
	{ "user.", false },
	{ "trusted.overlay.opaque", false },
	{ "trusted.x", false },
	{ "security.capability", true },
	{ "security.capability2", false },
	{ "security.selinux", false },
	{ "system.posix_acl_access", true },
	{ "system.nfs4_acl", false },
	{ "", false },
};

static void check(int ok, const char *what, const char *name)
{
	if (!ok) {
		printf("%s: \"%s\"\n", what, name);
		failed = 1;
	}
}

int main(void)
{
	char out[PATH_MAX], longest[PATH_MAX + 2];
	struct err e;

	for (size_t i = 0; i < sizeof(clean) / sizeof(*clean); i++)
		check(name_clean(clean[i].name, out, &e) == 0 && strcmp(out, clean[i].clean) == 0, "clean",
		      clean[i].name);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		check(name_kind_of(kinds[i].name) == kinds[i].kind, "kind", kinds[i].name);
	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++)
		check(xattr_allowed(attributes[i].name) == attributes[i].allowed, "attribute", attributes[i].name);
	for (size_t i = 0; i < sizeof(longest) - 1; i++)
		longest[i] = i % 2 ? '/' : 'a';
	longest[PATH_MAX - 1] = '\0';
	check(name_clean(longest, out, &e) == 0, "longest path", "");
	longest[PATH_MAX - 1] = 'a';
	longest[PATH_MAX] = longest[PATH_MAX + 1] = '\0';
	check(name_clean(longest, out, &e) < 0 || strlen(out) < PATH_MAX, "path above the limit", "");
	memset(longest, 'a', NAME_MAX + 1);
	longest[NAME_MAX + 1] = '\0';
	check(name_clean(longest, out, &e) < 0, "name above the limit", "");
	longest[NAME_MAX] = '\0';
	check(name_clean(longest, out, &e) == 0, "longest name", "");
	return failed;
}
