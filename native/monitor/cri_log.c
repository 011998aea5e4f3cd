/* SPDX-License-Identifier: Apache-2.0 */
#include "cri_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sys.h"

/* Pieces of one writev(2): at most three for a line. */
#define PIECES 192
#define PREFIX 40

int64_t (*cri_log_now_ns)(void);

/* Lines on their way into the file, all with one stamp. */
struct batch {
	struct cri_log *log;
	struct iovec piece[PIECES];
	int count;
	size_t bytes;
	size_t content;
	char full[PREFIX], part[PREFIX];
	size_t prefix_len;
};

static void two(char *to, int value)
{
	to[0] = (char)('0' + value / 10);
	to[1] = (char)('0' + value % 10);
}

/* Days to civil date: the proleptic Gregorian calendar, shifted to years that start in March. */
static void put_second(time_t second, char to[20])
{
	int64_t days = second / 86400, left = second % 86400;
	int64_t era, doe, yoe, doy, mp, year, month;

	if (left < 0) {
		left += 86400;
		days--;
	}
	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	doe = days - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	month = mp < 10 ? mp + 3 : mp - 9;
	year = yoe + era * 400 + (month <= 2);
	two(to, (int)(year / 100 % 100));
	two(to + 2, (int)(year % 100));
	to[4] = '-';
	two(to + 5, (int)month);
	to[7] = '-';
	two(to + 8, (int)(doy - (153 * mp + 2) / 5 + 1));
	to[10] = 'T';
	two(to + 11, (int)(left / 3600));
	to[13] = ':';
	two(to + 14, (int)(left / 60 % 60));
	to[16] = ':';
	two(to + 17, (int)(left % 60));
	to[19] = '\0';
}

static void put_fraction(int64_t ns, char to[11])
{
	to[0] = '.';
	for (int i = 9; i >= 1; i--) {
		to[i] = (char)('0' + ns % 10);
		ns /= 10;
	}
	to[10] = 'Z';
}

void cri_stamp(int64_t ns, char ret[31])
{
	put_second((time_t)(ns / 1000000000), ret);
	put_fraction(ns % 1000000000, ret + 19);
	ret[30] = '\0';
}

