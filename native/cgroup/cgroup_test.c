/* SPDX-License-Identifier: Apache-2.0 */
/* Which folder a container gets, where the hierarchies are, and (as root) what the kernel does with them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys.h"
#include "cgroup/internal.h"

static int failed;

#define CHECK(cond, ...)                                                  \
	do {                                                              \
		if (!(cond)) {                                            \
			printf("cgroup_test:%d: ", __LINE__);             \
			printf(__VA_ARGS__);                              \
			printf("\n");                                     \
			failed = 1;                                       \
		}                                                         \
	} while (0)

static void test_path(void)
{
	static const char *const good[][2] = {
		{ "/kubepods/pod1/c", "/kubepods/pod1/c" },
		{ "a/b", "/a/b" },
		{ "kubepods-burstable-pod1.slice:kobako:c1",
		  "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/kobako-c1.scope" },
		{ ":kobako:c1", "/system.slice/kobako-c1.scope" },
		{ "-.slice:p:n", "/p-n.scope" },
		{ "/with:colon:in/it", "/with:colon:in/it" },
	};
	static const char *const bad[] = { "/", "/a/../b", "..", "/a//b", "/a/", "/a/./b", "../../x", "/a\nb",
					   "a--b.slice:p:n", "x:p:n", "a.slice:p:", "a.slice:p/../..:n" };
	char path[CGROUP_PATH_MAX], *long_path = malloc(5002);
	struct err e = { 0 };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(cgroup_path(good[i][0], "id", path, &e) == 0 && !strcmp(path, good[i][1]), "%s gives %s (%s)", good[i][0],
		      path, e.step);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(cgroup_path(bad[i], "id", path, &e) < 0, "\"%s\" gives %s", bad[i], path);
	CHECK(cgroup_path(NULL, "id", path, &e) == 0 && !strcmp(path, "/id"), "default %s", path);
	memset(long_path, 'a', 5001);
	long_path[0] = '/';
	long_path[5001] = '\0';
	CHECK(cgroup_path(long_path, "id", path, &e) < 0, "5000 bytes");
	free(long_path);
}

static void test_mountinfo(void)
{
	static const char hybrid[] =
		"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
		"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
		"33 31 0:30 / /sys/fs/cgroup/my\\040mem rw - cgroup cgroup rw,memory\n"
		"34 31 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
		"35 31 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
		"36 31 0:30 / /other rw - cgroup cgroup rw,memory\n"
		"37 31 0:33 / /sys/fs/cgroup/mine rw - cgroup cgroup rw,name=mine\n";
	struct cgroup_host h;

	CHECK(cgroup_host_parse(hybrid, &h) == 0 && h.count == 5, "%d hierarchies", h.count);
	CHECK(cgroup_find(&h, CG_CPU) == 0 && cgroup_find(&h, CG_CPUACCT) == 0, "cpu,cpuacct");
	CHECK(!strcmp(h.list[cgroup_find(&h, CG_MEMORY)].mount, "/sys/fs/cgroup/my mem"), "escaped space");
	CHECK(cgroup_find(&h, CG_PIDS) == -1 && cgroup_find_v2(&h) == 3 && h.list[2].named && h.list[4].named && !strcmp(h.list[4].mount, "/sys/fs/cgroup/mine"),
	      "the others");
	CHECK(cgroup_host_parse("1 1 0:1 / / rw - ext4 /dev/x rw\n", &h) == -ENOENT, "no cgroups");
}

static void test_weight(void)
{
	CHECK(cgroup_weight(2) == 1 && cgroup_weight(1024) == 100 && cgroup_weight(262144) == 10000, "%llu",
	      (unsigned long long)cgroup_weight(1024));
	for (uint64_t s = 3; s < 262144; s += 97)
		CHECK(cgroup_weight(s) >= cgroup_weight(s - 1), "not rising at %llu", (unsigned long long)s);
}

static const char path[] = "/kobako-cgroup-test";

/* holding: has a child of its own that holds moves. */
static pid_t child_in(const char *where, bool with_sub, bool holding)
{
	struct cgroup_join j;
	struct err e = { 0 };
	pid_t pid;

	CHECK(cgroup_join_open(where, &j, &e) == 0, "%s", e.step);
	if (with_sub)
		CHECK(cgroup_create_sub(where, "exec-1", &j, &e) == 0, "%s", e.step);
	pid = cgroup_fork(&j);
	if (pid == 0) {
		if (cgroup_join_self(&j, &e) < 0 || (holding && cgroup_hold_moves(where, &e) < 0))
			_exit(1);
		for (;;)
			pause();
	}
	CHECK(pid > 0, "clone3: %s", strerror(errno));
	cgroup_join_close(&j);
	return pid;
}

/* Waits until the child has moved itself: it does so right after clone3. */
static void wait_for_members(size_t want)
{
	struct err e = { 0 };
	size_t count = 0;

	for (int i = 0; i < 2000 && count != want; i++) {
		pid_t *pids;

		if (i)
			poll(NULL, 0, 1);
		if (cgroup_pids(path, &pids, &count, &e) == 0)
			free(pids);
	}
	CHECK(count == want, "%zu members, expected %zu", count, want);
}

