/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address management for an interface plugin: host-local by a call when CNI_PATH leads to this very
 * program, any other plugin by exec (CNI specification, "Delegated plugins").
 */
#ifndef KOBAKO_CNI_DELEGATE_H
#define KOBAKO_CNI_DELEGATE_H

#include "result.h"

struct delegate {
	struct cni_call *call;
	const char *type;      /* ipam.type; NULL: none */
	char path[4096];       /* of the plugin, when it is not us */
	bool own;
	json_t *answer;        /* what result's strings belong to */
};

/* Finds the plugin of ipam.type; a missing or unsafe name is an error. ipam absent: type NULL. */
int delegate_open(struct cni_call *call, struct delegate *ret, struct err *e);
void delegate_close(struct delegate *d);
#define cleanup_delegate __attribute__((cleanup(delegate_close)))

int delegate_add(struct delegate *d, struct result *ret, struct err *e);
/* DEL, CHECK, GC or STATUS, as the call's command says; after a failed ADD: DEL. */
int delegate_run(struct delegate *d, enum cni_command command, struct err *e);

#endif
