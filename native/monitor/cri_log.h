/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One container's log file in the CRI format: `<RFC3339Nano> <stdout|stderr> <F|P> <content>\n`.
 * Enters: bytes of the two output streams as they are read. Leaves: whole lines in the file.
 * A line without its newline yet is held (at most one part for each stream); content longer than a
 * part is written as several P lines. Stamps are UTC and never step back within one file.
 * Lines may be held back to spare a flash disk writes: as many bytes as `buffer_max` says, for as long
 * as its owner lets them wait for cri_log_flush. Whoever asks for the log's end or another file gets
 * them written before.
 * Never: blocks on a FIFO, follows a link, or leaves half a line behind when the disk is full.
 * Source: kubernetes/design-proposals-archive, kubelet-cri-logging.md.
 */
#ifndef KOBAKO_MONITOR_CRI_LOG_H
#define KOBAKO_MONITOR_CRI_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Longest content of one line, in bytes. */
#define CRI_LOG_PART 16384

enum cri_stream { CRI_STDOUT, CRI_STDERR };

struct cri_log {
	int fd;                 /* -1: output is counted as neither written nor dropped, it was not wanted */
	int64_t last_ns;        /* stamp of the last line */
	time_t second;          /* what `clock` was made for */
	char clock[20];         /* "2026-01-02T15:04:05", terminated */
	struct {
		char *bytes;    /* CRI_LOG_PART bytes while len > 0, else NULL */
		size_t len;
	} tail[2];
	size_t buffer_max;      /* 0: each line is written at once */
	struct {
		char *bytes;    /* buffer_max bytes, or NULL */
		size_t len;
	} held;                 /* whole lines */
	uint64_t dropped_bytes; /* content lost to write errors since the log was opened first */
	int fault;              /* errno of the last lost write, 0 after a good one */
	int last_fault;         /* the same, kept */
	bool torn;              /* the file ends in half a line that could not be cut off */
};

void cri_log_init(struct cri_log *log);

/*
 * Opens `path` for appending (made 0640 when missing), in place of the file before. With a root, an
 * absolute folder, the path must lie below it and no link may stand in between. What is held back
 * goes into the file before.
 * What is no regular file is refused (ENXIO or EINVAL) without waiting for a FIFO's reader.
 * On failure the old file stays open.
 */
int cri_log_open(struct cri_log *log, const char *root, const char *path, struct err *e);

/* Takes bytes of a stream. Errors of the disk are counted, never returned: the container goes on. */
void cri_log_feed(struct cri_log *log, enum cri_stream stream, const char *bytes, size_t len);

/* Writes what is held back, and gives its memory back. */
void cri_log_flush(struct cri_log *log);

/* The stream has ended: writes what is held of its last line, marked P. */
void cri_log_end(struct cri_log *log, enum cri_stream stream);

void cri_log_close(struct cri_log *log);

/* Formats nanoseconds since 1970 as "2026-01-02T15:04:05.123456789Z" (30 bytes and a 0). */
void cri_stamp(int64_t ns, char ret[31]);

/* For tests: the clock; NULL is CLOCK_REALTIME. */
extern int64_t (*cri_log_now_ns)(void);

#endif