static void test_life(void)
{
	struct cgroup_made made;
	struct err e = { 0 };
	json_t *doc = json_pack("{s{sI} s{sI sI} s{si}}", "memory", "limit", (json_int_t)64 << 20, "cpu", "shares",
				(json_int_t)512, "quota", (json_int_t)50000, "pids", "limit", 50);
	struct jnode top = json_top(doc, "resources");
	uint64_t kills = 9;
	pid_t one, two;
	int status;

	CHECK(cgroup_create("/kobako-cgroup-test/a/b", &made, &e) == 0, "%s", e.step);
	cgroup_undo("/kobako-cgroup-test/a/b", &made);
	CHECK(cgroup_remove("/kobako-cgroup-test", 100, &e) == 0, "undo left something: %s", e.step);
	CHECK(cgroup_create(path, &made, &e) == 0, "%s", e.step);
	CHECK(cgroup_apply(path, &top, &e) == 0, "%s", e.step);
	json_object_set_new(json_object_get(doc, "memory"), "limit", json_integer(32 << 20));
	CHECK(cgroup_update(path, &top, &e) == 0, "%s", e.step);
	json_object_set_new(json_object_get(doc, "cpu"), "quota", json_string("x"));
	CHECK(cgroup_update(path, &top, &e) == -EINVAL && strstr(e.step, "resources.cpu.quota"), "%s", e.step);
	json_decref(doc);

	one = child_in(path, false, true);
	wait_for_members(2);
	kill(one, SIGKILL);
	CHECK(waitpid(one, &status, 0) == one && WIFSIGNALED(status), "it could not hold: status %d", status);
	wait_for_members(0); /* who holds ends with the caller */

	one = child_in(path, false, false);
	two = child_in(path, true, false);
	wait_for_members(2);
	CHECK(cgroup_remove(path, 0, &e) == -EBUSY, "a cgroup with members was removed");
	CHECK(cgroup_kill_all(path, &e) == 0, "%s", e.step);
	CHECK(waitpid(one, &status, 0) == one && WTERMSIG(status) == SIGKILL, "the first lives");
	CHECK(waitpid(two, &status, 0) == two && WTERMSIG(status) == SIGKILL, "the one in the sub-cgroup lives");
	CHECK(cgroup_oom_kills(path, &kills, &e) == 0 && kills == 0, "kills %llu %s", (unsigned long long)kills, e.step);
	CHECK(cgroup_await_moves(path, &e) == 0, "%s", e.step);
	CHECK(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0, "nobody could wait: status %d", status);
	wait_for_members(0);
	CHECK(cgroup_remove(path, 2000, &e) == 0, "%s", e.step);
	CHECK(cgroup_await_moves(path, &e) == -ENOENT, "waits in a cgroup that is gone");
	CHECK(cgroup_remove(path, 0, &e) == 0 && cgroup_kill_all(path, &e) == 0, "twice");
}

/* What a device program does is asked by opening nodes as a member of the cgroup. */
static void test_device_program(void)
{
	const struct device_rule rules[] = { { false, 'a', -1, -1, 7 }, { true, 'c', -1, -1, 4 }, { true, 'c', 1, 3, 7 },
					     { true, 'c', 1, 5, 2 },  { true, 'c', 1, -1, 2 },   { false, 'c', 1, 7, 2 } };
	const struct cgroup_host *host;
	struct cgroup_made made;
	struct cgroup_join j;
	struct err e = { 0 };
	const char *step = "";
	int i, dir, r, status;
	pid_t pid;

	host = cgroup_host(&e);
	i = host ? cgroup_find_v2(host) : -1;
	if (i < 0) {
		printf("cgroup_test: device program not tried: no cgroup v2\n");
		return;
	}
	CHECK(cgroup_create(path, &made, &e) == 0, "%s", e.step);
	dir = cgroup_open(host, i, path);
	r = device_program_attach(dir, rules, sizeof(rules) / sizeof(rules[0]), &step);
	CHECK(r == 0, "%s: %s", step, strerror(-r));
	r = device_program_attach(dir, rules, sizeof(rules) / sizeof(rules[0]), &step); /* replaces the first */
	CHECK(r == 0, "again: %s: %s", step, strerror(-r));
	CHECK(cgroup_join_open(path, &j, &e) == 0, "%s", e.step);
	pid = cgroup_fork(&j);
	if (pid == 0) {
		int bits = 0;

		if (cgroup_join_self(&j, &e) < 0)
			_exit(100);
		bits |= (open("/dev/null", O_RDWR) >= 0) << 0;
		bits |= (open("/dev/zero", O_RDWR) < 0 && errno == EPERM) << 1;
		bits |= (open("/dev/zero", O_RDONLY) >= 0) << 2;
		bits |= (open("/dev/urandom", O_RDONLY) >= 0) << 3; /* 1:* r */
		bits |= (open("/dev/full", O_RDONLY) < 0 && errno == EPERM) << 4; /* the last rule wins */
		bits |= (open("/dev/tty", O_RDONLY) < 0 && errno == EPERM) << 5;
		_exit(bits);
	}
	cgroup_join_close(&j);
	waitpid(pid, &status, 0);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0x3f, "devices: 0x%x", WEXITSTATUS(status));
	close(dir);
	CHECK(cgroup_remove(path, 2000, &e) == 0, "%s", e.step);
}

int main(void)
{
	struct err e;

	test_path();
	test_mountinfo();
	test_weight();
	if (geteuid() != 0 || !cgroup_host(&e)) {
		printf("cgroup_test: the kernel's part not tried: needs root and a cgroup filesystem\n");
		return failed;
	}
	test_life();
	test_device_program();
	return failed;
}
