/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/name.h"

#include <errno.h>
#include <string.h>

#define WHITEOUT ".wh."
#define BOOKKEEPING ".wh..wh."
#define OPAQUE ".wh..wh..opq"

int name_clean(const char *name, char ret[PATH_MAX], struct err *e)
{
	size_t used = 0;

	while (*name) {
		size_t n = strcspn(name, "/");

		if (n > NAME_MAX)
			return err_set(e, EBADMSG, "a name of %zu bytes is longer than a file system takes", n);
		if (n == 2 && name[0] == '.' && name[1] == '.') {
			while (used && ret[--used] != '/')
				;
		} else if (n && !(n == 1 && name[0] == '.')) {
			if (used + 1 + n >= PATH_MAX)
				return err_set(e, EBADMSG, "a path is longer than %d bytes", PATH_MAX - 1);
			if (used)
				ret[used++] = '/';
			memcpy(ret + used, name, n);
			used += n;
		}
		name += n;
		name += strspn(name, "/");
	}
	ret[used] = '\0';
	return 0;
}

const char *name_split(char *name, const char **ret_dir)
{
	char *slash = strrchr(name, '/');

	if (!slash) {
		*ret_dir = "";
		return name;
	}
	*slash = '\0';
	*ret_dir = name;
	return slash + 1;
}

const char *name_after_back(const char *rest)
{
	rest += strspn(rest, "/");
	return rest[0] == '.' && rest[1] == '.' && (rest[2] == '/' || rest[2] == '\0') ? rest + 2 : NULL;
}

enum name_kind name_kind_of(const char *name)
{
	const char *hit = strncmp(name, WHITEOUT, strlen(WHITEOUT)) == 0 ? name : strstr(name, "/" WHITEOUT);
	const char *base;

	if (!hit)
		return NAME_PLAIN;
	hit += *hit == '/';
	if (strncmp(hit, BOOKKEEPING, strlen(BOOKKEEPING)) == 0) {
		if (strcmp(hit, OPAQUE) == 0)
			return NAME_OPAQUE;
		return NAME_BOOKKEEPING;
	}
	if (strchr(hit, '/'))
		return NAME_BAD;
	base = hit + strlen(WHITEOUT);
	if (!*base || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
		return NAME_BAD;
	return NAME_WHITEOUT;
}
