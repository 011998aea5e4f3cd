// SPDX-License-Identifier: Apache-2.0
#include "nl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

void nl_reset(struct nl_buf *b)
{
	b->len = 0;
	b->overflow = false;
	b->seq = 0;
	b->msg = NULL;
}

void *nl_reserve(struct nl_buf *b, size_t len)
{
	size_t aligned = NLMSG_ALIGN(len);
	void *at = b->data + b->len;

	if (b->overflow || aligned > sizeof(b->data) - b->len) {
		b->overflow = true;
		/* The caller may fill in what it reserved: it gets the start, and nothing is sent. */
		b->len = 0;
		at = b->data;
	}
	memset(at, 0, aligned);
	b->len += aligned;
	if (b->msg && !b->overflow)
		b->msg->nlmsg_len = (uint32_t)(b->data + b->len - (char *)b->msg);
	return at;
}

void *nl_begin(struct nl_buf *b, uint16_t type, uint16_t flags, size_t header_len, const char *step)
{
	struct nlmsghdr *msg;

	b->msg = NULL;
	msg = nl_reserve(b, sizeof(*msg));
	if (b->seq + 1 >= NL_MAX_STEPS)
		b->overflow = true;
	else
		b->step[++b->seq] = step;
	msg->nlmsg_len = sizeof(*msg);
	msg->nlmsg_type = type;
	msg->nlmsg_flags = NLM_F_REQUEST | flags;
	msg->nlmsg_seq = b->seq;
	b->msg = msg;
	return nl_reserve(b, header_len);
}

void nl_put(struct nl_buf *b, uint16_t type, const void *data, size_t len)
{
	struct nlattr *a;

	if (len > UINT16_MAX - NLA_HDRLEN) {
		b->overflow = true;
		return;
	}
	a = nl_reserve(b, NLA_HDRLEN + len);
	a->nla_type = type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + len);
	if (len && !b->overflow)
		memcpy((char *)a + NLA_HDRLEN, data, len);
}

void nl_put_str(struct nl_buf *b, uint16_t type, const char *text)
{
	nl_put(b, type, text, strlen(text) + 1);
}

void nl_put_u8(struct nl_buf *b, uint16_t type, uint8_t value)
{
	nl_put(b, type, &value, sizeof(value));
}

void nl_put_u32(struct nl_buf *b, uint16_t type, uint32_t value)
{
	nl_put(b, type, &value, sizeof(value));
}

void nl_put_be32(struct nl_buf *b, uint16_t type, uint32_t value)
{
	nl_put_u32(b, type, htonl(value));
}

size_t nl_nest(struct nl_buf *b, uint16_t type)
{
	struct nlattr *a = nl_reserve(b, NLA_HDRLEN);

	a->nla_type = type | NLA_F_NESTED;
	return (size_t)((char *)a - b->data);
}

void nl_nest_end(struct nl_buf *b, size_t at)
{
	struct nlattr *a = (struct nlattr *)(b->data + at);

	if (b->overflow)
		return;
	if (b->len - at > UINT16_MAX)
		b->overflow = true;
	else
		a->nla_len = (uint16_t)(b->len - at);
}

int nl_open(int protocol, int *ret_fd, struct err *e)
{
	cleanup_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	struct sockaddr_nl self = { .nl_family = AF_NETLINK };
	int one = 1;
	int size = 2 * NL_BUF_SIZE;

	if (fd < 0)
		return err_set(e, errno, "open netlink socket %d", protocol);
	if (bind(fd, (struct sockaddr *)&self, sizeof(self)) < 0)
		return err_set(e, errno, "bind netlink socket %d", protocol);
	/* Niceties: the kernel's own words in errors, and the request not repeated in them. */
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	*ret_fd = take_fd(&fd);
	return 0;
}

uint32_t nl_u32(const struct nlattr *a)
{
	uint32_t value = 0;

	if (a && nl_len(a) >= sizeof(value))
		memcpy(&value, nl_data(a), sizeof(value));
	return value;
}

const char *nl_str(const struct nlattr *a)
{
	if (!a || !memchr(nl_data(a), 0, nl_len(a)))
		return "";
	return nl_data(a);
}

