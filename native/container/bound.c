/* SPDX-License-Identifier: Apache-2.0 */
/* What an exec takes from its container's spec, flat; see container.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "container/internal.h"

/* False: no room. NULL is "". */
static bool copy(char *to, size_t size, const char *from)
{
	if (from && strlen(from) >= size)
		return false;
	strcpy(to, from ? from : "");
	return true;
}

void bound_from_spec(const struct spec *s, unsigned int seccomp_flags, struct container_bound *ret)
{
	const struct spec_process *p = &s->process;
	struct container_bound b = {
		.has_capabilities = p->caps.present,
		.no_new_privileges = p->no_new_privileges,
		.cgroup_namespace = s->ns[NS_CGROUP].present,
		.user_namespace = s->ns[NS_USER].present,
		.has_seccomp = s->seccomp != NULL,
		.uid = p->uid,
		.rlimit_count = (uint32_t)p->rlimit_count,
		.seccomp_flags = seccomp_flags,
		.has_oom_score_adj = p->has_oom_score_adj,
		.oom_score_adj = p->oom_score_adj,
		.umask = p->umask,
		.personality = s->personality,
		.bounding = p->caps.bounding,
		.effective = p->caps.effective,
		.inheritable = p->caps.inheritable,
		.permitted = p->caps.permitted,
		.ambient = p->caps.ambient,
	};

	*ret = (struct container_bound){ 0 };
	/* What is rare is read from the spec again. */
	if (s->rdt.present || s->ns[NS_TIME].present || s->memory_policy.present ||
	    p->exec_cpus_initial.present || p->exec_cpus_final.present)
		return;
	if (json_object_get(s->seccomp, "listenerPath")) /* the agent is told of each exec, with what the spec says */
		return;
	if (p->rlimit_count > sizeof(b.rlimits) / sizeof(b.rlimits[0]) ||
	    !copy(b.apparmor, sizeof(b.apparmor), p->apparmor_profile) ||
	    !copy(b.selinux, sizeof(b.selinux), p->selinux_label))
		return;
	for (size_t i = 0; i < p->rlimit_count; i++) {
		b.rlimits[i].resource = p->rlimits[i].resource;
		b.rlimits[i].soft = p->rlimits[i].soft;
		b.rlimits[i].hard = p->rlimits[i].hard;
	}
	if (s->seccomp)
		seccomp_cache_name(s->seccomp, b.seccomp);
	b.usable = true;
	*ret = b;
}

int bound_to_spec(const struct container_bound *b, struct spec *ret, struct err *e)
{
	struct spec_rlimit *rlimits = calloc(b->rlimit_count + 1, sizeof(*rlimits));

	if (!rlimits)
		return err_set(e, ENOMEM, "copy the rlimits");
	for (size_t i = 0; i < b->rlimit_count; i++)
		rlimits[i] = (struct spec_rlimit){ .name = spec_rlimit_name(b->rlimits[i].resource),
						   .resource = b->rlimits[i].resource,
						   .soft = b->rlimits[i].soft,
						   .hard = b->rlimits[i].hard };
	*ret = (struct spec){
		.has_process = true,
		.process = {
			.uid = b->uid,
			.caps = { .present = b->has_capabilities, .bounding = b->bounding, .effective = b->effective,
				  .inheritable = b->inheritable, .permitted = b->permitted, .ambient = b->ambient },
			.rlimits = rlimits,
			.rlimit_count = b->rlimit_count,
			.no_new_privileges = b->no_new_privileges,
			.has_oom_score_adj = b->has_oom_score_adj,
			.oom_score_adj = b->oom_score_adj,
			.umask = b->umask,
			.apparmor_profile = *b->apparmor ? b->apparmor : NULL,
			.selinux_label = *b->selinux ? b->selinux : NULL,
		},
		.ns[NS_CGROUP].present = b->cgroup_namespace,
		.ns[NS_USER].present = b->user_namespace,
		.personality = (long)b->personality,
	};
	return 0;
}
