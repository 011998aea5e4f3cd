/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who a container runs as: "name", "uid", "name:group", "uid:gid" against the image's own
 * /etc/passwd and /etc/group. Hostile input: the files come from the image.
 * A number is always an id and never a name; one that does not fit is refused, not looked up.
 * Sources: passwd(5), group(5); CRI api.proto, SupplementalGroupsPolicy; image-spec config.md, config.User.
 */
#ifndef KOBAKO_MONITOR_USER_H
#define KOBAKO_MONITOR_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Largest passwd or group file that is read, in bytes. */
#define USER_FILE_MAX (10u << 20)
/* Largest id: 2^31-1, as in every other runtime; above it ids turn negative in places. */
#define USER_ID_MAX 2147483647u
/* The kernel's NGROUPS_MAX. */
#define USER_GROUPS_MAX 65536u

struct user_request {
	const char *user;  /* "", "name", "uid", with ":group" or ":gid" */
	const char *group; /* "" or a gid that wins over the one of `user` */
	const uint32_t *extra; /* supplemental groups asked for */
	size_t extra_count;
	bool merge;        /* add the groups that the image's /etc/group lists the user in */
};

/* A file's text; a missing file is empty. */
struct user_file {
	const char *text;
	size_t len;
};

struct user {
	uint32_t uid, gid;
	uint32_t *gids; /* the primary gid first, no doubles; allocated */
	size_t gid_count;
	char name[256]; /* "": no line in passwd */
	char home[1024];
};

/* Pure. EINVAL with a sentence for an unknown user or group and for a number out of range. */
int user_resolve(const struct user_request *request, struct user_file passwd, struct user_file group, struct user *ret,
		 struct err *e);

/*
 * Reads /etc/passwd and /etc/group below rootfs_fd as in a chroot (links are resolved inside) and
 * resolves. A file that is not regular or larger than USER_FILE_MAX is EINVAL; nothing waits on a FIFO.
 */
int user_resolve_in(int rootfs_fd, const struct user_request *request, struct user *ret, struct err *e);

#endif