void nl_parse(const void *attrs, size_t len, const struct nlattr **table, uint16_t max)
{
	const char *at = attrs;

	memset(table, 0, (max + 1u) * sizeof(*table));
	while (len >= NLA_HDRLEN) {
		const struct nlattr *a = (const struct nlattr *)at;
		uint16_t type = a->nla_type & NLA_TYPE_MASK;
		size_t step = NLA_ALIGN(a->nla_len);

		if (a->nla_len < NLA_HDRLEN || a->nla_len > len)
			return;
		if (type <= max)
			table[type] = a;
		if (step >= len)
			return;
		at += step;
		len -= step;
	}
}

void nl_parse_msg(const struct nlmsghdr *msg, size_t header_len, const struct nlattr **table, uint16_t max)
{
	size_t skip = NLMSG_HDRLEN + NLMSG_ALIGN(header_len);

	if (msg->nlmsg_len < skip)
		memset(table, 0, (max + 1u) * sizeof(*table));
	else
		nl_parse((const char *)msg + skip, msg->nlmsg_len - skip, table, max);
}

static int refusal(const struct nl_buf *b, const struct nlmsghdr *msg, struct err *e)
{
	const struct nlmsgerr *body = (const void *)((const char *)msg + NLMSG_HDRLEN);
	const struct nlattr *attr[NLMSGERR_ATTR_MSG + 1] = { 0 };
	const char *step = "netlink request";
	const char *words;

	if (msg->nlmsg_len < NLMSG_HDRLEN + sizeof(*body))
		return err_set(e, EPROTO, "netlink answer cut short");
	if (body->error == 0)
		return 0;
	if (msg->nlmsg_seq > 0 && msg->nlmsg_seq <= b->seq)
		step = b->step[msg->nlmsg_seq];
	if (msg->nlmsg_flags & NLM_F_ACK_TLVS) {
		size_t skip = sizeof(*body);

		if (!(msg->nlmsg_flags & NLM_F_CAPPED) && body->msg.nlmsg_len > sizeof(body->msg))
			skip += body->msg.nlmsg_len - sizeof(body->msg);
		nl_parse_msg(msg, skip, attr, NLMSGERR_ATTR_MSG);
	}
	words = nl_str(attr[NLMSGERR_ATTR_MSG]);
	return err_set(e, -body->error, "%s%s%s%s", step, *words ? " (" : "", words, *words ? ")" : "");
}

int nl_talk(int fd, struct nl_buf *b, nl_visit visit, void *arg, struct err *e)
{
	static char answer[65536] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	bool more = false; /* a dump goes on: the next part is made by the next read */
	int result = 0;

	if (b->overflow || !b->len)
		return err_set(e, EMSGSIZE, "netlink request larger than %d bytes", NL_BUF_SIZE);
	while (sendto(fd, b->data, b->len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "send netlink request: %s", b->step[1]);
	for (;;) {
		ssize_t n = recv(fd, answer, sizeof(answer), more ? 0 : MSG_DONTWAIT);
		const struct nlmsghdr *msg = (const void *)answer;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return result;
		if (n < 0)
			return err_set(e, errno, "read netlink answer: %s", b->step[1]);
		for (size_t left = (size_t)n; left >= sizeof(*msg) && msg->nlmsg_len >= sizeof(*msg) && msg->nlmsg_len <= left;) {
			size_t step = NLMSG_ALIGN(msg->nlmsg_len);

			if (msg->nlmsg_type == NLMSG_ERROR || msg->nlmsg_type == NLMSG_DONE)
				more = false;
			else if (msg->nlmsg_flags & NLM_F_MULTI)
				more = true;
			if (msg->nlmsg_flags & NLM_F_DUMP_INTR && !result)
				result = err_set(e, EINTR, "dump interrupted by a change: %s", b->step[1]);
			if (msg->nlmsg_type == NLMSG_ERROR && !result)
				result = refusal(b, msg, e);
			else if (msg->nlmsg_type >= NLMSG_MIN_TYPE && visit && !result)
				result = visit(msg, arg);
			if (step >= left)
				break;
			left -= step;
			msg = (const void *)((const char *)msg + step);
		}
	}
}
