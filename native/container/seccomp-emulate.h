/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: what a seccomp filter answers, by the instructions that libseccomp makes (seccomp(2), bpf's classic form). */
#pragma once
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* False: the program runs out of its end, or does what a filter may not. */
static inline bool seccomp_emulate(const struct sock_filter *p, size_t len, const struct seccomp_data *data, uint32_t *ret)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < len; pc++) {
		switch (p[pc].code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (p[pc].k % 4 || p[pc].k >= sizeof(*data))
				return false;
			memcpy(&a, (const char *)data + p[pc].k, 4);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= p[pc].k;
			break;
		case BPF_RET | BPF_K:
			*ret = p[pc].k;
			return true;
		case BPF_JMP | BPF_JA:
			pc += p[pc].k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == p[pc].k ? p[pc].jt : p[pc].jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += a > p[pc].k ? p[pc].jt : p[pc].jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= p[pc].k ? p[pc].jt : p[pc].jf;
			break;
		default:
			return false;
		}
	}
	return false;
}

/* Whether both answer alike for `data` and for each number around those that `p` compares with. False: *data is where not. */
static inline bool seccomp_agree(const struct sock_filter *p, size_t p_len, const struct sock_filter *q, size_t q_len,
				 struct seccomp_data *data)
{
	for (size_t i = 0; i <= p_len; i++)
		for (int d = -1; d <= 1; d++) {
			uint32_t x = 0, y = 1;

			if (i < p_len)
				data->nr = (int)(p[i].k + (uint32_t)d);
			if (!seccomp_emulate(p, p_len, data, &x) || !seccomp_emulate(q, q_len, data, &y) || x != y)
				return false;
		}
	return true;
}
