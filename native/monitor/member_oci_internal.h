/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files member_oci*.c. All but oci_note is for runners. */
#ifndef KOBAKO_MONITOR_MEMBER_OCI_INTERNAL_H
#define KOBAKO_MONITOR_MEMBER_OCI_INTERNAL_H

#include "monitor/member_oci.h"

/*
 * Where, in the mount namespace of a container with a user namespace, its bundle is for root of that. One for all:
 * outside it is empty.
 */
#define OCI_OPEN_BUNDLE "/run/kobako-bundle"

struct oci_create {
	struct member *m;
	const struct stdio *stdio;
	struct json_view shares;
	struct json_view cgroup;
	int start_fd;
};

/* A line of the monitor's log. */
void oci_note(const char *what, const struct err *e);

/* member_oci_place.c */

/* The pod's cgroup, of everything that a sandboxed runtime starts; else nothing. Before the mounts change. */
int oci_join_pod(struct err *e);
/* The place of each run for m: its mount namespace, and with a sandboxed runtime the pod's cgroup. */
int oci_enter(const struct member *m, struct err *e);
/* oci_enter, with all there that the program needs to find. */
int oci_make_place(const struct oci_create *w, const char *cgroup, struct err *e);

/* oci_record.c */

/* After a run that may have written the container's record, which some programs write in place: a copy is kept. */
void oci_keep_record(const struct member *m);
/* Before a run: the copy takes the place of a record that a killed one left half written. */
void oci_mend_record(const struct member *m);

/* member_oci_sandboxed.c */

/* Forks the process that is the container's init to the monitor: report->pid. */
int oci_stand_in(const struct oci_create *w, struct runner_report *report);
/* Lets a paused container go on, so that it can end. */
void oci_go_on(const struct member *m);

#endif
