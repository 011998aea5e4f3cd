/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: a container's output in pieces of any size on two streams, with and without lines held back.
 * What is written is read again by the rules that the kubelet has: each line has its form, and the contents of
 * a stream put together are what was fed.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fuzz.h"
#include "monitor/cri_log.h"

static char folder[200], path[220];

struct fed {
	uint8_t *bytes;
	size_t len;
};

static void add(struct fed *f, const void *bytes, size_t len)
{
	f->bytes = realloc(f->bytes, f->len + len + 1);
	FUZZ_HOLDS(f->bytes, "no memory");
	memcpy(f->bytes + f->len, bytes, len);
	f->len += len;
}

/* One line with its newline; what it holds goes to its stream. */
static void take_line(const char *line, size_t len, struct fed got[2])
{
	static const char form[] = "0000-00-00T00:00:00.000000000Z ";
	int stream;

	FUZZ_HOLDS(len >= 41, "a line of %zu bytes", len);
	for (size_t i = 0; i < sizeof(form) - 1; i++)
		FUZZ_HOLDS(form[i] == '0' ? line[i] >= '0' && line[i] <= '9' : line[i] == form[i], "stamp %.31s", line);
	stream = !memcmp(line + 31, "stderr ", 7);
	FUZZ_HOLDS(stream || !memcmp(line + 31, "stdout ", 7), "stream of %.40s", line);
	FUZZ_HOLDS((line[38] == 'F' || line[38] == 'P') && line[39] == ' ', "tag of %.40s", line);
	FUZZ_HOLDS(len - 41 <= CRI_LOG_PART, "a part of %zu bytes", len - 41);
	add(&got[stream], line + 40, len - 40 - (line[38] == 'P'));
}

static void check_file(const struct fed fed[2])
{
	struct fed got[2] = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text;

	FUZZ_HOLDS(fd >= 0 && fstat(fd, &st) == 0, "open the log");
	text = malloc((size_t)st.st_size + 1);
	FUZZ_HOLDS(text && read(fd, text, (size_t)st.st_size) == st.st_size, "read the log");
	close(fd);
	for (char *at = text, *end = text + st.st_size; at < end;) {
		char *newline = memchr(at, '\n', (size_t)(end - at));

		FUZZ_HOLDS(newline, "the last line has no end");
		take_line(at, (size_t)(newline - at) + 1, got);
		at = newline + 1;
	}
	for (int i = 0; i < 2; i++) {
		FUZZ_HOLDS(got[i].len == fed[i].len && (!fed[i].len || !memcmp(got[i].bytes, fed[i].bytes, fed[i].len)),
			   "stream %d: %zu bytes of %zu", i, got[i].len, fed[i].len);
		free(got[i].bytes);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char filler[CRI_LOG_PART + 64];
	struct fuzz_input in = { data, size };
	struct fed fed[2] = { 0 };
	struct cri_log log;
	struct err e = { 0 };

	snprintf(path, sizeof(path), "%s/log", fuzz_folder(folder, sizeof(folder)));
	memset(filler, 'x', sizeof(filler));
	unlink(path);
	cri_log_init(&log);
	FUZZ_HOLDS(cri_log_open(&log, folder, path, &e) == 0, "%s", e.step);
	log.buffer_max = (size_t)fuzz_byte(&in) * 64;
	while (in.len) {
		uint8_t what = fuzz_byte(&in);
		enum cri_stream stream = what & 1 ? CRI_STDERR : CRI_STDOUT;
		size_t len = what >> 3;
		const void *bytes = in.at;

		if (len > in.len)
			len = in.len;
		if (what & 2) { /* around the longest part: too long for an input to hold */
			len = CRI_LOG_PART - 16 + fuzz_byte(&in) % 64;
			bytes = filler;
		} else {
			in.at += len;
			in.len -= len;
		}
		add(&fed[stream], bytes, len);
		cri_log_feed(&log, stream, bytes, len);
		if (what & 4)
			cri_log_flush(&log);
	}
	cri_log_close(&log);
	check_file(fed);
	free(fed[0].bytes);
	free(fed[1].bytes);
	return 0;
}
