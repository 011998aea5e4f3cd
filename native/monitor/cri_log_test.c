/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the CRI log: whole, stamped, cut into parts, whatever pieces the output comes in. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "monitor/cri_log.h"

static int failed;

#define CHECK(cond, ...)                                          \
	do {                                                      \
		if (!(cond)) {                                    \
			printf("cri_log_test:%d: ", __LINE__);    \
			printf(__VA_ARGS__);                      \
			printf("\n");                             \
			failed = 1;                               \
		}                                                 \
	} while (0)

static int64_t clock_ns;

static int64_t fake_clock(void)
{
	return clock_ns;
}

static char top[64], path[128];

static struct cri_log fresh(void)
{
	struct cri_log log;
	struct err e;

	unlink(path);
	cri_log_init(&log);
	if (cri_log_open(&log, top, path, &e) < 0)
		abort();
	clock_ns = 1767323045123456789; /* 2026-01-02T03:04:05.123456789Z */
	return log;
}

static char *contents(size_t *ret_len)
{
	int fd = open(path, O_RDONLY);
	char *buf = malloc(4 << 20);
	ssize_t n = read(fd, buf, (4 << 20) - 1);

	close(fd);
	buf[n] = '\0';
	*ret_len = (size_t)n;
	return buf;
}

static void expect(const char *text)
{
	size_t len;
	char *is = contents(&len);

	CHECK(!strcmp(is, text), "is:\n%.400s\nshould be:\n%.400s", is, text);
	free(is);
}

#define AT "2026-01-02T03:04:05.123456789Z "

static void stamps(void)
{
	static const struct {
		int64_t ns;
		const char *text;
	} table[] = {
		{ 0, "1970-01-01T00:00:00.000000000Z" },
		{ 951782400000000000, "2000-02-29T00:00:00.000000000Z" },
		{ 1709251199999999999, "2024-02-29T23:59:59.999999999Z" },
		{ 4107542399000000001, "2100-02-28T23:59:59.000000001Z" },
		{ 4107542400000000000, "2100-03-01T00:00:00.000000000Z" },
		{ 1767225599000000000, "2025-12-31T23:59:59.000000000Z" },
	};
	char buf[31];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		cri_stamp(table[i].ns, buf);
		CHECK(!strcmp(buf, table[i].text), "%s, not %s", buf, table[i].text);
	}
}

static void lines_of_both_streams(void)
{
	struct cri_log log = fresh();

	cri_log_feed(&log, CRI_STDOUT, "one\ntwo\n", 8);
	cri_log_feed(&log, CRI_STDERR, "err\n\n", 5);
	cri_log_close(&log);
	expect(AT "stdout F one\n" AT "stdout F two\n" AT "stderr F err\n" AT "stderr F \n");
}

static void a_line_in_pieces_is_one_line(void)
{
	struct cri_log log = fresh();

	cri_log_feed(&log, CRI_STDOUT, "a", 1);
	cri_log_feed(&log, CRI_STDERR, "e", 1);
	cri_log_feed(&log, CRI_STDOUT, "b\nc", 3);
	cri_log_feed(&log, CRI_STDERR, "f\n", 2);
	expect(AT "stdout F ab\n" AT "stderr F ef\n");
	cri_log_end(&log, CRI_STDOUT);
	cri_log_end(&log, CRI_STDERR);
	cri_log_close(&log);
	expect(AT "stdout F ab\n" AT "stderr F ef\n" AT "stdout P c\n");
}

/* Feeds len bytes 'x' and a newline in pieces of `step`, and checks the parts that come out. */
static void long_line(size_t len, size_t step)
{
	struct cri_log log = fresh();
	char *in = malloc(len + 1), *out, *p;
	size_t out_len, left = len;

	memset(in, 'x', len);
	in[len] = '\n';
	for (size_t at = 0; at < len + 1; at += step)
		cri_log_feed(&log, CRI_STDOUT, in + at, at + step > len + 1 ? len + 1 - at : step);
	cri_log_close(&log);
	out = p = contents(&out_len);
	while (left > CRI_LOG_PART) {
		CHECK(!strncmp(p, AT "stdout P ", 40) && strspn(p + 40, "x") == CRI_LOG_PART && p[40 + CRI_LOG_PART] == '\n',
		      "a part of %zu in pieces of %zu", len, step);
		p += 40 + CRI_LOG_PART + 1;
		left -= CRI_LOG_PART;
	}
	CHECK(!strncmp(p, AT "stdout F ", 40) && strspn(p + 40, "x") == left && !strcmp(p + 40 + left, "\n"),
	      "the end of %zu in pieces of %zu", len, step);
	free(out);
	free(in);
}

