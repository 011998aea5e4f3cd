/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources and annotations as properties of a unit: an array a(sv) under way. Pure. */
#ifndef KOBAKO_CGROUP_SYSTEMD_PROPERTIES_H
#define KOBAKO_CGROUP_SYSTEMD_PROPERTIES_H

#include "base/json.h"
#include "cgroup/dbus.h"

/* Begins one property; its value follows. */
void property(struct dbus_out *o, const char *name, const char *signature);
void property_string(struct dbus_out *o, const char *name, const char *value);
void property_bool(struct dbus_out *o, const char *name, bool value);
void property_u64(struct dbus_out *o, const char *name, uint64_t value);

/*
 * What of the resources systemd has a property for. v2: the host's controllers are in the v2 tree (names differ).
 * devices: the device list as well; it is then never narrower than linux.resources.devices.
 */
int properties_of_resources(struct dbus_out *o, const struct jnode *resources, bool v2, bool devices, struct err *e);

/* org.systemd.property.NAME: a value in GVariant's text form: true, 'text', uint64 5, 3, 1.5, ['a', 'b']. */
int properties_of_annotations(struct dbus_out *o, const struct jnode *annotations, struct err *e);

#endif
