/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes that a layer may bring, and the one that marks an opaque folder. */
#ifndef KOBAKO_UNPACK_XATTR_H
#define KOBAKO_UNPACK_XATTR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define XATTR_ACL_ACCESS "system.posix_acl_access"
#define XATTR_ACL_DEFAULT "system.posix_acl_default"

/*
 * True for what a layer may set: file capabilities, POSIX ACLs, and user.* apart from overlayfs's own.
 * Everything else (trusted.*, other security.*, storage control data of any driver) is left out.
 */
bool xattr_allowed(const char *name);

/*
 * Sets one allowed attribute on fd. Returns 1 when the file system has no such attributes and the
 * attribute is one that may be missing (user.*); a capability or an ACL that can't be set is an error.
 */
int xattr_set(int fd, const char *name, const void *value, size_t size, struct err *e);

/* Copies all allowed attributes. */
int xattr_copy(int from_fd, int to_fd, struct err *e);

/* Marks a folder opaque for an overlay mounted with `userxattr`: what lower layers have in it is hidden. */
int xattr_set_opaque(int dir_fd, struct err *e);
bool xattr_is_opaque(int dir_fd);

#endif