static void long_lines_are_cut_into_parts(void)
{
	static const size_t lengths[] = { 1, CRI_LOG_PART - 1, CRI_LOG_PART, CRI_LOG_PART + 1, 2 * CRI_LOG_PART,
					  2 * CRI_LOG_PART + 1, 5 * CRI_LOG_PART + 77 };
	static const size_t steps[] = { 1, 7, 4096, CRI_LOG_PART - 1, CRI_LOG_PART, CRI_LOG_PART + 1, 65536, 1u << 20 };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++)
			if (steps[k] > 1 || lengths[i] < 40000)
				long_line(lengths[i], steps[k]);
}

static void many_lines_in_one_piece(void)
{
	struct cri_log log = fresh();
	char in[3000], *out;
	size_t len, lines = 0;

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = i % 3 == 2 ? '\n' : 'y';
	cri_log_feed(&log, CRI_STDERR, in, sizeof(in));
	cri_log_close(&log);
	out = contents(&len);
	for (char *p = out; (p = strstr(p, AT "stderr F yy\n")); p += 43)
		lines++;
	CHECK(lines == 1000 && len == 43000, "%zu lines, %zu bytes", lines, len);
	free(out);
}

static void stamps_never_step_back_in_a_file(void)
{
	struct cri_log log = fresh();
	struct err e;

	cri_log_feed(&log, CRI_STDOUT, "a\n", 2);
	clock_ns -= 3600000000000;
	cri_log_feed(&log, CRI_STDOUT, "b\n", 2);
	expect(AT "stdout F a\n" AT "stdout F b\n");
	/* Opened again without a rename it is the same file, also when all of it was still held back. */
	CHECK(cri_log_open(&log, top, path, &e) == 0, "reopen");
	cri_log_feed(&log, CRI_STDOUT, "c\n", 2);
	expect(AT "stdout F a\n" AT "stdout F b\n" AT "stdout F c\n");
	CHECK(truncate(path, 0) == 0, "truncate");
	log.buffer_max = 200;
	cri_log_feed(&log, CRI_STDOUT, "d\n", 2);
	clock_ns -= 1000000000;
	CHECK(cri_log_open(&log, top, path, &e) == 0, "reopen");
	cri_log_feed(&log, CRI_STDOUT, "e\n", 2);
	cri_log_flush(&log);
	expect(AT "stdout F d\n" AT "stdout F e\n");
	clock_ns += 1000000000;
	unlink(path);
	CHECK(cri_log_open(&log, top, path, &e) == 0, "reopen");
	cri_log_feed(&log, CRI_STDOUT, "f\n", 2);
	cri_log_flush(&log);
	expect("2026-01-02T02:04:05.123456789Z stdout F f\n");
	cri_log_close(&log);
}

/* S7: what a program prints stays content of its own line. */
static void output_forges_no_line(void)
{
	struct cri_log log = fresh();

	cri_log_feed(&log, CRI_STDOUT, "x\r" AT "stderr F forged\n\0\n", 51);
	cri_log_close(&log);
	{
		size_t len;
		char *out = contents(&len);

		CHECK(len == 40 + 49 + 40 + 2 && !memcmp(out + 40, "x\r" AT "stderr F forged\n" AT "stdout F \0\n", 91), "%zu bytes", len);
		free(out);
	}
}

/* The disk is full: lines are lost as wholes, counted, and the next ones are whole again. */
static void a_full_disk_loses_whole_lines(void)
{
	struct rlimit small = { 100, RLIM_INFINITY }, none = { RLIM_INFINITY, RLIM_INFINITY };
	struct cri_log log = fresh();

	signal(SIGXFSZ, SIG_IGN);
	cri_log_feed(&log, CRI_STDOUT, "kept\n", 5);
	setrlimit(RLIMIT_FSIZE, &small);
	cri_log_feed(&log, CRI_STDOUT, "lost, as it ends behind the limit of the file's size\n", 53);
	CHECK(log.fault && log.dropped_bytes == 53, "fault %d, dropped %llu", log.fault, (unsigned long long)log.dropped_bytes);
	cri_log_feed(&log, CRI_STDOUT, "lost, too, as it ends behind the limit of the size\n", 51);
	CHECK(log.dropped_bytes == 104, "dropped %llu", (unsigned long long)log.dropped_bytes);
	setrlimit(RLIMIT_FSIZE, &none);
	cri_log_feed(&log, CRI_STDOUT, "again\n", 6);
	CHECK(!log.fault, "the fault is over");
	cri_log_close(&log);
	expect(AT "stdout F kept\n" AT "stdout F again\n");
}

