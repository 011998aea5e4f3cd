/* SPDX-License-Identifier: Apache-2.0 */
/* A container's process is that process and no other, whatever number and start time another one has. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/sys.h"
#include "runtime/state.h"

static int failed;

#define CHECK(cond, ...)                                                  \
	do {                                                              \
		if (!(cond)) {                                            \
			printf("state_test:%d: ", __LINE__);              \
			printf(__VA_ARGS__);                              \
			printf("\n");                                     \
			failed = 1;                                       \
		}                                                         \
	} while (0)

/* A process that waits to be killed, with this number (0: any). -1 with errno. */
static pid_t begin(pid_t pid)
{
	struct sys_clone_args args = { .exit_signal = SIGCHLD };
	pid_t made;

	if (pid) {
		args.set_tid = (uint64_t)(uintptr_t)&pid;
		args.set_tid_size = 1;
	}
	made = sys_clone3(&args);
	while (made == 0)
		pause();
	return made;
}

static pid_t begin_any(void)
{
	pid_t pid = begin(0);

	if (pid <= 0) {
		perror("state_test: clone");
		exit(1);
	}
	return pid;
}

static void end(pid_t pid)
{
	if (pid <= 1) /* -1 would be everybody */
		abort();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static bool is_init(const struct state *s)
{
	int fd = state_open_init(s);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Two processes of one number that began in one tick of the clock. */
static void test_reused_pid(void)
{
	enum { TRIES = 500 };
	struct state s = { .lock = -1 };

	for (int i = 0; i < TRIES; i++) {
		pid_t first = begin_any(), second;

		state_set_init(&s, first);
		CHECK(is_init(&s), "process %d is not itself", (int)first);
		if (!s.pidfd_inode) {
			printf("state_test: skipped: pids that are used again in one tick (no pidfs before Linux 6.9)\n");
			end(first);
			return;
		}
		end(first);
		CHECK(!is_init(&s), "process %d is there when it has ended", (int)first);
		second = begin(first);
		if (second < 0 && errno == EEXIST)
			continue; /* another process was faster */
		if (second < 0) {
			printf("state_test: skipped: a process of a chosen number: %s\n", strerror(errno));
			return;
		}
		if (process_start_time(second) != s.start_time) {
			CHECK(!is_init(&s), "a later process %d is taken for the one before it", (int)second);
			end(second);
			continue;
		}
		CHECK(!is_init(&s), "process %d is taken for the one before it, of the same tick", (int)second);
		CHECK(state_status(&s) == STATUS_STOPPED, "status %s", status_name(state_status(&s)));
		end(second);
		return;
	}
	printf("state_test: skipped: no two processes of one number began in one tick, %d tries\n", TRIES);
}

/* The state file outlives an upgrade: one without the inode is judged by the start time alone. */
static void test_earlier_file(const char *root)
{
	struct state made = { .lock = -1 }, s;
	pid_t pid = begin_any();
	struct err e = { 0 };
	char text[512];
	int len, r;

	CHECK(state_open(root, "c", &made, &e) == 0 && state_make(root, &made, &e) == 0, "%s", e.step);
	len = snprintf(text, sizeof(text),
		       "{\"ociVersion\":\"1.2.0\",\"pid\":%d,\"startTime\":%llu,\"bundle\":\"/b\",\"rootfs\":\"/b/rootfs\",\"cgroup\":\"\","
		       "\"created\":\"2025-01-01T00:00:00Z\",\"hooks\":0,\"ownPids\":true,\"systemd\":false}",
		       (int)pid, (unsigned long long)process_start_time(pid));
	CHECK(io_write_atomic_at(made.lock, "state.json", text, (size_t)len, 0600, &e) == 0, "%s", e.step);
	r = state_load(root, "c", &s, &e);
	CHECK(r == 0 && s.pid == pid && is_init(&s), "%d %s", r, e.step);
	state_close(&s);

	/* Written and read again by this build; with another inode it is another process. */
	made = (struct state){ .lock = made.lock, .bundle = "/b", .rootfs = "/b/rootfs", .oci_version = "1.2.0", .created = "now" };
	CHECK(state_open(root, "d", &s, &e) == 0, "%s", e.step);
	state_set_init(&made, pid);
	CHECK(state_save(&made, &e) == 0, "%s", e.step);
	r = state_load(root, "c", &s, &e);
	CHECK(r == 0 && s.pidfd_inode == made.pidfd_inode && is_init(&s), "%d %s", r, e.step);
	state_close(&s);
	if (made.pidfd_inode) {
		made.pidfd_inode++;
		CHECK(state_save(&made, &e) == 0, "%s", e.step);
		r = state_load(root, "c", &s, &e);
		CHECK(r == 0 && !is_init(&s) && state_status(&s) == STATUS_STOPPED, "another inode is the same process");
		state_close(&s);
	}
	end(pid);
	CHECK(state_open(root, "c", &s, &e) == 0, "%s", e.step);
	s.lock = made.lock;
	CHECK(state_remove(&s, &e) == 0, "%s", e.step);
	state_close(&s);
}

int main(void)
{
	char root[] = "/tmp/state_test-XXXXXX";

	CHECK(mkdtemp(root), "%s", strerror(errno));
	test_reused_pid();
	test_earlier_file(root);
	rmdir(root);
	return failed;
}
