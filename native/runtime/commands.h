/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of kobako-oci. Each returns its exit status, or -1 with *e set. */
#ifndef KOBAKO_RUNTIME_COMMANDS_H
#define KOBAKO_RUNTIME_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "runtime/options.h"
#include "runtime/state.h"

int command_create(const struct options *o, struct err *e);
int command_start(const struct options *o, struct err *e);
int command_run(const struct options *o, struct err *e);
int command_state(const struct options *o, struct err *e);
int command_kill(const struct options *o, struct err *e);
int command_delete(const struct options *o, struct err *e);
int command_exec(const struct options *o, struct err *e);
int command_list(const struct options *o, struct err *e);
int command_ps(const struct options *o, struct err *e);
int command_pause(const struct options *o, struct err *e);
int command_resume(const struct options *o, struct err *e);
int command_update(const struct options *o, struct err *e);
int command_events(const struct options *o, struct err *e);
int command_checkpoint(const struct options *o, struct err *e);
int command_restore(const struct options *o, struct err *e);
int command_features(const struct options *o, struct err *e);
int command_spec(const struct options *o, struct err *e);

/* --- delete.c ------------------------------------------------------------------------------------ */
/* Ends and removes a container that is locked; poststop hooks are run. */
int container_destroy(struct state *s, struct err *e);
/*
 * Gives back what a create or restore that never came to its end has left beside its folder. systemd: the driver, unless
 * it is known. What can't be given back is told in the log.
 */
void container_remains(const struct state *s, bool systemd);

/* --- process.c: what the commands that start a process share ------------------------------------------------ */

/* How many descriptors above stdio stay open for the process: $LISTEN_FDS (only with listen) and --preserve-fds. */
struct preserved {
	int count;
	char listen[32]; /* "LISTEN_FDS=2", or "" */
};
/* Before anything else is opened: a number that is not open yet would become one of ours. */
int preserve_fds(const struct options *o, bool listen, struct preserved *ret, struct err *e);

/* What is left to do for a process that runs: its pid into --pid-file, its pidfd to --pidfd-socket. */
int announce(const struct options *o, pid_t pid, struct err *e);

/*
 * Where a process, which may want a terminal, is to send it. *ret_console: given to the process, -1 without one;
 * *ret_peer: set to our end when the terminal is ours to attend. what: names in an error who wants it.
 */
int console_endpoint(const struct options *o, const char *what, bool terminal, bool detach, int *ret_console, int *ret_peer,
		     struct err *e);

/*
 * Before a process is made that will be attended to: a signal that comes meanwhile is its, and does not end us and leave
 * it alone. Its runner releases them first, or the process would have them blocked.
 */
void hold_signals(void);
void release_signals(void);

/*
 * Calls work(request, answer) in a child, which may change its namespaces; what stands in the answer then is in the
 * caller's. EPROTO when the child was killed meanwhile.
 */
int in_runner(void (*work)(const void *request, void *answer), const void *request, void *answer, size_t size,
	      struct err *e);

/* Our terminal's size for that of a process. */
void give_terminal_size(int master);

/*
 * Waits for a child of ours and passes signals on to it; with a terminal (master >= 0) its bytes and size too.
 * Returns its exit status as a shell gives it (128 + signal).
 */
int attend_process(pid_t pid, int master);

/* Writes a JSON value to stdout; takes the reference. NULL: no memory. */
int print_json(json_t *value, size_t flags, const char *end, struct err *e);

#endif
