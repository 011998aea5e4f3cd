/* SPDX-License-Identifier: Apache-2.0 */
/* The `linux` part of the configuration (config-linux.md). */
#ifndef KOBAKO_SPEC_LINUX_H
#define KOBAKO_SPEC_LINUX_H

#include "spec/spec.h"

int spec_linux_parse(const struct jnode *top, struct spec *s, struct err *e);

#endif
