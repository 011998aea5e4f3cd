/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KOBAKO_MONITOR_SEAL_H
#define KOBAKO_MONITOR_SEAL_H

/*
 * Runs this program again from a detached, read-only mount of its own file, unless it runs from a
 * read-only mount already. /proc/<pid>/exe of the monitor and of all its children then can't be
 * opened for writing (EROFS), whatever a container manages to do (CVE-2019-5736), and the pages are
 * the same as of the file on disk. Where the kernel refuses, it goes on unsealed and says so once.
 */
void seal_own_file(char *argv[]);

#endif
