/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KOBAKO_BASE_SEAL_H
#define KOBAKO_BASE_SEAL_H

#include "base/err.h"

/* Runs a program from a detached, read-only mount of its file. Returns -errno where the kernel refuses, and of scripts. */
int seal_exec(const char *path, char *const argv[], char *const envp[], struct err *e);

/*
 * Runs this program again from a detached, read-only mount of its own file, unless its file is on a
 * read-only mount already: then 0. /proc/PID/exe of it and of its children can't be opened for
 * writing (EROFS) from inside a container (CVE-2019-5736). Where the kernel refuses the mount (a caller without root's
 * rights) it is run from a sealed copy in memory, if its file is one that the caller, and so its containers, could
 * write; if not, 0. Returns -errno where that is refused, too.
 */
int seal_self(char *const argv[], char *const envp[], struct err *e);

#endif
