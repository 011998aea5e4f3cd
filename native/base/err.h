/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors as values. Functions return 0 (or a count) or a negative errno and fill a struct err;
 * only main() prints and exits.
 */
#ifndef KOBAKO_BASE_ERR_H
#define KOBAKO_BASE_ERR_H

/*
 * A failure on its way from child to parent to caller. Fixed size: it crosses a sync socket in
 * one write and needs no malloc after clone(2).
 */
struct err {
	int code;       /* errno, positive; 0: no error */
	char step[508]; /* what was being done, with its object: `mount "/x" on "/y"`; cut, never overrun */
};

/* Sets *e and returns -code. `fmt` says the step; strerror(code) is added only when printed. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts context before what *e already says ("create container: " + step). Returns -e->code. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Where a note that ends the step begins, " (in the rootfs)"; it is told behind the cause. Else the step's end. */
const char *err_note(const struct err *e);

/* Writes "step: strerror" ("step: strerror (note)") into buf (always terminated) and returns buf. */
char *err_text(const struct err *e, char *buf, unsigned long size);

#endif
