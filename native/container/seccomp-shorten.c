/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter made short. libseccomp compares the numbers of system calls one by one: 1,400 instructions for a usual
 * profile, which the kernel checks, converts and compiles whenever a process loads them, for 0.35 ms of each start and
 * each exec. What a filter decides by architecture and number alone is the same over ranges of numbers. Those are read
 * off the program by running it, and written anew as a search by halves:
 *
 *      load arch; is it A? is it B? ...            load the number; below 200? ...  -> return ALLOW
 *                                                                                   -> the part that reads arguments
 *
 * The parts that read arguments are taken over as they are, in their order, so that their jumps never get longer.
 * A program that does anything else before it reads arguments (libseccomp's never do) stays as it is.
 */
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "container/internal.h"

#define MAX_ARCHITECTURES 32
/* A conditional jump reaches 255 instructions; what comes between two targets' placing needs some. */
#define REACH 250

#define LOAD (BPF_LD | BPF_W | BPF_ABS)
#define RETURN (BPF_RET | BPF_K)
#define JUMP (BPF_JMP | BPF_JA)
#define EQUAL (BPF_JMP | BPF_JEQ | BPF_K)
#define ABOVE (BPF_JMP | BPF_JGT | BPF_K)
#define FROM (BPF_JMP | BPF_JGE | BPF_K)

/* What a filter decides about a system call. */
struct outcome {
	bool reads_arguments;
	uint32_t value; /* what is returned; else the instruction where the part that reads them begins */
};

struct range {
	uint32_t from; /* up to where the next one begins */
	struct outcome what;
};

struct shortening {
	const struct sock_filter *old;
	size_t len;
	uint32_t architectures[MAX_ARCHITECTURES];
	size_t architecture_count;
	uint32_t *points; /* where the outcome may change, rising */
	size_t point_count;
	struct range *ranges; /* of the architecture at hand */
	size_t range_count;
	/* The new program, last instruction first: a jump's target is there before the jump. */
	struct sock_filter *made;
	size_t made_len;
	size_t *moved; /* of an old instruction: where it is in `made`, SIZE_MAX: nowhere */
	struct {
		uint32_t value;
		size_t at;
	} returns[16]; /* the newest of each */
	size_t return_count;
};

static bool same(struct outcome a, struct outcome b)
{
	return a.reads_arguments == b.reads_arguments && a.value == b.value;
}

/* 0 is no architecture: what the filter says of those it does not know. False: it does what we don't follow. */
static bool decide(struct shortening *s, uint32_t architecture, uint32_t nr, struct outcome *ret)
{
	bool is_architecture = false;
	uint32_t a = 0;

	for (size_t pc = 0; pc < s->len; pc++) {
		const struct sock_filter *i = &s->old[pc];

		switch (i->code) {
		case LOAD:
			is_architecture = i->k == offsetof(struct seccomp_data, arch);
			if (!is_architecture && i->k != offsetof(struct seccomp_data, nr)) {
				*ret = (struct outcome){ true, (uint32_t)pc };
				return true;
			}
			a = is_architecture ? architecture : nr;
			break;
		case RETURN:
			*ret = (struct outcome){ false, i->k };
			return true;
		case JUMP:
			pc += i->k;
			break;
		case EQUAL:
			/* An unknown one meets all comparisons that there are. */
			if (is_architecture && architecture == 0) {
				size_t n = 0;

				while (n < s->architecture_count && s->architectures[n] != i->k)
					n++;
				if (n == MAX_ARCHITECTURES || i->k == 0)
					return false;
				s->architectures[n] = i->k;
				if (n == s->architecture_count)
					s->architecture_count++;
			}
			pc += a == i->k ? i->jt : i->jf;
			break;
		case ABOVE:
		case FROM:
			if (is_architecture)
				return false;
			pc += (i->code == ABOVE ? a > i->k : a >= i->k) ? i->jt : i->jf;
			break;
		default:
			return false;
		}
	}
	return false;
}

static int rising(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Each constant that is compared, and the number behind it. */
static void find_points(struct shortening *s)
{
	size_t n = 0, kept = 1;

	s->points[n++] = 0;
	for (size_t pc = 0; pc < s->len; pc++) {
		const struct sock_filter *i = &s->old[pc];

		if (i->code != EQUAL && i->code != ABOVE && i->code != FROM)
			continue;
		s->points[n++] = i->k;
		if (i->k < UINT32_MAX)
			s->points[n++] = i->k + 1;
	}
	qsort(s->points, n, sizeof(*s->points), rising);
	for (size_t i = 1; i < n; i++)
		if (s->points[i] != s->points[kept - 1])
			s->points[kept++] = s->points[i];
	s->point_count = kept;
}

static bool find_ranges(struct shortening *s, uint32_t architecture)
{
	s->range_count = 0;
	for (size_t i = 0; i < s->point_count; i++) {
		struct range r = { .from = s->points[i] };

		if (!decide(s, architecture, r.from, &r.what))
			return false;
		if (!s->range_count || !same(s->ranges[s->range_count - 1].what, r.what))
			s->ranges[s->range_count++] = r;
	}
	return true;
}

/* --- writing, from the end ----------------------------------------------------------------------- */

static size_t put(struct shortening *s, uint16_t code, uint32_t k)
{
	if (s->made_len < s->len) /* one that gets longer is of no use */
		s->made[s->made_len] = (struct sock_filter){ .code = code, .k = k };
	return s->made_len++;
}

static size_t put_jump(struct shortening *s, size_t to)
{
	return put(s, JUMP, (uint32_t)(s->made_len - to - 1));
}

/* The same place, or a jump to it from nearby. */
static size_t within_reach(struct shortening *s, size_t to)
{
	return s->made_len - to > REACH ? put_jump(s, to) : to;
}

static size_t put_branch(struct shortening *s, uint16_t code, uint32_t k, size_t yes, size_t no)
{
	size_t at;

	yes = within_reach(s, yes);
	no = within_reach(s, no);
	at = put(s, code, k);
	if (at < s->len) {
		s->made[at].jt = (uint8_t)(at - yes - 1);
		s->made[at].jf = (uint8_t)(at - no - 1);
	}
	return at;
}

static size_t put_outcome(struct shortening *s, struct outcome what)
{
	size_t n = 0;

	if (what.reads_arguments)
		return s->moved[what.value];
	while (n < s->return_count && s->returns[n].value != what.value)
		n++;
	if (n < s->return_count && s->made_len - s->returns[n].at <= REACH)
		return s->returns[n].at;
	if (n == sizeof(s->returns) / sizeof(s->returns[0]))
		return put(s, RETURN, what.value);
	s->returns[n].value = what.value;
	s->returns[n].at = put(s, RETURN, what.value);
	if (n == s->return_count)
		s->return_count++;
	return s->returns[n].at;
}

static size_t put_search(struct shortening *s, const struct range *r, size_t count)
{
	size_t half = count / 2, low, high;

	if (count == 1)
		return put_outcome(s, r->what);
	/* One number that differs from those around it. */
	if (count == 3 && same(r[0].what, r[2].what) && r[2].from - r[1].from == 1) {
		high = put_outcome(s, r[0].what);
		low = put_outcome(s, r[1].what);
		return put_branch(s, EQUAL, r[1].from, low, high);
	}
	high = put_search(s, r + half, count - half);
	low = put_search(s, r, half);
	return put_branch(s, FROM, r[half].from, high, low);
}

/* All that can be reached from where arguments are read. Jumps only lead forward: one pass finds it, one back writes it. */
static void put_argument_parts(struct shortening *s)
{
	for (size_t pc = 0; pc < s->len; pc++) {
		const struct sock_filter *i = &s->old[pc];

		if (s->moved[pc] == SIZE_MAX || BPF_CLASS(i->code) == BPF_RET)
			continue;
		if (i->code == JUMP) {
			s->moved[pc + 1 + i->k] = 0;
		} else if (BPF_CLASS(i->code) == BPF_JMP) {
			s->moved[pc + 1 + i->jt] = 0;
			s->moved[pc + 1 + i->jf] = 0;
		} else {
			s->moved[pc + 1] = 0;
		}
	}
	for (size_t pc = s->len; pc-- > 0;) {
		const struct sock_filter *i = &s->old[pc];
		size_t at = s->made_len;

		if (s->moved[pc] == SIZE_MAX)
			continue;
		s->moved[pc] = put(s, i->code, i->k);
		if (i->code == JUMP) {
			s->made[at].k = (uint32_t)(at - s->moved[pc + 1 + i->k] - 1);
		} else if (BPF_CLASS(i->code) == BPF_JMP) {
			s->made[at].jt = (uint8_t)(at - s->moved[pc + 1 + i->jt] - 1);
			s->made[at].jf = (uint8_t)(at - s->moved[pc + 1 + i->jf] - 1);
		}
	}
}

/* Of one architecture, or of those not known (0). */
static size_t put_architecture(struct shortening *s, uint32_t architecture)
{
	find_ranges(s, architecture); /* it could before */
	if (s->range_count == 1)
		return put_outcome(s, s->ranges[0].what);
	put_search(s, s->ranges, s->range_count);
	return put(s, LOAD, offsetof(struct seccomp_data, nr));
}

static void put_program(struct shortening *s)
{
	size_t sections[MAX_ARCHITECTURES], next;

	put_argument_parts(s);
	next = put_architecture(s, 0);
	for (size_t i = 0; i < s->architecture_count; i++)
		sections[i] = put_architecture(s, s->architectures[i]);
	for (size_t i = 0; i < s->architecture_count; i++)
		next = put_branch(s, EQUAL, s->architectures[i], sections[i], next);
	if (next + 1 != s->made_len)
		put_jump(s, next);
	put(s, LOAD, offsetof(struct seccomp_data, arch));
}

/* Reads what is decided, and marks where arguments are read. False: the program is not of the kind that we follow. */
static bool understand(struct shortening *s)
{
	find_points(s);
	if (!find_ranges(s, 0)) /* finds the architectures, too */
		return false;
	for (size_t i = 0;; i++) {
		for (size_t n = 0; n < s->range_count; n++)
			if (s->ranges[n].what.reads_arguments)
				s->moved[s->ranges[n].what.value] = 0;
		if (i == s->architecture_count)
			return true;
		if (!find_ranges(s, s->architectures[i]))
			return false;
	}
}

void seccomp_shorten(struct sock_filter *program, size_t *len)
{
	cleanup_free uint32_t *points = calloc(2 * *len + 1, sizeof(*points));
	cleanup_free struct range *ranges = calloc(2 * *len + 1, sizeof(*ranges));
	cleanup_free struct sock_filter *made = calloc(*len, sizeof(*made));
	cleanup_free size_t *moved = malloc(*len * sizeof(*moved));
	struct shortening s = { .old = program, .len = *len, .points = points, .ranges = ranges, .made = made, .moved = moved };

	if (!points || !ranges || !made || !moved)
		return; /* it is right as it is */
	memset(moved, 0xff, *len * sizeof(*moved));
	if (!understand(&s))
		return;
	put_program(&s);
	if (s.made_len >= s.len)
		return;
	for (size_t i = 0; i < s.made_len; i++)
		program[i] = made[s.made_len - 1 - i];
	*len = s.made_len;
}
