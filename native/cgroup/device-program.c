/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device list of cgroup v2: a BPF program that the kernel asks at mknod and open.
 * The last rule that matches wins, so the program goes through the list from its end and returns at
 * the first match: no state, no loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cgroup/internal.h"

/* Instructions used here (bpf(2), Documentation/bpf/standardization/instruction-set.rst). */
#define LOAD32(dst, src, at) \
	((struct bpf_insn){ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = dst, .src_reg = src, .off = at })
#define ALU32_IMM(op, dst, value) ((struct bpf_insn){ .code = BPF_ALU | op | BPF_K, .dst_reg = dst, .imm = value })
#define ALU32_REG(op, dst, src) ((struct bpf_insn){ .code = BPF_ALU | op | BPF_X, .dst_reg = dst, .src_reg = src })
#define JUMP_NE(dst, value, skip) \
	((struct bpf_insn){ .code = BPF_JMP32 | BPF_JNE | BPF_K, .dst_reg = dst, .off = skip, .imm = value })
#define EXIT() ((struct bpf_insn){ .code = BPF_JMP | BPF_EXIT })

enum { REG_RESULT = 0, REG_CTX = 1, REG_TYPE = 2, REG_ACCESS = 3, REG_MAJOR = 4, REG_MINOR = 5, REG_SCRATCH = 6,
       MAX_PER_RULE = 8, HEAD = 6, TAIL = 2, MAX_RULES = 4000 };

static size_t head(struct bpf_insn *p)
{
	size_t n = 0;

	/* access_type: access in the upper, device type in the lower 16 bits. */
	p[n++] = LOAD32(REG_TYPE, REG_CTX, offsetof(struct bpf_cgroup_dev_ctx, access_type));
	p[n++] = ALU32_REG(BPF_MOV, REG_ACCESS, REG_TYPE);
	p[n++] = ALU32_IMM(BPF_AND, REG_TYPE, 0xffff);
	p[n++] = ALU32_IMM(BPF_RSH, REG_ACCESS, 16);
	p[n++] = LOAD32(REG_MAJOR, REG_CTX, offsetof(struct bpf_cgroup_dev_ctx, major));
	p[n++] = LOAD32(REG_MINOR, REG_CTX, offsetof(struct bpf_cgroup_dev_ctx, minor));
	return n;
}

static size_t add_rule(struct bpf_insn *p, const struct device_rule *rule)
{
	size_t jumps[4], count = 0, n = 0;

	if (rule->type != 'a') {
		jumps[count++] = n;
		p[n++] = JUMP_NE(REG_TYPE, rule->type == 'c' ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK, 0);
	}
	if (rule->access != (BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD)) {
		/* An allowance covers a request when it has all of it, a denial when it has any of it. */
		p[n++] = ALU32_REG(BPF_MOV, REG_SCRATCH, REG_ACCESS);
		if (rule->allow) {
			p[n++] = ALU32_IMM(BPF_AND, REG_SCRATCH, ~rule->access & 0xffff);
			jumps[count++] = n;
			p[n++] = JUMP_NE(REG_SCRATCH, 0, 0);
		} else {
			p[n++] = ALU32_IMM(BPF_AND, REG_SCRATCH, rule->access);
			jumps[count++] = n;
			p[n] = JUMP_NE(REG_SCRATCH, 0, 0);
			p[n++].code = BPF_JMP32 | BPF_JEQ | BPF_K;
		}
	}
	if (rule->major >= 0) {
		jumps[count++] = n;
		p[n++] = JUMP_NE(REG_MAJOR, (int)rule->major, 0);
	}
	if (rule->minor >= 0) {
		jumps[count++] = n;
		p[n++] = JUMP_NE(REG_MINOR, (int)rule->minor, 0);
	}
	p[n++] = ALU32_IMM(BPF_MOV, REG_RESULT, rule->allow);
	p[n++] = EXIT();
	for (size_t i = 0; i < count; i++)
		p[jumps[i]].off = (short)(n - jumps[i] - 1);
	return n;
}

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* Detaches what was there before: with BPF_F_ALLOW_MULTI an older list would stay in force beside the new one. */
static void detach_old(int cgroup, const unsigned int *old, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		union bpf_attr attr = { .prog_id = old[i] };
		int prog = bpf(BPF_PROG_GET_FD_BY_ID, &attr);

		if (prog < 0)
			continue;
		memset(&attr, 0, sizeof(attr));
		attr.target_fd = (unsigned int)cgroup;
		attr.attach_bpf_fd = (unsigned int)prog;
		attr.attach_type = BPF_CGROUP_DEVICE;
		bpf(BPF_PROG_DETACH, &attr);
		close(prog);
	}
}

int device_program_attach(int cgroup_fd, const struct device_rule *rules, size_t count, const char **ret_step)
{
	cleanup_free struct bpf_insn *p = NULL;
	cleanup_fd int prog = -1, cgroup = -1;
	unsigned int old[64];
	union bpf_attr attr = { 0 };
	unsigned int old_count = 0;
	size_t n;

	*ret_step = "build the device program";
	if (count > MAX_RULES)
		return -E2BIG;
	p = calloc(HEAD + TAIL + count * MAX_PER_RULE + 2, sizeof(*p));
	if (!p)
		return -ENOMEM;
	n = head(p);
	for (size_t i = count; i > 0; i--) {
		n += add_rule(p + n, &rules[i - 1]);
		/* A rule for everything ends the program: the verifier refuses code that is never reached. */
		if (rules[i - 1].type == 'a' && rules[i - 1].access == 7 && rules[i - 1].major < 0 && rules[i - 1].minor < 0)
			goto built;
	}
	p[n++] = ALU32_IMM(BPF_MOV, REG_RESULT, 0);
	p[n++] = EXIT();
built:
	*ret_step = "load the device program";
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)p;
	attr.insn_cnt = (unsigned int)n;
	attr.license = (uint64_t)(uintptr_t)"Apache-2.0";
	memcpy(attr.prog_name, "kobako_devices", 15);
	prog = bpf(BPF_PROG_LOAD, &attr);
	if (prog < 0)
		return -errno;

	*ret_step = "attach the device program";
	cgroup = openat(cgroup_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0)
		return -errno;
	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (unsigned int)cgroup;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uint64_t)(uintptr_t)old;
	attr.query.prog_cnt = sizeof(old) / sizeof(old[0]);
	if (bpf(BPF_PROG_QUERY, &attr) == 0)
		old_count = attr.query.prog_cnt;
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (unsigned int)cgroup;
	attr.attach_bpf_fd = (unsigned int)prog;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (bpf(BPF_PROG_ATTACH, &attr) < 0)
		return -errno;
	detach_old(cgroup, old, old_count);
	return 0;
}
