/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink without a library: messages are built in one buffer, sent in one call, answers are read
 * until the kernel is done. The kernel works on a request inside sendmsg(2) (rtnetlink, nf_tables,
 * conntrack), so when it returns all answers but the rest of a dump are there: nothing here waits.
 */
#ifndef KOBAKO_CNI_NL_H
#define KOBAKO_CNI_NL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/netlink.h>

#include "base/err.h"

#define NL_BUF_SIZE (1 << 18)
#define NL_MAX_STEPS 1024

/* Messages on their way out. A buffer that overflows remembers it: nl_send answers EMSGSIZE. */
struct nl_buf {
	size_t len;
	bool overflow;
	uint32_t seq;                   /* of the last message; the first is 1 */
	struct nlmsghdr *msg;           /* the open message */
	const char *step[NL_MAX_STEPS]; /* what message seq does, for errors; constant strings */
	char data[NL_BUF_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
};

void nl_reset(struct nl_buf *b);

/* Opens a message; `step` says in an error what it was for and must outlive the buffer's use. */
void *nl_begin(struct nl_buf *b, uint16_t type, uint16_t flags, size_t header_len, const char *step);

void nl_put(struct nl_buf *b, uint16_t type, const void *data, size_t len);
void nl_put_str(struct nl_buf *b, uint16_t type, const char *text); /* with the terminating 0 */
void nl_put_u8(struct nl_buf *b, uint16_t type, uint8_t value);
void nl_put_u32(struct nl_buf *b, uint16_t type, uint32_t value);
void nl_put_be32(struct nl_buf *b, uint16_t type, uint32_t value);

/* Opens a nested attribute; pass what it returns to nl_nest_end. */
size_t nl_nest(struct nl_buf *b, uint16_t type);
void nl_nest_end(struct nl_buf *b, size_t at);

/* Space inside the open message for a fixed header (nested messages such as a veth's peer). */
void *nl_reserve(struct nl_buf *b, size_t len);

/* A socket of the calling thread's current network namespace; it stays with that namespace. */
int nl_open(int protocol, int *ret_fd, struct err *e);

/* Sees one message of a dump. A negative errno ends the dump and is returned. */
typedef int (*nl_visit)(const struct nlmsghdr *msg, void *arg);

/*
 * Sends what b holds and reads the answers. The first refusal becomes *e with the step of the
 * message that was refused and the kernel's own words (NLMSGERR_ATTR_MSG). visit may be NULL.
 * Returns 0 or -errno.
 */
int nl_talk(int fd, struct nl_buf *b, nl_visit visit, void *arg, struct err *e);

/* Attributes of a message, by type; later ones win, unknown ones are skipped. */
void nl_parse(const void *attrs, size_t len, const struct nlattr **table, uint16_t max);
void nl_parse_msg(const struct nlmsghdr *msg, size_t header_len, const struct nlattr **table, uint16_t max);

static inline const void *nl_data(const struct nlattr *a)
{
	return (const char *)a + NLA_HDRLEN;
}

static inline size_t nl_len(const struct nlattr *a)
{
	return a->nla_len >= NLA_HDRLEN ? a->nla_len - NLA_HDRLEN : 0;
}

uint32_t nl_u32(const struct nlattr *a);          /* 0 when absent or short */
const char *nl_str(const struct nlattr *a);       /* "" when absent or not terminated */

#endif
