/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image layers as the user namespace of a pod sees them. An overlay can't be id-mapped itself; the folders below it can
 * be, each as a mount of its own (since 5.19). Its upper folder belongs to the mapped root from the beginning.
 */
#ifndef KOBAKO_MONITOR_MAPPED_LAYERS_H
#define KOBAKO_MONITOR_MAPPED_LAYERS_H

#include "base/err.h"
#include "monitor/json_view.h"
#include "monitor/prepare.h"

struct mapped_layers {
	int fds[PREPARE_LAYERS_MAX]; /* topmost first; an overlay finds them at /proc/self/fd */
	int count;
};

/*
 * In a runner, in a mount namespace of its own: layers (paths, topmost first) mapped by a user namespace. An overlay
 * takes only mounts that are somewhere in the namespace: until mapped_layers_release they are one over the other at
 * the folder `at`, which is made. An error names the layer.
 */
int mapped_layers_open(struct json_view lower, int user_fd, const char *at, struct mapped_layers *ret, struct err *e);

/* When the overlay has its own of them. Closes the descriptors and removes the folder. */
int mapped_layers_release(struct mapped_layers *l, const char *at, struct err *e);

/*
 * In a process that is to end: whether an overlay of mapped layers can be mounted here, tried with two folders of the
 * filesystems that layers and snapshots are on. Nothing is written.
 */
int mapped_layers_probe(const char *const folders[2], struct err *e);

#endif
