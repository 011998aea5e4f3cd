/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of a stream connection in any pieces, with a reader that is full at times. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/prepare.h"
#include "monitor/session.h"
#include "monitor/sysctl.h"

static int failed;

#define CHECK(cond, ...)                                         \
	do {                                                     \
		if (!(cond)) {                                   \
			printf("stream_test:%d: ", __LINE__);    \
			printf(__VA_ARGS__);                     \
			printf("\n");                            \
			failed = 1;                              \
		}                                                \
	} while (0)

static struct {
	char bytes[4096];
	size_t len, room; /* room: taken before it says that it is full */
	int ends, resizes;
	uint16_t width, height;
} got;

static size_t take_stdin(void *arg, const char *bytes, size_t len)
{
	size_t n = len < got.room ? len : got.room;

	memcpy(got.bytes + got.len, bytes, n);
	got.len += n;
	got.room -= n;
	return n;
}

static void take_end(void *arg)
{
	got.ends++;
}

static bool take_resize(void *arg, const char *json, size_t len)
{
	got.resizes++;
	return stream_resize_size(json, len, &got.width, &got.height);
}

static const struct stream_sink sink = { take_stdin, take_end, take_resize, NULL };

static size_t frame(char *to, int stream, const char *bytes, size_t len)
{
	char head[5] = { (char)stream, (char)(len >> 24), (char)(len >> 16), (char)(len >> 8), (char)len };

	memcpy(to, head, 5);
	memcpy(to + 5, bytes, len);
	return len + 5;
}

static void reset(size_t room)
{
	memset(&got, 0, sizeof(got));
	got.room = room;
}

static void any_pieces_give_the_same(void)
{
	char in[1024];
	size_t len = 0;

	len += frame(in + len, 0, "hello ", 6);
	len += frame(in + len, 4, "{\"width\":80,\"height\":24}", 24);
	len += frame(in + len, 0, "world", 5);
	len += frame(in + len, 0, "", 0);
	for (size_t step = 1; step <= len; step++) {
		struct stream_parser p = { 0 };
		bool all = true;

		reset(4096);
		for (size_t at = 0; at < len; at += step) {
			size_t n = at + step > len ? len - at : step;
			char *piece = malloc(n);

			memcpy(piece, in + at, n);
			all = all && stream_parse(&p, &sink, piece, n) == (ssize_t)n;
			free(piece);
		}
		CHECK(all && got.len == 11 && !memcmp(got.bytes, "hello world", 11) && got.ends == 1 && got.resizes == 1 &&
			      got.width == 80 && got.height == 24,
		      "in pieces of %zu", step);
	}
}

static void what_a_full_reader_leaves_comes_again(void)
{
	struct stream_parser p = { 0 };
	char in[256];
	size_t len = frame(in, 0, "0123456789", 10), at = 0;

	reset(0);
	for (int i = 0; at < len && i < 100; i++) {
		ssize_t n = stream_parse(&p, &sink, in + at, len - at);

		if (n < 0)
			break;
		at += (size_t)n;
		got.room = 3;
	}
	CHECK(at == len && got.len == 10 && !memcmp(got.bytes, "0123456789", 10), "%zu of %zu", at, len);
}

static void what_no_client_may_send_is_cut(void)
{
	static const struct {
		const char *bytes;
		size_t len;
	} table[] = {
		{ "\1\0\0\0\0", 5 },	     { "\2\0\0\0\1", 5 },		{ "\3\0\0\0\1", 5 },
		{ "\5\0\0\0\1", 5 },	     { "\377\0\0\0\1", 5 },		{ "\0\377\377\377\377", 5 },
		{ "\4\0\0\1\1", 5 },	     { "\4\0\0\0\0", 5 },		{ "\4\0\0\0\2{}", 7 },
		{ "\4\0\0\0\2{\"", 7 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct stream_parser p = { 0 };

		reset(4096);
		CHECK(stream_parse(&p, &sink, table[i].bytes, table[i].len) == -1, "row %zu", i);
	}
}

static void sizes_are_numbers_in_range(void)
{
	uint16_t w, h;

	CHECK(stream_resize_size("{\"height\":65535,\"width\":0}", 26, &w, &h) && w == 0 && h == 65535, "limits");
	CHECK(!stream_resize_size("{\"height\":65536,\"width\":0}", 26, &w, &h), "too large");
	CHECK(!stream_resize_size("{\"height\":-1,\"width\":0}", 23, &w, &h), "negative");
	CHECK(!stream_resize_size("[]", 2, &w, &h), "no object");
}

/* K3 */
static void sysctls_belong_to_the_pod(void)
{
	static const struct {
		const char *name, *value;
		bool net, ipc;
		const char *path; /* NULL: refused */
	} table[] = {
		{ "net.ipv4.ip_forward", "1", true, false, "net/ipv4/ip_forward" },
		{ "net/ipv4/ip_forward", "1", true, false, "net/ipv4/ip_forward" },
		{ "net.ipv4.conf.eth0/100.forwarding", "1", true, false, "net/ipv4/conf/eth0.100/forwarding" },
		{ "net/ipv4/conf/eth0.100/forwarding", "1", true, false, "net/ipv4/conf/eth0.100/forwarding" },
		{ "kernel.shm_rmid_forced", "1", false, true, "kernel/shm_rmid_forced" },
		{ "kernel.sem", "250 32000 32 128", false, true, "kernel/sem" },
		{ "fs.mqueue.msg_max", "10", false, true, "fs/mqueue/msg_max" },
		{ "net.ipv4.ip_forward", "1", false, true, NULL },
		{ "kernel.shm_rmid_forced", "1", true, false, NULL },
		{ "kernel.shm_rmid_forced=1+kernel.core_pattern", "|/x", true, true, NULL },
		{ "kernel.shm_rmid_forced", "1\nx", true, true, NULL },
		{ "net/../kernel/core_pattern", "|/x", true, true, NULL },
		{ "net..kernel", "1", true, true, NULL },
		{ "net./../kernel/core_pattern", "1", true, true, NULL },
		{ "net.ipv4.", "1", true, true, NULL },
		{ ".net.ipv4.ip_forward", "1", true, true, NULL },
		{ "kernel.core_pattern", "|/x", true, true, NULL },
		{ "kernel.shmmaxx", "1", true, true, NULL },
		{ "network.x", "1", true, true, NULL },
		{ "vm.swappiness", "1", true, true, NULL },
		{ "net.ipv4.a b", "1", true, true, NULL },
		{ "", "1", true, true, NULL },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char path[SYSCTL_PATH_MAX];
		struct err e = { 0 };
		int r = pod_sysctl_path(table[i].name, table[i].value, table[i].net, table[i].ipc, path, &e);

		CHECK(table[i].path ? r == 0 && !strcmp(path, table[i].path) : r < 0, "%s: %s", table[i].name,
		      r == 0 ? path : e.step);
	}
}

/* M12 */
static void overlay_options_are_words(void)
{
	static const char *const good[] = { "userxattr", "volatile", "index=off", "metacopy=on" };
	static const char *const bad[] = { "", "=", "a=", "userxattr,upperdir=/", "lowerdir=/etc", "a=b:c", "a=b c", "UPPER", "a=b,c",
					   "a b" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(prepare_option_ok(good[i]), "refused %s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!prepare_option_ok(bad[i]), "accepted %s", bad[i]);
}

int main(void)
{
	any_pieces_give_the_same();
	what_a_full_reader_leaves_comes_again();
	what_no_client_may_send_is_cut();
	sizes_are_numbers_in_range();
	sysctls_belong_to_the_pod();
	overlay_options_are_words();
	return failed;
}
