/* SPDX-License-Identifier: Apache-2.0 */
/* On which CPUs, with which priority and from which memory nodes a process runs. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container/internal.h"

/* The argument of sched_setattr(2) as of 3.14. */
struct sys_sched_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

int process_schedule(const struct spec_process *p, struct err *e)
{
	const struct spec_scheduler *s = &p->scheduler;
	struct sys_sched_attr a = { .size = sizeof(a), .policy = s->policy, .flags = s->flags, .nice = s->nice,
				    .priority = (uint32_t)s->priority, .runtime = s->runtime,
				    .deadline = s->deadline, .period = s->period };

	if (s->present && syscall(SYS_sched_setattr, 0, &a, 0) < 0)
		return err_set(e, errno, "process.scheduler");
	if (p->io_priority.present &&
	    syscall(SYS_ioprio_set, 1 /* IOPRIO_WHO_PROCESS */, 0, p->io_priority.class << 13 | (int)p->io_priority.level) < 0)
		return err_set(e, errno, "process.ioPriority");
	return 0;
}

int process_memory_policy(const struct spec_memory_policy *policy, struct err *e)
{
	const unsigned long *nodes = policy->nodes.present ? policy->nodes.bits : NULL;

	/* maxnode is one more than the bits that are looked at (set_mempolicy(2), BUGS). */
	if (policy->present && syscall(SYS_set_mempolicy, policy->mode, nodes, nodes ? SPEC_SET_BITS + 1 : 0) < 0)
		return err_set(e, errno, "linux.memoryPolicy");
	return 0;
}

static int set_cpus(const struct spec_set *set, const char *what, struct err *e)
{
	if (syscall(SYS_sched_setaffinity, 0, sizeof(set->bits), set->bits) < 0)
		return err_set(e, errno, "process.execCPUAffinity.%s", what);
	return 0;
}

int process_initial_cpus(const struct spec_process *p, struct err *e)
{
	return p->exec_cpus_initial.present ? set_cpus(&p->exec_cpus_initial, "initial", e) : 0;
}

int process_cpus(const struct spec_process *p, struct err *e)
{
	struct spec_set all;

	if (p->exec_cpus_final.present)
		return set_cpus(&p->exec_cpus_final, "final", e);
	if (!p->exec_cpus_initial.present)
		return 0;
	/* Nothing said of later: all that the container's cpuset has. */
	memset(&all, 0xff, sizeof(all));
	return set_cpus(&all, "initial", e);
}
