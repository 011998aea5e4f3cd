/* SPDX-License-Identifier: Apache-2.0 */
#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	e->code = code;
	va_start(ap, fmt);
	vsnprintf(e->step, sizeof(e->step), fmt, ap);
	va_end(ap);
	return -code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char step[sizeof(e->step)];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(step, sizeof(step), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n + 2 < sizeof(step)) {
		size_t room = sizeof(step) - (size_t)n - 3, old = strnlen(e->step, room);

		memcpy(step + n, ": ", 2);
		memcpy(step + n + 2, e->step, old);
		step[n + 2 + (int)old] = '\0';
	}
	memcpy(e->step, step, sizeof(e->step));
	return -e->code;
}

const char *err_note(const struct err *e)
{
	size_t len = strlen(e->step);
	const char *at = len && e->step[len - 1] == ')' ? strrchr(e->step, '(') : NULL;

	return at && at > e->step && at[-1] == ' ' ? at - 1 : e->step + len;
}

char *err_text(const struct err *e, char *buf, unsigned long size)
{
	const char *note = err_note(e);

	if (e->code == ECANCELED) /* what another program has said is the cause */
		snprintf(buf, size, "%s", e->step);
	else
		snprintf(buf, size, "%.*s: %s%s", (int)(note - e->step), e->step, strerror(e->code), note);
	return buf;
}