/* S6 */
static void opens_only_plain_files_below_its_root(void)
{
	char name[200], out[128];
	struct cri_log log;
	struct err e;
	struct stat st;

	cri_log_init(&log);
	snprintf(out, sizeof(out), "%s.out", top);
	close(open(out, O_CREAT | O_WRONLY, 0600));
	snprintf(name, sizeof(name), "%s/link", top);
	CHECK(symlink(out, name) == 0 && cri_log_open(&log, top, name, &e) < 0, "a link at the end");
	snprintf(name, sizeof(name), "%s/dir", top);
	CHECK(symlink("/tmp", name) == 0, "symlink");
	snprintf(name, sizeof(name), "%s/dir/x.log", top);
	CHECK(cri_log_open(&log, top, name, &e) < 0, "a link on the way");
	snprintf(name, sizeof(name), "%s/../x.log", top);
	CHECK(cri_log_open(&log, top, name, &e) < 0, "..");
	CHECK(cri_log_open(&log, top, "/tmp/other.log", &e) < 0, "beside the root");
	snprintf(name, sizeof(name), "%sx", top);
	CHECK(cri_log_open(&log, top, name, &e) < 0, "a longer name than the root's");
	CHECK(cri_log_open(&log, top, top, &e) < 0, "the root itself");
	snprintf(name, sizeof(name), "%s/fifo", top);
	CHECK(mkfifo(name, 0600) == 0 && cri_log_open(&log, top, name, &e) < 0, "a FIFO, without waiting");
	CHECK(log.fd < 0 && stat(out, &st) == 0 && st.st_size == 0, "nothing was opened");
	unlink(path);
	CHECK(cri_log_open(&log, top, path, &e) == 0 && stat(path, &st) == 0 && (st.st_mode & 07777) == 0640, "mode %o",
	      (unsigned int)st.st_mode);
	cri_log_close(&log);
	unlink(out);
}

/* Lines that are held back: bounded, in order, whole, and written when somebody looks. */
static void held_back(void)
{
	struct cri_log log = fresh();
	struct err e;
	char line[1024];
	size_t len;

	log.buffer_max = 200;
	cri_log_feed(&log, CRI_STDOUT, "one\n", 4);
	cri_log_feed(&log, CRI_STDERR, "two\n", 4);
	expect("");
	CHECK(log.held.len == 88, "held: %zu", log.held.len);
	cri_log_flush(&log);
	expect(AT "stdout F one\n" AT "stderr F two\n");
	CHECK(!log.held.bytes && !log.held.len, "its memory is kept");
	for (int i = 0; i < 5; i++)
		cri_log_feed(&log, CRI_STDOUT, "x\n", 2);
	CHECK(log.held.len == 42, "held beyond the bound: %zu", log.held.len);
	/* A batch larger than the bound goes to the file at once, behind what came before it. */
	memset(line, 'y', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	cri_log_feed(&log, CRI_STDOUT, line, sizeof(line));
	CHECK(log.held.len == 0, "held: %zu", log.held.len);
	free(contents(&len));
	CHECK(len == 88 + 5 * 42 + 40 + sizeof(line), "%zu bytes", len);
	/* A reopened log begins with what comes after; the end of a log loses nothing. */
	cri_log_feed(&log, CRI_STDOUT, "old", 3);
	cri_log_end(&log, CRI_STDOUT);
	unlink(path);
	CHECK(cri_log_open(&log, top, path, &e) == 0, "%s", e.step);
	expect("");
	cri_log_feed(&log, CRI_STDOUT, "new\nend", 7);
	cri_log_close(&log);
	expect(AT "stdout F new\n" AT "stdout P end\n");
}

/* A disk that takes a part of what was held keeps whole lines; the rest is counted by its content. */
static void held_back_fault(void)
{
	struct rlimit before, limit;
	struct cri_log log = fresh();

	log.buffer_max = 1 << 16;
	for (int i = 0; i < 10; i++)
		cri_log_feed(&log, CRI_STDOUT, "0123456789\n", 11);
	cri_log_feed(&log, CRI_STDOUT, "part", 4);
	cri_log_end(&log, CRI_STDOUT);
	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = 130; /* two lines of 51 bytes, and half of the third */
	setrlimit(RLIMIT_FSIZE, &limit);
	cri_log_flush(&log);
	setrlimit(RLIMIT_FSIZE, &before);
	expect(AT "stdout F 0123456789\n" AT "stdout F 0123456789\n");
	CHECK(log.dropped_bytes == 8 * 11 + 4, "dropped: %llu", (unsigned long long)log.dropped_bytes);
	CHECK(log.fault == EFBIG, "fault: %d", log.fault);
	cri_log_feed(&log, CRI_STDOUT, "after\n", 6);
	cri_log_close(&log);
	expect(AT "stdout F 0123456789\n" AT "stdout F 0123456789\n" AT "stdout F after\n");
}

int main(void)
{
	char command[128];

	umask(0);
	cri_log_now_ns = fake_clock;
	strcpy(top, "/tmp/cri_log_test.XXXXXX");
	if (!mkdtemp(top))
		abort();
	snprintf(path, sizeof(path), "%s/0.log", top);
	stamps();
	lines_of_both_streams();
	a_line_in_pieces_is_one_line();
	long_lines_are_cut_into_parts();
	many_lines_in_one_piece();
	stamps_never_step_back_in_a_file();
	output_forges_no_line();
	a_full_disk_loses_whole_lines();
	held_back();
	held_back_fault();
	opens_only_plain_files_below_its_root();
	snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command) || failed;
}
