/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kobako-unpack is asked on standard input and answers on standard output.
 *
 *   daemon                                   kobako-unpack
 *   u32 length (big-endian), JSON request ->
 *   op "unpack": the compressed layer     ->
 *                                         <- one line of JSON, then the end
 */
#ifndef KOBAKO_UNPACK_REQUEST_H
#define KOBAKO_UNPACK_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "unpack/layer.h"
#include "unpack/stream.h"

enum op { OP_UNPACK, OP_SETTLE };

struct request {
	enum op op;
	const char *dir; /* absolute: gets `fs` and, when something is left open, `pending` */
	/* unpack */
	enum compression compression;
	const char *digest, *diff_id; /* expected */
	bool base;                    /* nothing lies below: everything is settled at once */
	struct stream_limits stream;
	struct layer_limits layer;
	/* settle */
	const char **parents; /* absolute `fs` folders, the highest first */
	size_t parent_count;
	json_t *document; /* what the strings belong to */
};

/* Reads the frame from fd. Errors: EINVAL with the place in the request. */
int request_read(int fd, struct request *ret, struct err *e);
void request_clear(struct request *r);

/* Prints `{"ok":false,"kind":...,"message":...}`; kinds are those of the daemon's RuntimeError. */
void answer_error(const struct err *e);

/* Writes printable ASCII for use inside a JSON string: what is not becomes \\xNN. Always terminated. */
char *answer_escape(const char *text, char *buf, size_t size);

#endif