static int64_t now_ns(void)
{
	struct timespec now;

	if (cri_log_now_ns)
		return cri_log_now_ns();
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void cri_log_init(struct cri_log *log)
{
	*log = (struct cri_log){ .fd = -1, .second = (time_t)-1 };
}

/* A boolean of paths by text: the openat2 below does the real check. */
static const char *below(const char *root, const char *path)
{
	size_t n = strlen(root);

	while (n && root[n - 1] == '/')
		n--;
	if (strncmp(root, path, n) != 0 || path[n] != '/')
		return NULL;
	path += n;
	while (*path == '/')
		path++;
	return *path ? path : NULL;
}

int cri_log_open(struct cri_log *log, const char *root, const char *path, struct err *e)
{
	struct open_how how = {
		.flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		.mode = 0640,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	cleanup_fd int dir = AT_FDCWD;
	cleanup_fd int fd = -1;
	const char *name = path;
	struct stat st;

	if (root) {
		name = below(root, path);
		if (!name)
			return err_set(e, EINVAL, "log \"%s\": not below \"%s\"", path, root);
		dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return err_set(e, errno, "open log folder \"%s\"", root);
	} else {
		how.resolve = RESOLVE_NO_MAGICLINKS;
	}
	fd = sys_openat2(dir, name, &how);
	if (fd < 0)
		return err_set(e, errno, "open log \"%s\"", path);
	cri_log_flush(log);
	if (fstat(fd, &st) < 0)
		return err_set(e, errno, "stat log \"%s\"", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "log \"%s\": not a regular file", path);
	if (log->fd >= 0)
		close(log->fd);
	log->fd = take_fd(&fd);
	if (st.st_size == 0) /* else it may be the file before, which was not renamed */
		log->last_ns = 0;
	log->torn = false;
	return 0;
}

static void batch_begin(struct batch *b, struct cri_log *log, enum cri_stream stream)
{
	int64_t ns = now_ns();
	char *p = b->full;

	/* The wall clock may be set back while a container runs; readers take stamps for an order. */
	if (ns < log->last_ns)
		ns = log->last_ns;
	log->last_ns = ns;
	if (ns / 1000000000 != log->second) {
		log->second = (time_t)(ns / 1000000000);
		put_second(log->second, log->clock);
	}
	memcpy(p, log->clock, 19);
	put_fraction(ns % 1000000000, p + 19);
	memcpy(p + 30, stream == CRI_STDOUT ? " stdout F " : " stderr F ", 10);
	b->prefix_len = 40;
	memcpy(b->part, b->full, 40);
	b->part[38] = 'P';
	b->log = log;
	b->count = 0;
	b->bytes = b->content = 0;
}

/* Cuts a half-written line off again. Only we write to the file: it is opened by us, for appending. */
static void cut(struct cri_log *log, size_t written)
{
	struct stat st;

	if (written == 0)
		return;
	log->torn = true;
	if (fstat(log->fd, &st) == 0 && st.st_size >= (off_t)written &&
	    ftruncate(log->fd, st.st_size - (off_t)written) == 0)
		log->torn = false;
}

/*
 * Writes all or nothing of it, or (keep_lines: the pieces are lines that don't belong together) those
 * lines that found room. Returns how many bytes stay; fewer than given is a fault, and counted by its finder.
 */
static size_t write_out(struct cri_log *log, struct iovec *at, int left, bool keep_lines)
{
	const struct iovec *first = at;
	size_t written = 0, keep = 0;

	if (log->torn && write(log->fd, "\n", 1) == 1)
		log->torn = false;
	while (left) {
		ssize_t n = writev(log->fd, at, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			log->fault = log->last_fault = n < 0 ? errno : EIO;
			if (keep_lines) {
				const char *base = (const char *)at->iov_base - written;
				const char *newline = first == at ? memrchr(base, '\n', written) : NULL;

				keep = newline ? (size_t)(newline - base) + 1 : 0;
			}
			cut(log, written - keep);
			return keep;
		}
		written += (size_t)n;
		while (left && (size_t)n >= at->iov_len) {
			n -= (ssize_t)at->iov_len;
			at++;
			left--;
		}
		if (left) {
			at->iov_base = (char *)at->iov_base + n;
			at->iov_len -= (size_t)n;
		}
	}
	log->fault = 0;
	return written;
}

/* Bytes of content in whole lines: all but what stands before it, and the newline that only a part's line has. */
static size_t content_of(const char *bytes, size_t len)
{
	size_t content = 0;

	while (len) {
		size_t line = (size_t)((const char *)memchr(bytes, '\n', len) - bytes) + 1;

		content += line - PREFIX - (bytes[PREFIX - 2] == 'P');
		bytes += line;
		len -= line;
	}
	return content;
}

void cri_log_flush(struct cri_log *log)
{
	struct iovec all = { log->held.bytes, log->held.len };
	size_t kept;

	if (log->held.len) {
		kept = write_out(log, &all, 1, true);
		if (kept < log->held.len)
			log->dropped_bytes += content_of(log->held.bytes + kept, log->held.len - kept);
	}
	free(log->held.bytes);
	log->held.bytes = NULL;
	log->held.len = 0;
}

/* Holds a batch back. False: it is to be written now. */
static bool hold_back(const struct batch *b)
{
	struct cri_log *log = b->log;

	if (log->buffer_max == 0)
		return false;
	if (log->held.len + b->bytes > log->buffer_max)
		cri_log_flush(log);
	if (b->bytes > log->buffer_max)
		return false;
	if (!log->held.bytes)
		log->held.bytes = malloc(log->buffer_max);
	if (!log->held.bytes)
		return false;
	for (int i = 0; i < b->count; i++) {
		memcpy(log->held.bytes + log->held.len, b->piece[i].iov_base, b->piece[i].iov_len);
		log->held.len += b->piece[i].iov_len;
	}
	return true;
}

/* Writes the batch as a whole or not at all, or holds it back. */
static void batch_flush(struct batch *b)
{
	struct cri_log *log = b->log;

	if (b->count && log->fd >= 0 && !hold_back(b) && write_out(log, b->piece, b->count, false) < b->bytes)
		log->dropped_bytes += b->content;
	b->count = 0;
	b->bytes = b->content = 0;
}

static void piece(struct batch *b, const char *bytes, size_t len)
{
	if (len == 0)
		return;
	b->piece[b->count++] = (struct iovec){ (void *)(uintptr_t)bytes, len };
	b->bytes += len;
}

/* One line: what is held, then len more bytes. `full` lines bring their newline with them. */
static void put_line(struct batch *b, enum cri_stream stream, const char *bytes, size_t len, bool full)
{
	struct cri_log *log = b->log;

	if (b->count + 4 > PIECES)
		batch_flush(b);
	piece(b, full ? b->full : b->part, b->prefix_len);
	piece(b, log->tail[stream].bytes, log->tail[stream].len);
	piece(b, bytes, len);
	b->content += log->tail[stream].len + len;
	if (!full)
		piece(b, "\n", 1);
	if (log->tail[stream].bytes) {
		/* The held bytes are referred to until they are written. */
		batch_flush(b);
		free(log->tail[stream].bytes);
		log->tail[stream].bytes = NULL;
		log->tail[stream].len = 0;
	}
}

static void hold(struct batch *b, enum cri_stream stream, const char *bytes, size_t len)
{
	struct cri_log *log = b->log;

	if (!log->tail[stream].bytes)
		log->tail[stream].bytes = malloc(CRI_LOG_PART);
	if (!log->tail[stream].bytes) {
		put_line(b, stream, bytes, len, false); /* no memory: told at once, as a part */
		return;
	}
	memcpy(log->tail[stream].bytes + log->tail[stream].len, bytes, len);
	log->tail[stream].len += len;
}

void cri_log_feed(struct cri_log *log, enum cri_stream stream, const char *bytes, size_t len)
{
	struct batch b;

	if (log->fd < 0 || len == 0)
		return;
	batch_begin(&b, log, stream);
	while (len) {
		size_t room = CRI_LOG_PART - log->tail[stream].len;
		size_t window = len < room + 1 ? len : room + 1; /* a newline right behind a full part still ends it */
		const char *newline = memchr(bytes, '\n', window);
		size_t take;

		if (newline) {
			take = (size_t)(newline - bytes) + 1;
			put_line(&b, stream, bytes, take, true);
		} else if (len > room) {
			take = room;
			put_line(&b, stream, bytes, take, false);
		} else {
			take = len;
			hold(&b, stream, bytes, take);
		}
		bytes += take;
		len -= take;
	}
	batch_flush(&b);
}

void cri_log_end(struct cri_log *log, enum cri_stream stream)
{
	struct batch b;

	if (log->tail[stream].len == 0)
		return;
	batch_begin(&b, log, stream);
	put_line(&b, stream, NULL, 0, false);
	batch_flush(&b);
}

void cri_log_close(struct cri_log *log)
{
	cri_log_end(log, CRI_STDOUT);
	cri_log_end(log, CRI_STDERR);
	cri_log_flush(log);
	free(log->tail[CRI_STDOUT].bytes);
	free(log->tail[CRI_STDERR].bytes);
	if (log->fd >= 0)
		close(log->fd);
	cri_log_init(log);
}
