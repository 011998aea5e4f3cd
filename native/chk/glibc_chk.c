/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The distribution's static libraries (libseccomp, jansson, zstd) are built against glibc with
 * fortified calls; musl has none of those names. Each one here does the check that glibc does.
 * Linked into release programs only.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int __fprintf_chk(FILE *f, int flag, const char *fmt, ...);
int __snprintf_chk(char *s, size_t n, int flag, size_t room, const char *fmt, ...);
int __vsnprintf_chk(char *s, size_t n, int flag, size_t room, const char *fmt, va_list ap);
char *__strncpy_chk(char *to, const char *from, size_t n, size_t room);
void *__memcpy_chk(void *to, const void *from, size_t n, size_t room);
void *__memset_chk(void *to, int c, size_t n, size_t room);

int __fprintf_chk(FILE *f, int flag, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vfprintf(f, fmt, ap);
	va_end(ap);
	return n;
}

int __vsnprintf_chk(char *s, size_t n, int flag, size_t room, const char *fmt, va_list ap)
{
	if (n > room)
		abort();
	return vsnprintf(s, n, fmt, ap);
}

int __snprintf_chk(char *s, size_t n, int flag, size_t room, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = __vsnprintf_chk(s, n, flag, room, fmt, ap);
	va_end(ap);
	return len;
}

char *__strncpy_chk(char *to, const char *from, size_t n, size_t room)
{
	if (n > room)
		abort();
	return strncpy(to, from, n);
}

void *__memcpy_chk(void *to, const void *from, size_t n, size_t room)
{
	if (n > room)
		abort();
	return memcpy(to, from, n);
}

void *__memset_chk(void *to, int c, size_t n, size_t room)
{
	if (n > room)
		abort();
	return memset(to, c, n);
}
