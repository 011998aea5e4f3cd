/* SPDX-License-Identifier: Apache-2.0 */
/* Removal of whole trees that somebody hostile wrote. */
#ifndef KOBAKO_UNPACK_ERASE_H
#define KOBAKO_UNPACK_ERASE_H

#include "base/err.h"

/*
 * Removes `name` (one part, no slash) in dir_fd with all that is below it; a name that is not there is success.
 * Stays on its file system: what is mounted below is left alone, and so are the folders above it
 * (EBUSY). Follows no link. Memory and descriptors do not grow with depth or width: nested folders
 * are moved up to the top one before they are emptied, each once.
 */
int erase_at(int dir_fd, const char *name, struct err *e);

#endif
