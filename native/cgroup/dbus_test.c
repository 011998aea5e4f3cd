/* SPDX-License-Identifier: Apache-2.0 */
/* Values as the D-Bus specification lays them out, and a peer that sends what it should not. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup/dbus.h"
#include "cgroup/systemd-properties.h"

static int failed;

#define CHECK(cond, ...)                                                  \
	do {                                                              \
		if (!(cond)) {                                            \
			printf("dbus_test:%d: ", __LINE__);               \
			printf(__VA_ARGS__);                              \
			printf("\n");                                     \
			failed = 1;                                       \
		}                                                         \
	} while (0)

static void test_layout(void)
{
	/* "a" "(tt)" of one element after a byte: the length at 4, its first struct at 8; an empty array keeps the gap. */
	static const uint8_t want[] = { 7, 0, 0, 0, 8, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
					3, 0, 0, 0, 'a', 'b', 'c', 0, 1, 'u', 0 };
	struct dbus_out o = { 0 };
	size_t begun;

	dbus_put_u8(&o, 7);
	begun = dbus_array_begin(&o, 8);
	dbus_put_u64(&o, 0x0201);
	dbus_array_end(&o, begun, 8);
	begun = dbus_array_begin(&o, 8);
	dbus_array_end(&o, begun, 8);
	dbus_put_string(&o, "abc");
	dbus_put_signature(&o, "u");
	CHECK(!o.full && o.len == sizeof(want) && !memcmp(o.data, want, sizeof(want)), "%zu bytes", o.len);
	dbus_out_free(&o);

	for (int i = 0; i < 3000; i++)
		dbus_put_string(&o, "a text that makes the body longer than it may be");
	CHECK(o.full && o.len <= DBUS_BODY_MAX, "%zu bytes were taken", o.len);
	dbus_out_free(&o);
}

/* Each is what the peer sends after its OK, and what becomes of the call. */
#define HEAD(type, body, fields) "l" type "\0\1" body "\0\0\0\1\0\0\0" fields "\0\0\0"
#define REPLY "\5\1u\0\1\0\0\0"
static const struct {
	const char *name, *bytes;
	size_t len;
	int result;
} peers[] = {
#define PEER(name, bytes, result) { name, bytes, sizeof(bytes) - 1, result }
	PEER("an answer", HEAD("\2", "\0", "\10") REPLY, 0),
	PEER("a signal before it", HEAD("\4", "\0", "\0") HEAD("\2", "\0", "\10") REPLY, 0),
	PEER("an answer to another call", HEAD("\2", "\0", "\10") "\5\1u\0\2\0\0\0" HEAD("\2", "\0", "\10") REPLY, 0),
	PEER("an error", HEAD("\3", "\0", "\10") REPLY, -EREMOTEIO),
	PEER("an end", "", -ECONNRESET),
	PEER("half a header", "l\2\0\1", -ECONNRESET),
	PEER("big endian", "B\2\0\1\0\0\0\0\0\0\0\1\0\0\0\0", -EPROTO),
	PEER("another version", "l\2\0\2\0\0\0\0\1\0\0\0\0\0\0\0", -EPROTO),
	PEER("a body of 4 GiB", "l\2\0\1\377\377\377\377\1\0\0\0\0\0\0\0", -EPROTO),
	PEER("fields of 4 GiB", "l\2\0\1\0\0\0\0\1\0\0\0\377\377\377\377", -EPROTO),
	PEER("a field without a value", HEAD("\2", "\0", "\10") "\5\1u\0\0\0\0" "\5", 1),
	PEER("a field of an unknown type", HEAD("\2", "\0", "\10") "\5\1v\0\1\0\0\0", -EPROTO),
	PEER("a type that does not end", HEAD("\2", "\0", "\10") "\5\377uuuuuu", -EPROTO),
	PEER("a text longer than the fields", HEAD("\2", "\0", "\20") "\3\1s\0\100\0\0\0abcdefgh", -EPROTO),
	PEER("a text with a 0 in it", HEAD("\2", "\0", "\20") "\3\1s\0\7\0\0\0abc\0efg\0", -EPROTO),
	PEER("no authentication", "", 2),
};

