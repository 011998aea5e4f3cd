/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration is read whole and in range, or refused with the place named. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "spec/caps.h"
#include "spec/mount-options.h"
#include "spec/spec.h"

static int failed;

#define CHECK(cond, ...)                                                  \
	do {                                                              \
		if (!(cond)) {                                            \
			printf("spec_test:%d: ", __LINE__);               \
			printf(__VA_ARGS__);                              \
			printf("\n");                                     \
			failed = 1;                                       \
		}                                                         \
	} while (0)

#define HEAD "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"rootfs\"},"
#define PROCESS(extra) HEAD "\"process\":{\"cwd\":\"/\",\"args\":[\"x\"]" extra "}}"
#define LINUX(text) HEAD "\"linux\":{" text "}}"

static void refused(const char *text, const char *where)
{
	struct err e = { 0 };
	struct spec s;
	int r = spec_parse(text, strlen(text), &s, &e);

	CHECK(r == -EINVAL && strstr(e.step, where), "%s: %d \"%s\", expected \"%s\"", text, r, e.step, where);
	if (r == 0)
		spec_free(&s);
}

static void test_full(void)
{
	static const char text[] = "{\"ociVersion\":\"1.1.0\",\"root\":{\"path\":\"/r\",\"readonly\":true},\"hostname\":\"h\","
		"\"process\":{\"terminal\":true,\"consoleSize\":{\"height\":24,\"width\":80},\"cwd\":\"/w\",\"args\":[\"a\",\"b\"],"
		"\"env\":[\"A=1\"],\"user\":{\"uid\":1000,\"gid\":100,\"umask\":23,\"additionalGids\":[1,2]},"
		"\"capabilities\":{\"bounding\":[\"CAP_CHOWN\",\"CAP_CHECKPOINT_RESTORE\"],\"permitted\":[\"CAP_CHOWN\"],"
		"\"effective\":[\"CAP_CHOWN\"]},\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":1,\"hard\":18446744073709551615}],"
		"\"noNewPrivileges\":true,\"oomScoreAdj\":-5},"
		"\"mounts\":[{\"destination\":\"/d\",\"type\":\"bind\",\"source\":\"/s\",\"options\":[\"rbind\",\"ro\"]}],"
		"\"hooks\":{\"poststop\":[{\"path\":\"/h\",\"args\":[\"h\"],\"env\":[\"X=1\"],\"timeout\":5}]},"
		"\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"network\",\"path\":\"/n\"}],\"cgroupsPath\":\"/c\","
		"\"sysctl\":{\"net.x\":\"1\"},\"maskedPaths\":[\"/m\"],\"readonlyPaths\":[\"/o\"],\"rootfsPropagation\":\"rslave\","
		"\"devices\":[{\"path\":\"/dev/x\",\"type\":\"c\",\"major\":10,\"minor\":200,\"fileMode\":432,\"uid\":1,\"gid\":2}]}}";
	struct err e = { 0 };
	struct spec s;

	CHECK(spec_parse(text, strlen(text), &s, &e) == 0, "%s", e.step);
	if (failed)
		return;
	CHECK(s.process.uid == 1000 && s.process.umask == 23 && s.process.group_count == 2 && s.process.groups[1] == 2, "user");
	CHECK(s.process.caps.bounding == (1 | UINT64_C(1) << 40) && s.process.caps.effective == 1, "capabilities");
	CHECK(s.process.rlimits[0].hard == UINT64_MAX, "2^64-1 as a limit");
	CHECK(s.process.console_width == 80 && s.process.oom_score_adj == -5, "console, oom_score_adj");
	CHECK(s.mount_count == 1 && !strcmp(s.mounts[0].options[1], "ro") && !s.mounts[0].options[2], "mounts");
	CHECK(s.hooks[HOOK_POSTSTOP].count == 1 && s.hooks[HOOK_POSTSTOP].list[0].timeout_s == 5, "hooks");
	CHECK(spec_ns_new(&s, NS_MOUNT) && !spec_ns_new(&s, NS_NETWORK) && s.ns[NS_NETWORK].present, "namespaces");
	CHECK(s.rootfs_propagation == (MS_SLAVE | MS_REC), "propagation");
	CHECK(s.device_count == 1 && s.devices[0].mode == 0660 && s.sysctl_count == 1, "devices, sysctls");
	spec_free(&s);
}

