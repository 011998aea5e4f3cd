/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses in use, on disk, in the reference host-local's own format, so that either can go on with
 * the other's state:
 *   <dataDir>/<network>/<address>            "<container id>\r\n<interface>" (older: the id alone)
 *   <dataDir>/<network>/last_reserved_ip.N   the last address given out of range set N
 *   <dataDir>/<network>/lock                 flock(2) around every change
 * A file that is empty or holds no container id is what a power cut leaves (plugins#498): with the
 * lock held nobody is writing it, so the address is free and GC removes the file.
 */
#ifndef KOBAKO_CNI_LEASE_H
#define KOBAKO_CNI_LEASE_H

#include "addr.h"
#include "base/err.h"

struct leases {
	int dir_fd;
	int lock_fd;
};

/* Opens and locks; makes the folder when `make`. Without it a missing folder is -ENOENT. */
int leases_open(const char *data_dir, const char *network, bool make, struct leases *ret, struct err *e);
void leases_close(struct leases *l);
#define cleanup_leases __attribute__((cleanup(leases_close)))

enum lease_owner { LEASE_BROKEN, LEASE_OTHER, LEASE_OWN };

/* Who owns a file with these bytes, as seen by (id, ifname). Pure. */
enum lease_owner lease_owner(const char *data, size_t len, const char *id, const char *ifname);

/* 1: taken now; 0: somebody has it; -errno. */
int lease_take(struct leases *l, const struct ip *a, size_t set, const char *id, const char *ifname, struct err *e);

/* The last address given out of a set; family 0: not known. */
struct ip lease_last(struct leases *l, size_t set);

/* Sees every address file; a negative answer ends the walk. */
typedef int (*lease_visit)(struct leases *l, const char *name, const char *data, size_t len, void *arg);
int leases_walk(struct leases *l, lease_visit visit, void *arg, struct err *e);

/* Gives back all addresses of (id, ifname); *ret_count may be NULL. None is success. */
int lease_release(struct leases *l, const char *id, const char *ifname, size_t *ret_count, struct err *e);

#endif
