/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kobako-oci tells: errors and warnings on stderr and, with --log, in that file as well, one line each, as text or
 * as JSON with the members of runc ({"level","msg","time"}), where engines look for the reason of a failure.
 */
#ifndef KOBAKO_RUNTIME_LOG_H
#define KOBAKO_RUNTIME_LOG_H

#include <stdbool.h>

#include "base/err.h"

/* path: --log, or NULL. format: "text", "json" or NULL. debug: log_debug says something. */
int log_open(const char *path, const char *format, bool debug, struct err *e);

/* Whether this descriptor is the log's: nobody is given it. */
bool log_has(int fd);

void log_error(const char *text);
void log_warning(const char *text);
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* "step: cause" with the cause as most programs write it: in lower case, as engines search for it. Returns buf. */
char *log_text(const struct err *e, char *buf, unsigned long size);

#endif
