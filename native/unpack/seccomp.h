/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KOBAKO_UNPACK_SECCOMP_H
#define KOBAKO_UNPACK_SECCOMP_H

#include "base/err.h"

/*
 * From now on only the system calls that unpacking needs; any other one ends the process (SIGSYS).
 * no_new_privs must be set. A small filter written by hand: it costs no library and no time.
 */
int seccomp_lock(struct err *e);

#endif
