/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kobako-pause: the program of a sandbox's own container, where a runtime needs one (gVisor, VMs).
 * Reaps what the containers of a shared PID namespace leave to PID 1, and ends by SIGTERM or SIGINT.
 */
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>

int main(void)
{
	sigset_t set;
	int sig = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	while (sig != SIGTERM && sig != SIGINT) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (sigwait(&set, &sig) != 0)
			return 1;
	}
	return 0;
}
