/* SPDX-License-Identifier: Apache-2.0 */
#include "idmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* user_namespaces(7): lines per map, since 4.15. */
enum { LINES_MAX = 340 };

static bool overlap(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size)
{
	return a < (uint64_t)b + b_size && b < (uint64_t)a + a_size;
}

static int parse_line(const struct jnode *n, struct spec_idmap *ret, struct err *e)
{
	static const char *const keys[] = { "containerID", "hostID", "size" };
	uint32_t *values[] = { &ret->inside, &ret->outside, &ret->size };
	int r = json_want_object(n, e);

	for (int i = 0; r == 0 && i < 3; i++) {
		if (!json_get(n, keys[i]).value)
			return json_refuse(n, e, "%s is missing", keys[i]);
		r = json_u32(n, keys[i], values[i], e);
	}
	if (r < 0)
		return r;
	if (!ret->size)
		return json_refuse(n, e, "size is 0");
	/* The last id, 4294967295, is none. */
	if ((uint64_t)ret->inside + ret->size > UINT32_MAX || (uint64_t)ret->outside + ret->size > UINT32_MAX)
		return json_refuse(n, e, "goes beyond the last id");
	return 0;
}

static int parse_list(const struct jnode *n, const char *key, struct spec_idmap **ret, size_t *ret_count, struct err *e)
{
	struct jnode list = json_get(n, key);
	int r = json_want_array(&list, e);

	if (r < 0 || !json_count(&list))
		return r;
	if (json_count(&list) > LINES_MAX)
		return json_refuse(&list, e, "more than %d lines", LINES_MAX);
	*ret = calloc(json_count(&list), sizeof(**ret));
	if (!*ret)
		return err_set(e, ENOMEM, "read %s", key);
	for (size_t i = 0; i < json_count(&list); i++) {
		struct jnode item = json_item(&list, i);
		const struct spec_idmap *m = &(*ret)[i];

		if ((r = parse_line(&item, &(*ret)[i], e)) < 0)
			return r;
		for (size_t j = 0; j < i; j++) {
			const struct spec_idmap *other = &(*ret)[j];

			if (overlap(m->inside, m->size, other->inside, other->size) ||
			    overlap(m->outside, m->size, other->outside, other->size))
				return json_refuse(&item, e, "maps ids of another line again");
		}
		(*ret_count)++;
	}
	return 0;
}

int spec_idmaps_parse(const struct jnode *n, struct spec_idmaps *ret, struct err *e)
{
	int r;

	if ((r = parse_list(n, "uidMappings", &ret->uids, &ret->uid_count, e)) < 0 ||
	    (r = parse_list(n, "gidMappings", &ret->gids, &ret->gid_count, e)) < 0)
		return r;
	if (!ret->uid_count != !ret->gid_count)
		return json_refuse(n, e, "%s is given without %s", ret->uid_count ? "uidMappings" : "gidMappings",
				   ret->uid_count ? "gidMappings" : "uidMappings");
	return 0;
}

void spec_idmaps_free(struct spec_idmaps *m)
{
	free(m->uids);
	free(m->gids);
	memset(m, 0, sizeof(*m));
}
