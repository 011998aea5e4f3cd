/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.env as the program gets it. Of a name that is given twice the last one stands, as who appends to a list
 * means it (a C library would find the first). HOME, which engines leave to the runtime, is the user's of the
 * container's own /etc/passwd (passwd(5)), a file of the image: whatever is odd about it gives "/".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "container/internal.h"

#define PASSWD_MAX (10 << 20)

static size_t name_length(const char *entry)
{
	return strcspn(entry, "=");
}

/* By name, then by place. */
static int compare_entries(const void *a, const void *b)
{
	const char **x = *(const char ***)a, **y = *(const char ***)b;
	size_t n = name_length(*x), m = name_length(*y);
	int r = memcmp(*x, *y, n < m ? n : m);

	if (r || n != m)
		return r ? r : n < m ? -1 : 1;
	return x < y ? -1 : x > y;
}

static bool same_name(const char *a, const char *b)
{
	size_t n = name_length(a);

	return n == name_length(b) && !memcmp(a, b, n);
}

/* Takes out what a later entry of the same name replaces. Returns how many are left, or -ENOMEM. */
static int last_of_each(const char **env, size_t count)
{
	cleanup_free const char ***sorted = calloc(count + 1, sizeof(*sorted));
	size_t kept = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		sorted[i] = &env[i];
	qsort(sorted, count, sizeof(*sorted), compare_entries);
	for (size_t i = 0; i + 1 < count; i++)
		if (same_name(*sorted[i], *sorted[i + 1]))
			*sorted[i] = NULL;
	for (size_t i = 0; i < count; i++)
		if (env[i])
			env[kept++] = env[i];
	env[kept] = NULL;
	return (int)kept;
}

/* The folder in a line of passwd when it is uid's; cuts the line. */
static const char *home_of_line(char *line, uint32_t uid)
{
	char *part[7] = { NULL }, *end;
	unsigned long id;

	for (int i = 0; i < 7 && line; i++)
		part[i] = strsep(&line, ":");
	if (!part[5] || part[2][0] < '0' || part[2][0] > '9')
		return NULL;
	id = strtoul(part[2], &end, 10);
	return !*end && id == uid && part[5][0] == '/' ? part[5] : NULL;
}

void environment_home(int root, uint32_t uid, char *ret, size_t size)
{
	cleanup_fd int fd = -1;
	char line[4096];
	size_t seen = 0;
	struct err ignored;
	struct stat st;
	FILE *f;

	strcpy(ret, "/");
	if (path_open(root, "etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd, &ignored) < 0 ||
	    fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	f = fdopen(fd, "r");
	if (!f)
		return;
	take_fd(&fd);
	for (bool begins = true; seen < PASSWD_MAX && fgets(line, sizeof(line), f);) {
		size_t len = strlen(line);
		bool whole = len && line[len - 1] == '\n', first = begins;
		const char *home;

		seen += len;
		begins = whole;
		if (whole)
			line[len - 1] = '\0';
		/* A line that is longer than the buffer is nobody's. */
		home = first && (whole || feof(f)) ? home_of_line(line, uid) : NULL;
		if (home && strlen(home) < size) {
			strcpy(ret, home);
			break;
		}
	}
	fclose(f);
}

int process_environment(struct identity *id, struct err *e)
{
	static char home[5 + 4096] = "HOME=";
	const struct spec_process *p = id->process;
	cleanup_fd int root = -1;
	size_t count = 0;
	int kept;

	while (p->env[count])
		count++;
	id->env = calloc(count + 2, sizeof(*id->env));
	if (!id->env)
		return err_set(e, ENOMEM, "process.env");
	memcpy(id->env, p->env, count * sizeof(*id->env));
	kept = last_of_each(id->env, count);
	if (kept < 0)
		return err_set(e, -kept, "process.env");
	for (int i = 0; i < kept; i++)
		if (!strncmp(id->env[i], home, 5))
			return 0;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_set(e, errno, "open the root");
	environment_home(root, p->uid, home + 5, sizeof(home) - 5);
	id->env[kept] = home;
	return 0;
}
