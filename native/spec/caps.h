/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability names and numbers (capabilities(7)).
 */
#ifndef KOBAKO_SPEC_CAPS_H
#define KOBAKO_SPEC_CAPS_H

#define CAPS_KNOWN 41 /* CAP_CHECKPOINT_RESTORE + 1 */

/* "CAP_NET_ADMIN" -> 12; -1: no such capability. Exact match, upper case, with the prefix. */
int caps_number(const char *name);

/* 12 -> "CAP_NET_ADMIN"; NULL when unknown. */
const char *caps_name(int number);

#endif
