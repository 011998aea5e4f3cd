/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container holds of the world outside, which CRIU must not save but be told of: mounts from the host, stdio,
 * namespaces that were there before it. Their names at checkpoint stand in the image folder (external.json), so that
 * restore can say what they are now.
 */
#ifndef KOBAKO_RUNTIME_EXTERNAL_H
#define KOBAKO_RUNTIME_EXTERNAL_H

#include "runtime/criu.h"
#include "runtime/state.h"
#include "spec/spec.h"

#define EXTERNAL_FILE "external.json"

/* At checkpoint: adds the arguments and writes the file into `images`. */
int external_save(const struct state *s, const struct spec *spec, int images, struct criu *c, struct err *e);
/* At restore: adds the arguments; descriptors that CRIU inherits stay open for it. */
int external_load(const struct state *s, const struct spec *spec, int images, struct criu *c, struct err *e);

#endif
