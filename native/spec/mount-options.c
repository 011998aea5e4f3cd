/* SPDX-License-Identifier: Apache-2.0 */
#include "mount-options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"

enum kind { ATTR_SET, ATTR_CLEAR, ATTR_ATIME, PROPAGATION, BIND, RBIND, DATA, IGNORED, IDMAP, RIDMAP, COPY_UP, REMOUNT };

/* Attributes exist in a plain and, with an "r" in front, a recursive form ("ro", "rro"). */
static const struct {
	const char *name;
	enum kind kind;
	unsigned long value;
} table[] = {
	{ "ro", ATTR_SET, MOUNT_ATTR_RDONLY },
	{ "rw", ATTR_CLEAR, MOUNT_ATTR_RDONLY },
	{ "nosuid", ATTR_SET, MOUNT_ATTR_NOSUID },
	{ "suid", ATTR_CLEAR, MOUNT_ATTR_NOSUID },
	{ "nodev", ATTR_SET, MOUNT_ATTR_NODEV },
	{ "dev", ATTR_CLEAR, MOUNT_ATTR_NODEV },
	{ "noexec", ATTR_SET, MOUNT_ATTR_NOEXEC },
	{ "exec", ATTR_CLEAR, MOUNT_ATTR_NOEXEC },
	{ "nodiratime", ATTR_SET, MOUNT_ATTR_NODIRATIME },
	{ "diratime", ATTR_CLEAR, MOUNT_ATTR_NODIRATIME },
	{ "nosymfollow", ATTR_SET, MOUNT_ATTR_NOSYMFOLLOW },
	{ "symfollow", ATTR_CLEAR, MOUNT_ATTR_NOSYMFOLLOW },
	{ "relatime", ATTR_ATIME, MOUNT_ATTR_RELATIME },
	{ "norelatime", ATTR_ATIME, MOUNT_ATTR_RELATIME },
	{ "noatime", ATTR_ATIME, MOUNT_ATTR_NOATIME },
	{ "atime", ATTR_ATIME, MOUNT_ATTR_RELATIME },
	{ "strictatime", ATTR_ATIME, MOUNT_ATTR_STRICTATIME },
	{ "nostrictatime", ATTR_ATIME, MOUNT_ATTR_RELATIME },
	{ "private", PROPAGATION, MS_PRIVATE },
	{ "shared", PROPAGATION, MS_SHARED },
	{ "slave", PROPAGATION, MS_SLAVE },
	{ "unbindable", PROPAGATION, MS_UNBINDABLE },
	{ "bind", BIND, 0 },
	{ "rbind", RBIND, 0 },
	{ "sync", DATA, 0 },
	{ "dirsync", DATA, 0 },
	{ "lazytime", DATA, 0 },
	{ "mand", DATA, 0 },
	{ "iversion", DATA, 0 },
	{ "async", IGNORED, 0 },
	{ "nolazytime", IGNORED, 0 },
	{ "nomand", IGNORED, 0 },
	{ "noiversion", IGNORED, 0 },
	{ "loud", IGNORED, 0 },
	{ "silent", IGNORED, 0 },
	{ "defaults", IGNORED, 0 },
	{ "idmap", IDMAP, 0 },
	{ "ridmap", RIDMAP, 0 },
	{ "tmpcopyup", COPY_UP, 0 },
	{ "remount", REMOUNT, 0 },
};

static void apply(struct mount_options *o, enum kind kind, unsigned long value, bool rec)
{
	uint64_t *set = rec ? &o->rec_set : &o->set, *clear = rec ? &o->rec_clear : &o->clear;

	switch (kind) {
	case ATTR_SET:
		*set |= value;
		*clear &= ~value;
		break;
	case ATTR_CLEAR:
		*clear |= value;
		*set &= ~value;
		break;
	case ATTR_ATIME: /* an enumeration inside the flags, mount_setattr(2) wants its whole mask cleared */
		*clear |= MOUNT_ATTR__ATIME;
		*set = (*set & ~(uint64_t)MOUNT_ATTR__ATIME) | value;
		break;
	case PROPAGATION:
		o->propagation = value;
		o->propagation_rec = rec;
		break;
	case RBIND:
		o->recursive = true;
		/* fall through */
	case BIND:
		o->bind = true;
		break;
	case RIDMAP:
		o->ridmap = true;
		/* fall through */
	case IDMAP:
		o->idmap = true;
		break;
	case COPY_UP:
		o->copy_up = true;
		break;
	case REMOUNT:
		o->remount = true;
		break;
	default:
		break;
	}
}

static size_t find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!strcmp(name, table[i].name))
			break;
	return i;
}

int mount_options_parse(const char *const *options, struct mount_options *ret, struct err *e)
{
	const size_t none = sizeof(table) / sizeof(table[0]);
	struct mount_options o = { 0 };
	size_t count = 0, data = 0;

	while (options && options[count])
		count++;
	o.data = calloc(count + 1, sizeof(*o.data));
	if (!o.data)
		return err_set(e, ENOMEM, "read mount options");
	for (size_t i = 0; i < count; i++) {
		const char *name = options[i];
		size_t at = find(name);
		bool rec = false;

		if (at == none && name[0] == 'r') {
			at = find(name + 1);
			rec = at != none && table[at].kind <= PROPAGATION;
			if (!rec)
				at = none;
		}
		if (at == none || table[at].kind == DATA)
			o.data[data++] = name;
		else
			apply(&o, table[at].kind, table[at].value, rec);
	}
	*ret = o;
	return 0;
}

const char *mount_options_name(size_t i)
{
	const size_t count = sizeof(table) / sizeof(table[0]);
	static char recursive[24];

	if (i < count)
		return table[i].name;
	/* The recursive forms follow: of the first rows, which are sorted by kind. */
	i -= count;
	if (i >= count || table[i].kind > PROPAGATION)
		return NULL;
	recursive[0] = 'r';
	strcpy(recursive + 1, table[i].name);
	return recursive;
}

void mount_options_free(struct mount_options *o)
{
	free(o->data);
	memset(o, 0, sizeof(*o));
}
