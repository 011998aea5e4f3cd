/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles: compiled once, the same from the cache, with what they say enforced. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "container/internal.h"
#include "container/seccomp-emulate.h"

static int failed;

#define CHECK(cond, ...)                                                  \
	do {                                                              \
		if (!(cond)) {                                            \
			printf("seccomp_test:%d: ", __LINE__);            \
			printf(__VA_ARGS__);                              \
			printf("\n");                                     \
			failed = 1;                                       \
		}                                                         \
	} while (0)

static char cache[64];

static int prepare(const char *text, struct seccomp_filter *f, struct err *e)
{
	json_t *doc = NULL;
	int r = json_parse(text, strlen(text), &doc, e);

	if (r == 0)
		r = seccomp_prepare(doc, cache, f, e);
	json_decref(doc);
	return r;
}

static int cached(char *ret_name)
{
	DIR *d = opendir(cache);
	int n = 0;

	for (struct dirent *f; (f = readdir(d)); )
		if (f->d_name[0] != '.') {
			n++;
			snprintf(ret_name, 512, "%s/%s", cache, f->d_name);
		}
	closedir(d);
	return n;
}

/* A profile that allows what `seed` chooses of all calls, some of it by argument. */
static json_t *any_profile(unsigned int seed)
{
	json_t *allowed = json_array(), *counted = json_array(), *by_argument = json_array();

	srandom(seed);
	for (int nr = 0; nr < 470; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
		long dice = random() % 100;

		if (name && dice < 90)
			json_array_append_new(dice < 3 ? by_argument : dice < 5 ? counted : allowed, json_string(name));
		free(name);
	}
	json_array_append_new(counted, json_string("getpid"));
	json_array_append_new(by_argument, json_string("personality"));
	return json_pack("{s:s, s:[s,s,s], s:[{s:o,s:s},{s:o,s:s,s:i},{s:o,s:s,s:[{s:i,s:I,s:I,s:s},{s:i,s:I,s:s}]}]}",
			 "defaultAction", "SCMP_ACT_ERRNO", "architectures", "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32",
			 "syscalls", "names", allowed, "action", "SCMP_ACT_ALLOW", "names", counted, "action", "SCMP_ACT_ERRNO",
			 "errnoRet", 7, "names", by_argument, "action", "SCMP_ACT_ALLOW", "args", "index", 0, "value",
			 (json_int_t)0x7e020000, "valueTwo", (json_int_t)0, "op", "SCMP_CMP_MASKED_EQ", "index", 1, "value",
			 (json_int_t)1 << 33, "op", "SCMP_CMP_GT");
}

/* The short program answers as the long one, and is short. */
static void shortened(unsigned int seed)
{
	static const uint32_t architectures[] = { SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_AARCH64, 0 };
	json_t *profile = any_profile(seed);
	struct jnode n = json_top(profile, "linux.seccomp");
	struct sock_filter *made;
	struct seccomp_data data;
	struct err e = { 0 };
	char *bpf = NULL;
	size_t len = 0, short_len;

	CHECK(seccomp_compile(&n, &bpf, &len, &e) == 0, "profile %u: %s", seed, e.step);
	short_len = len / sizeof(*made);
	made = calloc(len, 1);
	if (!made)
		abort();
	memcpy(made, bpf, len);
	seccomp_shorten(made, &short_len);
	CHECK(short_len * sizeof(*made) < len / 2, "profile %u: %zu instructions of %zu", seed, short_len, len / sizeof(*made));
	for (size_t i = 0; i < sizeof(architectures) / sizeof(architectures[0]); i++)
		for (int args = 0; args < 4; args++) {
			data = (struct seccomp_data){ .arch = architectures[i],
						      .args = { args & 1 ? 0x7e020000 : 0, args & 2 ? 1ull << 34 : 1 } };
			CHECK(seccomp_agree((struct sock_filter *)bpf, len / sizeof(*made), made, short_len, &data),
			      "profile %u: architecture %x, call %d, arguments %d", seed, data.arch, data.nr, args);
		}
	free(made);
	free(bpf);
	json_decref(profile);
}