static void test_refused(void)
{
	refused("{}", "ociVersion: is missing");
	refused("[]", "not an object");
	refused("{\"ociVersion\":\"2.0.0\"}", "not 1.x");
	refused("{\"ociVersion\":\"1.0.0\"}", "root.path: is missing");
	refused(HEAD "\"process\":{\"args\":[\"x\"]}}", "process.cwd: is missing");
	refused(HEAD "\"process\":{\"cwd\":\"x\",\"args\":[\"x\"]}}", "not absolute");
	refused(HEAD "\"process\":{\"cwd\":\"/\",\"args\":[]}}", "args is empty");
	refused(HEAD "\"process\":{\"cwd\":\"/\",\"args\":[1]}}", "process.args[0]: not a string");
	/* Identity: in range, and -1 is nobody. */
	refused(PROCESS(",\"user\":{\"uid\":-1}"), "process.user.uid");
	refused(PROCESS(",\"user\":{\"uid\":4294967295}"), "no user or group id");
	refused(PROCESS(",\"user\":{\"uid\":4294967296}"), "process.user.uid: above");
	refused(PROCESS(",\"user\":{\"uid\":1e3}"), "process.user.uid");
	refused(PROCESS(",\"user\":{\"uid\":\"0\"}"), "process.user.uid");
	refused(PROCESS(",\"user\":{\"additionalGids\":[4294967295]}"), "additionalGids[0]");
	refused(PROCESS(",\"capabilities\":{\"effective\":[\"CAP_CHOWN\"]}"), "more than permitted");
	refused(PROCESS(",\"capabilities\":{\"permitted\":[\"CAP_CHOWN\"],\"ambient\":[\"CAP_CHOWN\"]}"), "ambient");
	refused(PROCESS(",\"rlimits\":[{\"type\":\"RLIMIT_X\",\"soft\":1,\"hard\":1}]"), "rlimits[0]");
	refused(PROCESS(",\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":2,\"hard\":1}]"), "soft limit above");
	refused(PROCESS(",\"oomScoreAdj\":1001"), "oomScoreAdj");
	refused(LINUX("\"namespaces\":[{\"type\":\"x\"}]"), "linux.namespaces[0]");
	refused(LINUX("\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]"), "given twice");
	refused(LINUX("\"namespaces\":[{\"type\":\"pid\",\"path\":\"rel\"}]"), "not absolute");
	/* What can't be given is refused, never left out. */
	refused(LINUX("\"uidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":1}]"), "without gidMappings");
	refused(LINUX("\"timeOffsets\":{\"monotonic\":{\"secs\":1}}"), "no new time namespace");
	refused(LINUX("\"netDevices\":{\"eth0\":{}}"), "no network namespace");
	refused(LINUX("\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"3-1\"}"), "linux.memoryPolicy.nodes");
	refused(LINUX("\"maskedPaths\":[\"proc\"]"), "linux.maskedPaths[0]: \"proc\" is not absolute");
	refused(LINUX("\"intelRdt\":{\"closID\":\"../x\"}"), "is no name");
	refused(LINUX("\"intelRdt\":{\"memBwSchema\":\"MB:0=1\\nL3:0=f\"}"), "memBwSchema has more than one line");
	refused(LINUX("\"intelRdt\":{\"memBwSchema\":\"L3:0=f\"}"), "does not start with MB:");
	refused(PROCESS(",\"scheduler\":{\"policy\":\"SCHED_ISO\"}"), "process.scheduler.policy");
	refused(PROCESS(",\"execCPUAffinity\":{\"initial\":\"0,,1\"}"), "process.execCPUAffinity.initial");
	refused(HEAD "\"windows\":{}}", "windows: is for another platform");
	refused(HEAD "\"annotations\":{\"a\":1}}", "annotations.a: not a string");
	refused(LINUX("\"devices\":[{\"path\":\"x\",\"type\":\"c\"}]"), "not absolute");
	refused(LINUX("\"devices\":[{\"path\":\"/dev/x\",\"type\":\"z\"}]"), "no device type");
	refused(LINUX("\"rootfsPropagation\":\"x\""), "rootfsPropagation");
	refused(LINUX("\"sysctl\":{\"a\":1}"), "linux.sysctl.a: not a string");
	refused(HEAD "\"mounts\":[{\"type\":\"tmpfs\"}]}", "mounts[0].destination: is missing");
	refused(HEAD "\"hooks\":{\"prestart\":[{\"path\":\"rel\"}]}}", "hooks.prestart[0]");
	refused(HEAD "\"hooks\":{\"prestart\":[{\"path\":\"/x\",\"timeout\":0}]}}", "timeout");
}

static void test_options(void)
{
	static const char *const options[] = { "rbind", "ro", "nosuid", "rro", "noatime", "rslave", "size=1m", "sync",
					       "suid", NULL };
	static const char *const others[] = { "ridmap", "tmpcopyup", "remount", NULL };
	struct mount_options o;
	struct err e = { 0 };

	CHECK(mount_options_parse(options, &o, &e) == 0, "%s", e.step);
	CHECK(o.bind && o.recursive, "rbind");
	CHECK(o.set == (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME), "set %llx", (unsigned long long)o.set);
	CHECK(o.clear == (MOUNT_ATTR__ATIME | MOUNT_ATTR_NOSUID), "clear %llx", (unsigned long long)o.clear);
	CHECK(o.rec_set == MOUNT_ATTR_RDONLY && o.propagation == MS_SLAVE && o.propagation_rec, "rro, rslave");
	CHECK(!strcmp(o.data[0], "size=1m") && !strcmp(o.data[1], "sync") && !o.data[2], "data");
	mount_options_free(&o);
	CHECK(mount_options_parse(others, &o, &e) == 0, "%s", e.step);
	CHECK(o.idmap && o.ridmap && o.copy_up && o.remount && !o.data[0], "ridmap, tmpcopyup, remount");
	mount_options_free(&o);
}

static void test_caps(void)
{
	for (int i = 0; i < CAPS_KNOWN; i++)
		CHECK(caps_number(caps_name(i)) == i, "%d", i);
	CHECK(caps_number("CAP_CHOWN") == 0 && caps_number("CAP_SYS_ADMIN") == 21 && caps_number("CAP_CHECKPOINT_RESTORE") == 40,
	      "numbers of linux/capability.h");
	CHECK(caps_number("cap_chown") < 0 && caps_number("CHOWN") < 0 && caps_number("") < 0, "inexact names");
	CHECK(!caps_name(-1) && !caps_name(CAPS_KNOWN), "outside");
}

int main(void)
{
	test_full();
	test_refused();
	test_options();
	test_caps();
	return failed;
}