static void serve(const char *path, size_t i, int ready)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd;
	char in[4096];
	ssize_t n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	strcpy(address.sun_path, path);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 1) < 0 ||
	    write(ready, "x", 1) != 1)
		_exit(1);
	fd = accept(listener, NULL, NULL);
	n = read(fd, in, sizeof(in));
	if (n <= 0 || send(fd, peers[i].result == 2 ? "REJECTED\r\n" : "OK 1234\r\n", peers[i].result == 2 ? 10 : 9, 0) < 0)
		_exit(1);
	n = read(fd, in, sizeof(in)); /* the call */
	/* Byte by byte: whatever arrives at once is the peer's choice. */
	for (size_t k = 0; k < peers[i].len; k++)
		if (send(fd, peers[i].bytes + k, 1, MSG_NOSIGNAL) < 0)
			break;
	shutdown(fd, SHUT_WR);
	n = read(fd, in, sizeof(in));
	_exit(0);
}

static void test_peers(void)
{
	static const struct dbus_target to = { "x.y", "/x", "x.Y" };
	char folder[] = "/tmp/dbus_test.XXXXXX", path[64];

	CHECK(mkdtemp(folder), "mkdtemp");
	snprintf(path, sizeof(path), "%s/s", folder);
	for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
		struct dbus_message answer;
		struct dbus b;
		struct err e = { 0 };
		int ready[2], r, status;
		char byte;
		pid_t pid;

		CHECK(pipe(ready) == 0, "pipe");
		pid = fork();
		if (pid == 0)
			serve(path, i, ready[1]);
		CHECK(read(ready[0], &byte, 1) == 1, "the peer did not begin");
		r = dbus_open(&b, path, false, 10000, &e);
		if (peers[i].result == 2) {
			CHECK(r == -EACCES, "%s: %d %s", peers[i].name, r, e.step);
		} else {
			CHECK(r == 0, "%s: %s", peers[i].name, e.step);
			r = dbus_call(&b, &to, "M", "", NULL, &answer, &e);
			/* 1: any failure. */
			CHECK(r == peers[i].result || (peers[i].result == 1 && r < 0), "%s: %d %s", peers[i].name, r, e.step);
		}
		dbus_close(&b);
		waitpid(pid, &status, 0);
		unlink(path);
		close(ready[0]);
		close(ready[1]);
	}
	rmdir(folder);
}

static void test_deadline(void)
{
	char folder[] = "/tmp/dbus_test.XXXXXX", path[64];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	struct dbus b;
	struct err e = { 0 };

	CHECK(mkdtemp(folder), "mkdtemp");
	snprintf(path, sizeof(path), "%s/s", folder);
	strcpy(address.sun_path, path);
	CHECK(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(listener, 1) == 0, "listen");
	CHECK(dbus_open(&b, path, false, 50, &e) == -ETIMEDOUT, "a silent peer: %s", e.step);
	dbus_close(&b);
	close(listener);
	unlink(path);
	rmdir(folder);
}

static int annotations_of(const char *name, const char *value, struct dbus_out *o)
{
	char key[128];
	struct err e = { 0 };
	json_t *doc;
	struct jnode top;
	int r;

	snprintf(key, sizeof(key), "org.systemd.property.%s", name);
	doc = json_pack("{ss}", key, value);
	top = json_top(doc, "annotations");
	r = properties_of_annotations(o, &top, &e);
	CHECK(r == 0 || strstr(e.step, name), "%s does not name %s", e.step, name);
	json_decref(doc);
	return r;
}

static void test_annotations(void)
{
	static const struct {
		const char *name, *value;
		bool good;
	} rows[] = {
		{ "Description", "'text'", true },      { "Description", "\"text\"", true },   { "Delegate", "false", true },
		{ "CPUWeight", "uint64 5", true },      { "Nice", "-5", true },                { "After", "['a', \"b\"]", true },
		{ "TimeoutStopSec", "1.5", true },      { "TimeoutStopSec", "-1", false },     { "TimeoutStopSec", "nan", false },
		{ "Description", "'text", false },      { "Description", "text", false },      { "After", "['a'", false },
		{ "After", "[]x", false },              { "CPUWeight", "uint64 -5", false },   { "Nice", "99999999999", false },
		{ "CPUWeight", "5 6", false },          { "Nice", "", false },                 { "ab", "1", false },
		{ "A.B", "1", false },                  { "After", "['a\\'b']", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dbus_out o = { 0 };

		CHECK((annotations_of(rows[i].name, rows[i].value, &o) == 0) == rows[i].good, "%s: %s", rows[i].name,
		      rows[i].value);
		dbus_out_free(&o);
	}
}

int main(void)
{
	test_layout();
	test_peers();
	test_deadline();
	test_annotations();
	return failed;
}
