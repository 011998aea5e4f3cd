/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/json.h"

enum { FIRST_OWN_FD = 200 };

static int file = -1;
static bool json, debugging;

int log_open(const char *path, const char *format, bool debug, struct err *e)
{
	cleanup_fd int low = -1;

	debugging = debug;
	if (format && *format && strcmp(format, "text") && strcmp(format, "json"))
		return err_set(e, EINVAL, "option --log-format: \"%.40s\" is neither text nor json", format);
	json = format && !strcmp(format, "json");
	if (!path || !*path)
		return 0;
	low = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
	if (low < 0)
		return err_set(e, errno, "open the log \"%s\"", path);
	/* Low numbers belong to the descriptors that --preserve-fds passes on: one that is not open must stay so. */
	file = fcntl(low, F_DUPFD_CLOEXEC, FIRST_OWN_FD);
	return file < 0 ? err_set(e, errno, "keep the log \"%s\" open", path) : 0;
}

bool log_has(int fd)
{
	return fd == file;
}

static void write_line(int fd, const char *level, const char *text)
{
	struct err ignored;
	char stamp[32], *line = NULL;
	time_t now = time(NULL);
	struct tm tm;

	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	if (json) {
		/* A path of any bytes may stand in the text: what is not UTF-8 becomes "?". */
		cleanup_free char *clean = strdup(text), *dump = NULL;
		json_t *o = clean ? json_pack("{ss ss ss}", "level", level, "msg", clean, "time", stamp) : NULL;

		for (char *p = clean; !o && p && *p; p++)
			if ((unsigned char)*p >= 0x80)
				*p = '?';
		if (!o && clean)
			o = json_pack("{ss ss ss}", "level", level, "msg", clean, "time", stamp);
		dump = o ? json_text(o, JSON_COMPACT) : NULL;
		json_decref(o);
		if (!dump || asprintf(&line, "%s\n", dump) < 0)
			return;
	} else {
		cleanup_free char *quoted = malloc(2 * strlen(text) + 1);
		char *to = quoted;

		for (const char *p = text; quoted && *p; p++) {
			if (*p == '"' || *p == '\\' || *p == '\n')
				*to++ = '\\';
			*to++ = *p == '\n' ? 'n' : *p;
		}
		if (!quoted)
			return;
		*to = '\0';
		if (asprintf(&line, "time=\"%s\" level=%s msg=\"%s\"\n", stamp, level, quoted) < 0)
			return;
	}
	io_write_all(fd, line, strlen(line), &ignored); /* a full disk is no reason to do anything else */
	free(line);
}

static void tell(const char *level, const char *text)
{
	if (file >= 0)
		write_line(file, level, text);
	if (file < 0 && json)
		write_line(2, level, text);
	else if (!strcmp(level, "error"))
		fprintf(stderr, "kobako-oci: %s\n", text);
	else if (file < 0 || !strcmp(level, "warning"))
		fprintf(stderr, "kobako-oci: %s: %s\n", level, text);
}

void log_error(const char *text)
{
	tell("error", text);
}

void log_warning(const char *text)
{
	tell("warning", text);
}

void log_debug(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (!debugging)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tell("debug", text);
}

char *log_text(const struct err *e, char *buf, unsigned long size)
{
	const char *cause = strerror(e->code), *note = err_note(e);
	char first = cause[0];

	/* "No such file" but not "I/O error". */
	if (isupper((unsigned char)first) && islower((unsigned char)cause[1]))
		first = (char)tolower((unsigned char)first);
	else if (isupper((unsigned char)first) && cause[1] == ' ')
		first = (char)tolower((unsigned char)first);
	if (e->code == ECANCELED) /* what another program has said is the cause */
		snprintf(buf, size, "%s", e->step);
	else
		snprintf(buf, size, "%.*s: %c%s%s", (int)(note - e->step), e->step, first, cause + 1, note);
	return buf;
}
