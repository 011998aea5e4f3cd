/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as hex digits, two of each, lower case: how they are told in JSON. */
#ifndef KOBAKO_MONITOR_HEX_H
#define KOBAKO_MONITOR_HEX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "monitor/json_view.h"
#include "monitor/text.h"

/* The bytes that a text says. Returns their number; -EINVAL: no hex, or more than `max`; -ENOMEM. */
ssize_t hex_take(struct json_view v, uint8_t *ret, size_t max);

void hex_put(struct text *t, const void *bytes, size_t len);

#endif
