/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where and when a process runs: scheduler, ioPriority, execCPUAffinity (config.md, "Linux Process") and
 * linux.memoryPolicy (config-linux.md, "Memory policy").
 */
#ifndef KOBAKO_SPEC_PLACEMENT_H
#define KOBAKO_SPEC_PLACEMENT_H

#include "spec/spec.h"

/* The scheduler, ioPriority and execCPUAffinity of a process object. */
int spec_placement_parse(const struct jnode *process, struct spec_process *p, struct err *e);
int spec_memory_policy_parse(const struct jnode *linux_, struct spec_memory_policy *ret, struct err *e);
/* The words of linux.memoryPolicy that are known, NULL after the last. */
const char *spec_memory_mode_name(size_t i);
const char *spec_memory_flag_name(size_t i);

#endif
