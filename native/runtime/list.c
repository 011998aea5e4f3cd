/* SPDX-License-Identifier: Apache-2.0 */
/* list and ps: what there is, as tables or JSON in runc's forms. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cgroup/cgroup.h"
#include "runtime/commands.h"
#include "runtime/log.h"
#include "runtime/state.h"

enum { MAX_PS_BYTES = 16 << 20 };

/* Table or JSON; anything else is an error. */
static int wants_json(const struct options *o, bool *ret, struct err *e)
{
	if (o->format && strcmp(o->format, "json") && strcmp(o->format, "table"))
		return err_set(e, EINVAL, "option --format: \"%.40s\" is neither table nor json", o->format);
	*ret = o->format && !strcmp(o->format, "json");
	return 0;
}

static const char *owner_name(const char *dir, char buf[32])
{
	struct passwd *user;
	struct stat st;

	if (stat(dir, &st) < 0)
		return "";
	user = getpwuid(st.st_uid);
	snprintf(buf, 32, "#%u", (unsigned int)st.st_uid);
	return user ? user->pw_name : buf;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the folders below root, sorted; free() each and the list. */
static int folders(const struct options *o, char ***ret, size_t *ret_count, struct err *e)
{
	DIR *dir = opendir(o->root);
	char **list = NULL;
	size_t count = 0;

	*ret = NULL;
	*ret_count = 0;
	/* Without a container nobody has made the default one yet. */
	if (!dir)
		return errno == ENOENT && !strcmp(o->root, "/run/kobako-oci") ? 0 : err_set(e, errno, "open \"%s\"", o->root);
	for (struct dirent *d; (d = readdir(dir)); ) {
		char **more, *name;

		if (d->d_name[0] == '.' || (d->d_type != DT_DIR && d->d_type != DT_UNKNOWN))
			continue;
		more = realloc(list, (count + 1) * sizeof(*list));
		name = strdup(d->d_name);
		if (more)
			list = more;
		if (!more || !name) {
			free(name);
			closedir(dir);
			*ret = list;
			*ret_count = count;
			return err_set(e, ENOMEM, "list \"%s\"", o->root);
		}
		list[count++] = name;
	}
	closedir(dir);
	if (count)
		qsort(list, count, sizeof(*list), by_name);
	*ret = list;
	*ret_count = count;
	return 0;
}

/* An array of states. One that can't be read, or is being made or removed, is told on stderr and left out. */
static json_t *states(const struct options *o, char **names, size_t count)
{
	json_t *all = json_array();

	for (size_t i = 0; i < count; i++) {
		cleanup_state struct state s = { .lock = -1 };
		char owner[32], text[1024];
		struct err why;

		if (state_load(o->root, names[i], &s, &why) < 0) {
			fprintf(stderr, "load container %s: %s\n", names[i], log_text(&why, text, sizeof(text)));
			continue;
		}
		json_array_append_new(all, state_json(&s, owner_name(s.dir, owner)));
	}
	return all;
}

enum { COLUMNS = 6, LEAST_WIDTH = 12, GAP = 3 };
static const char *const keys[COLUMNS] = { "id", "pid", "status", "bundle", "created", "owner" };

/* One cell as text; buf is for numbers. */
static const char *cell(const json_t *state, int column, char buf[24])
{
	const json_t *value = json_object_get(state, keys[column]);
	const char *text = json_string_value(value);

	if (text)
		return text;
	snprintf(buf, 24, "%lld", (long long)json_integer_value(value));
	return buf;
}

static void print_table(const json_t *all)
{
	static const char *const heads[COLUMNS] = { "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER" };
	size_t width[COLUMNS], count = json_array_size(all);
	char buf[24];

	for (int c = 0; c < COLUMNS; c++) {
		width[c] = strlen(heads[c]);
		for (size_t i = 0; i < count; i++) {
			size_t len = strlen(cell(json_array_get(all, i), c, buf));

			width[c] = len > width[c] ? len : width[c];
		}
		width[c] = width[c] + GAP < LEAST_WIDTH ? LEAST_WIDTH : width[c] + GAP;
	}
	for (int c = 0; c < COLUMNS; c++)
		printf("%-*s", c + 1 < COLUMNS ? (int)width[c] : 0, heads[c]);
	printf("\n");
	for (size_t i = 0; i < count; i++) {
		for (int c = 0; c < COLUMNS; c++)
			printf("%-*s", c + 1 < COLUMNS ? (int)width[c] : 0, cell(json_array_get(all, i), c, buf));
		printf("\n");
	}
}

int command_list(const struct options *o, struct err *e)
{
	char **names = NULL;
	size_t count = 0;
	json_t *all = NULL;
	bool json;
	int r;

	if (wants_json(o, &json, e) < 0)
		return -1;
	r = folders(o, &names, &count, e);
	if (r == 0)
		all = states(o, names, count);
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
	if (r < 0)
		return -1;
	if (!o->quiet && json) {
		if (!json_array_size(all)) { /* runc's word for none */
			json_decref(all);
			all = json_null();
		}
		return print_json(all, JSON_COMPACT | JSON_ENCODE_ANY, "\n", e) < 0 ? -1 : 0;
	}
	for (size_t i = 0; o->quiet && i < json_array_size(all); i++)
		puts(json_string_value(json_object_get(json_array_get(all, i), "id")));
	if (!o->quiet)
		print_table(all);
	json_decref(all);
	return 0;
}

/* --- ps ----------------------------------------------------------------------------------------------- */

static int run_ps(char **args, char **ret, struct err *e)
{
	static char *usual[] = { "ps", "-ef", NULL };
	int pair[2], status, r;
	size_t count = 0, len;
	char **argv = usual;
	pid_t pid;

	while (args[count])
		count++;
	if (count) {
		argv = calloc(count + 2, sizeof(*argv));
		if (!argv)
			return err_set(e, ENOMEM, "ps");
		argv[0] = "ps";
		memcpy(argv + 1, args, count * sizeof(*argv));
	}
	if (pipe2(pair, O_CLOEXEC) < 0) {
		if (count)
			free(argv);
		return err_set(e, errno, "pipe for ps");
	}
	pid = fork();
	if (pid == 0) {
		dup2(pair[1], 1);
		dup2(pair[1], 2);
		execvp("ps", argv);
		dprintf(2, "ps: %s\n", strerror(errno));
		_exit(127);
	}
	close(pair[1]);
	if (count)
		free(argv);
	r = pid < 0 ? err_set(e, errno, "fork") : io_read_all(pair[0], MAX_PS_BYTES, ret, &len, e);
	close(pair[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r == 0 && status != 0) {
		(*ret)[strcspn(*ret, "\n")] = '\0';
		return err_set(e, ECANCELED, "ps: %.200s", *ret);
	}
	return r;
}

static const char *field(const char *line, size_t index)
{
	line += strspn(line, " \t");
	for (; index; index--) {
		line += strcspn(line, " \t");
		line += strspn(line, " \t");
	}
	return line;
}

static int print_processes(char *text, const pid_t *pids, size_t count, struct err *e)
{
	char *save = NULL, *line = strtok_r(text, "\n", &save);
	size_t column = 0;

	for (const char *at = line ? field(line, 0) : ""; ; at = field(line, ++column)) {
		if (!*at)
			return err_set(e, EINVAL, "ps: its table has no column PID");
		if (!strncmp(at, "PID", 3) && (at[3] == ' ' || !at[3]))
			break;
	}
	puts(line);
	while ((line = strtok_r(NULL, "\n", &save)))
		for (size_t i = 0; i < count; i++)
			if (strtol(field(line, column), NULL, 10) == pids[i]) {
				puts(line);
				break;
			}
	return 0;
}

int command_ps(const struct options *o, struct err *e)
{
	cleanup_state struct state s = { .lock = -1 };
	cleanup_free pid_t *pids = NULL;
	cleanup_free char *text = NULL;
	size_t count;
	bool json;

	if (wants_json(o, &json, e) < 0 || state_load(o->root, o->id, &s, e) < 0 ||
	    (!*s.cgroup && err_set(e, ENOTSUP, "container \"%s\" has no cgroup to list the processes of", s.id) < 0) ||
	    cgroup_pids(s.cgroup, &pids, &count, e) < 0)
		return -1;
	if (json) {
		json_t *all = count ? json_array() : json_null();

		for (size_t i = 0; i < count; i++)
			json_array_append_new(all, json_integer(pids[i]));
		return print_json(all, JSON_COMPACT | JSON_ENCODE_ANY, "\n", e) < 0 ? -1 : 0;
	}
	return run_ps(o->args, &text, e) < 0 || print_processes(text, pids, count, e) < 0 ? -1 : 0;
}