static void refused(const char *text, const char *where)
{
	struct seccomp_filter f;
	struct err e = { 0 };

	CHECK(prepare(text, &f, &e) < 0 && strstr(e.step, where), "%s: \"%s\"", text, e.step);
}

int main(void)
{
	static const char profile[] =
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\"],"
		"\"syscalls\":[{\"names\":[\"read\",\"write\",\"exit_group\",\"no_such_call\",\"rt_sigreturn\"],\"action\":\"SCMP_ACT_ALLOW\"},"
		"{\"names\":[\"personality\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,\"value\":8,\"op\":\"SCMP_CMP_EQ\"}]},"
		"{\"names\":[\"getpid\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":38},"
		"{\"names\":[\"getppid\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":1}]}";
	struct seccomp_filter first, second, third, kept;
	char name[512], command[128];
	struct err e = { 0 };
	int status;
	pid_t pid;

	strcpy(cache, "/tmp/seccomp_test.XXXXXX");
	if (!mkdtemp(cache))
		abort();
#if defined(__x86_64__)
	CHECK(prepare(profile, &first, &e) == 0 && first.prog.len > 0, "%s", e.step);
	CHECK(cached(name) == 1, "not in the cache");
	CHECK(prepare(profile, &second, &e) == 0 && second.prog.len == first.prog.len &&
		      !memcmp(first.prog.filter, second.prog.filter, first.prog.len * sizeof(struct sock_filter)),
	      "the cache gives another program");
	/* It is the file that is taken, whatever would be compiled: the second container pays for no compile. */
	if (truncate(name, (off_t)(3 * sizeof(struct sock_filter))))
		abort();
	CHECK(prepare(profile, &kept, &e) == 0 && kept.prog.len == 3, "compiled again");
	seccomp_filter_free(&kept);
	if (truncate(name, 5))
		abort();
	CHECK(prepare(profile, &third, &e) == 0 && third.prog.len == first.prog.len, "a broken file in the cache: %s", e.step);
	pid = fork();
	if (pid == 0) {
		int bits = 0;

		alarm(20); /* a wrong filter may leave us waiting */
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (seccomp_load_filter(&third, &e) < 0)
			_exit(100);
		bits |= (syscall(SYS_getpid) < 0 && errno == 38) << 0;
		bits |= (syscall(SYS_getppid) < 0 && errno == EPERM) << 1;
		bits |= (syscall(SYS_personality, 8) >= 0) << 2;
		bits |= (syscall(SYS_personality, 0) < 0 && errno == EPERM) << 3;
		bits |= (syscall(SYS_getuid) < 0 && errno == EPERM) << 4;
		bits |= (syscall(1000) < 0 && errno == ENOSYS) << 5; /* younger than the profile */
		syscall(SYS_exit_group, bits);
	}
	waitpid(pid, &status, 0);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0x3f, "enforced: status 0x%x", status);
	seccomp_filter_free(&first);
	seccomp_filter_free(&second);
	seccomp_filter_free(&third);
	for (unsigned int seed = 1; seed <= 8; seed++)
		shortened(seed);
#else
	printf("seccomp_test: enforcement not tried: written for amd64\n");
	(void)pid, (void)status, (void)profile, (void)name, (void)first, (void)second, (void)third, (void)kept;
#endif
	refused("{}", "linux.seccomp.defaultAction: is missing");
	refused("{\"defaultAction\":\"SCMP_ACT_NO\"}", "is no action");
	refused("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"X\"]}", "architectures[0]");
	refused("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"X\"]}", "flags[0]");
	refused("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ERRNO\","
		"\"args\":[{\"index\":9,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}]}", "syscalls[0].args[0]");
	snprintf(command, sizeof(command), "rm -rf %s", cache);
	if (system(command))
		failed = 1;
	return failed;
}
