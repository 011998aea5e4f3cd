/* SPDX-License-Identifier: Apache-2.0 */
/* What the unit tests of this room share: a call made from text, and a failing check that says where. */
#ifndef KOBAKO_CNI_TEST_H
#define KOBAKO_CNI_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

#define CHECK(what) \
	do { \
		if (!(what)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
			exit(1); \
		} \
	} while (0)

/* A parsed ADD of container "pod1"; call_free() it. */
static inline int test_call(struct cni_call *call, const char *text, struct err *e)
{
	*call = (struct cni_call){ .command = CNI_ADD, .id = "pod1", .netns = "/run/netns/x", .ifname = "eth0", .args = "", .path = "" };
	call->text = strdup(text);
	call->text_len = strlen(text);
	return call_parse(call, e);
}

#endif
