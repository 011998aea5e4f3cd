/* SPDX-License-Identifier: Apache-2.0 */
/* uidMappings and gidMappings (config-linux.md, "User namespace mappings"; config.md, "Mounts"). */
#ifndef KOBAKO_SPEC_IDMAP_H
#define KOBAKO_SPEC_IDMAP_H

#include "spec/spec.h"

/* Both lists of n: neither or both, each line with a size, in range and over nobody else's ids. */
int spec_idmaps_parse(const struct jnode *n, struct spec_idmaps *ret, struct err *e);
void spec_idmaps_free(struct spec_idmaps *m);

#endif
