/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of one OCI mount (config.md, "Linux mount options"; mount(8)), sorted by who takes them.
 */
#ifndef KOBAKO_SPEC_MOUNT_OPTIONS_H
#define KOBAKO_SPEC_MOUNT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct mount_options {
	bool bind, recursive;
	uint64_t set, clear;         /* MOUNT_ATTR_* of the mount itself */
	uint64_t rec_set, rec_clear; /* and of all mounts below it ("rro", "rnosuid", ...) */
	unsigned long propagation;   /* MS_PRIVATE, ... 0: none asked for */
	bool propagation_rec;
	bool idmap, ridmap;          /* the mount, and all below it, shows its files' owners by a map */
	bool copy_up;                /* a tmpfs starts with what is below it */
	bool remount;                /* changes the mount that is there already */
	const char **data;           /* for the filesystem: "size=64m", "newinstance", "sync"; ended by NULL */
};

/*
 * options: ended by NULL (NULL itself: none). Later options win over earlier ones, as in mount(8).
 * ret->data points at the given strings; mount_options_free() frees the list.
 */
int mount_options_parse(const char *const *options, struct mount_options *ret, struct err *e);
/* The i-th name that is known here ("ro", "rro", ...), for `features`; NULL: no more. */
const char *mount_options_name(size_t i);
void mount_options_free(struct mount_options *o);

#endif
