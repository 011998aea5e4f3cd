/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-bound resources: the compiler releases what a declaration names.
 *   cleanup_fd int fd = open(...);         closed at the end of the scope
 *   return take_fd(&fd);                   handed on: the scope no longer closes it
 */
#ifndef KOBAKO_BASE_CLEANUP_H
#define KOBAKO_BASE_CLEANUP_H

#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

static inline void cleanup_fd_func(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;

		close(*fd);
		errno = saved;
	}
}
#define cleanup_fd __attribute__((cleanup(cleanup_fd_func)))

static inline void cleanup_free_func(void *p)
{
	free(*(void **)p);
}
#define cleanup_free __attribute__((cleanup(cleanup_free_func)))

/* A path that is removed again unless the variable is set to NULL before. */
static inline void cleanup_unlink_func(const char **path)
{
	if (*path) {
		int saved = errno;

		unlink(*path);
		errno = saved;
	}
}
#define cleanup_unlink __attribute__((cleanup(cleanup_unlink_func)))

/* A child that is killed and reaped unless the variable is set to 0 or below. */
static inline void cleanup_child_func(pid_t *pid)
{
	if (*pid > 0) {
		int saved = errno;

		kill(*pid, SIGKILL);
		while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
			;
		errno = saved;
	}
}
#define cleanup_child __attribute__((cleanup(cleanup_child_func)))

/* Takes the descriptor out of its scope: the caller owns it now. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Takes the pointer out of its scope: the caller frees it now. */
static inline void *take_ptr(void *p)
{
	void *taken = *(void **)p;

	*(void **)p = NULL;
	return taken;
}

#endif
