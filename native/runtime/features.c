/* SPDX-License-Identifier: Apache-2.0 */
/* features (features.md of the runtime specification). True today, not a wish. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/path.h"
#include "container/container.h"
#include "runtime/commands.h"
#include "spec/caps.h"
#include "spec/mount-options.h"
#include "spec/placement.h"
#include "spec/spec.h"

static json_t *strings(const char *const *list)
{
	json_t *a = json_array();

	for (; *list; list++)
		json_array_append_new(a, json_string(*list));
	return a;
}

static json_t *names(const char *(*name)(size_t i))
{
	json_t *a = json_array();

	for (size_t i = 0; name(i); i++)
		json_array_append_new(a, json_string(name(i)));
	return a;
}

int command_features(const struct options *o, struct err *e)
{
	static const char *const architectures[] = {
		"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32",
		"SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64",
		"SCMP_ARCH_PPC64LE", "SCMP_ARCH_RISCV64", "SCMP_ARCH_S390", "SCMP_ARCH_S390X", "SCMP_ARCH_X32",
		"SCMP_ARCH_X86", "SCMP_ARCH_X86_64", NULL };
	static const char *const unsafe_annotations[] = { "org.systemd.property.", NULL };
	json_t *caps = json_array(), *namespaces = json_array(), *hooks = json_array(),
	       *mount_options = json_array(), *doc;
	const struct scmp_version *v = seccomp_version();
	char version[32];

	for (int i = 0; i < CAPS_KNOWN; i++)
		json_array_append_new(caps, json_string(caps_name(i)));
	for (int i = 0; i < NS_KINDS; i++)
		json_array_append_new(namespaces, json_string(spec_ns_names[i].type));
	for (size_t i = 0; mount_options_name(i); i++)
		json_array_append_new(mount_options, json_string(mount_options_name(i)));
	for (int i = 0; i < HOOK_KINDS; i++)
		json_array_append_new(hooks, json_string(spec_hook_names[i]));
	snprintf(version, sizeof(version), "%u.%u.%u", v->major, v->minor, v->micro);
	doc = json_pack("{ss ss so so s{so so s{sb sb sb sb sb} s{sb so so so so so} s{sb} s{sb} s{sb sb sb} s{so so} s{s{sb}} s{sb}} so s{ss ss}}",
			"ociVersionMin", "1.0.0", "ociVersionMax", "1.3.0", "hooks", hooks, "mountOptions",
			mount_options, "linux", "namespaces", namespaces, "capabilities", caps, "cgroup", "v1", 1,
			"v2", 1, "systemd", 1, "systemdUser", 0, "rdma", 1, "seccomp", "enabled", 1, "actions", names(container_seccomp_action),
			"operators", names(container_seccomp_operator), "archs", strings(architectures), "knownFlags", names(container_seccomp_flag),
			"supportedFlags", names(container_seccomp_flag), "apparmor", "enabled", 1, "selinux", "enabled", 1, "intelRdt",
			"enabled", 1, "schemata", 1, "monitoring", 1, "memoryPolicy", "modes", names(spec_memory_mode_name), "flags", names(spec_memory_flag_name),
			"mountExtensions", "idmap", "enabled", 1, "netDevices", "enabled", 1,
			"potentiallyUnsafeConfigAnnotations", strings(unsafe_annotations), "annotations",
			"io.kobako.version", KOBAKO_VERSION, "io.kobako.libseccomp.version", version);
	return print_json(doc, JSON_INDENT(4), "\n", e) < 0 ? -1 : 0;
}
