/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program of an external OCI runtime (runc's command line): what the pod's containers are made with instead of
 * the bundled runtime. Here: how it is run. When, is member_oci.c's.
 *
 *   monitor            runner                              program
 *     fork ----------->  enters the container's mount namespace
 *                        fork, exec ----------------------->  absolute path, no environment, stdio alone
 *                        waits, kills what is over time
 *     <- report, pid     reads its pid file, its log          (ended)
 *
 * The runner is a subreaper: what the program leaves behind is the runner's child, killed when it failed, and the
 * monitor's child, by the runner's end, when it did not.
 */
#ifndef KOBAKO_MONITOR_OCI_H
#define KOBAKO_MONITOR_OCI_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "monitor/json_view.h"
#include "monitor/runner.h"

#define OCI_ARGS_MAX 48
#define OCI_FOR_EVER UINT64_MAX

/* What the program itself said; the system has no word to add. */
#define OCI_SAID EREMOTEIO

struct oci_program {
	char *path;          /* absolute; NULL: the runtime that is linked in */
	char **args;         /* before the command; ends with NULL */
	char *root;          /* where it keeps its state, as args say it */
	char *hide;          /* a mount that it must not see; NULL: none */
	uint64_t timeout_ms; /* of one run */
	bool systemd;        /* it has systemd make its cgroups: scopes in a slice */
	bool sealed;         /* run from a read-only mount of its file, as it else runs itself again (crun) */
	bool sandboxed;      /* its containers' processes are no processes of the host */
};

extern struct oci_program oci;

/* The member "runtime" of the start request; absent: the linked one. EINVAL names the field. */
int oci_parse(struct json_view v, struct oci_program *ret, struct err *e);
void oci_free(struct oci_program *p);

struct oci_run {
	const char *const *argv; /* the command and its arguments; ends with NULL */
	int stdio[3];            /* -1: the null device; of standard error: its log */
	const char *folder;      /* absolute: where it runs, and its log lies meanwhile */
	const char *ready;       /* name in folder: when that file is there the program is left running; NULL: to its end */
	uint64_t timeout_ms;     /* 0: the program's usual; OCI_FOR_EVER */
	bool tty;                /* stdio[0] becomes its controlling terminal */
	bool spares;             /* other children that the runner has live on when it fails */
};

/*
 * In a runner: what it forks from now on begins in this folder of cgroup version 2 (taken over; -1: where the runner
 * is). It can't move there itself without a long wait (cgroup.h).
 */
void oci_begin_in(int folder_fd);
pid_t oci_fork(void);

/*
 * In a runner. Returns 0 when it ended with exit code 0, or is ready: then *ret_pid (may be NULL) is its pid.
 * Else everything that it started is killed, and report->e and report->kind say what it said; report->killed: nothing,
 * because somebody killed it.
 */
int oci_run(const struct oci_run *run, pid_t *ret_pid, struct runner_report *report);

/* Pure: the reason in what a program wrote to its log and standard error (JSON lines or text), and its kind. */
void oci_reason(const char *text, size_t len, char *ret, size_t size, enum error_kind *ret_kind);

/* oci_files.c */

/* In the runner that ran the program: the number in a pid file, of a process that the program left behind. */
int oci_read_pid(const char *path, pid_t *ret, struct err *e);

/* A listening socket `name` in the working folder, for --console-socket. */
int oci_console_listen(const char *name, int *ret_fd, struct err *e);
/* The master that was sent to it. */
int oci_console_take(int sock, int *ret_master, struct err *e);

/*
 * Has the program begin (oci_begin_in) in the container's folder of the hierarchy that is hidden from it, made where it
 * is missing: what the program can't see it doesn't leave, and its container would stay in the monitor's cgroup there.
 */
int oci_hidden_cgroup(const char *cgroup, struct err *e);

/* oci_record.c */

/* Removes what the program keeps of a container; nothing there is success. */
int oci_remove_state(const char *id, struct err *e);
bool oci_has_state(const char *id);

#endif
