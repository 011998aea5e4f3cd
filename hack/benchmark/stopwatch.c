/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs commands again and again and times each, for programs that live for milliseconds: a fork of Node alone costs as
 * much. Usage: stopwatch ROUNDS ERRORS, on standard input a line for each command, its label and its words between tabs; a
 * round runs them all in order. The command "@gone FILE" is our own: it waits, untimed, for the end of the process whose
 * pid stands in FILE. On standard output a line for each run: label, wall time in ns, processor time in us,
 * largest resident memory in KiB (of the command and the children it waited for), exit status (128 + N for signal N).
 * A command has /dev/null for standard input and output, and the file ERRORS for its errors: a container that it leaves
 * behind holds nothing of ours.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX 64
#define WORDS_MAX 64
#define END_LIMIT_MS 10000

struct command {
	char *label;
	char *words[WORDS_MAX + 1];
};

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long micros(struct timeval t)
{
	return t.tv_sec * 1000000LL + t.tv_usec;
}

/* Returns when the process whose pid stands in `path` has ended, whoever reaps it. */
static int wait_for_end(const char *path)
{
	FILE *file = fopen(path, "re");
	struct pollfd gone = { .events = POLLIN };
	int pid = 0;

	if (!file || fscanf(file, "%d", &pid) != 1) {
		fprintf(stderr, "stopwatch: %s holds no pid\n", path);
		return -1;
	}
	fclose(file);
	gone.fd = syscall(SYS_pidfd_open, pid, 0);
	if (gone.fd < 0)
		return errno == ESRCH ? 0 : -1;
	if (poll(&gone, 1, END_LIMIT_MS) == 0) {
		fprintf(stderr, "stopwatch: process %d does not end\n", pid);
		return -1;
	}
	close(gone.fd);
	return 0;
}

/* Splits a line in place. Returns the number of words, the label not counted. */
static int command_read(char *line, struct command *c)
{
	char *rest = line;
	int n = 0;

	line[strcspn(line, "\n")] = '\0';
	c->label = strsep(&rest, "\t");
	while (rest && n < WORDS_MAX)
		c->words[n++] = strsep(&rest, "\t");
	c->words[n] = NULL;
	return rest ? 0 : n;
}

static int command_time(const struct command *c, const posix_spawn_file_actions_t *actions)
{
	static char *const environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	long long begun = now_ns();
	struct rusage used;
	int status, r;
	pid_t pid;

	if (strcmp(c->words[0], "@gone") == 0)
		return wait_for_end(c->words[1]);
	r = posix_spawn(&pid, c->words[0], actions, NULL, c->words, environment);
	if (r != 0) {
		fprintf(stderr, "stopwatch: %s: %s\n", c->words[0], strerror(r));
		return -1;
	}
	while (wait4(pid, &status, 0, &used) < 0) {
		if (errno != EINTR)
			return -1;
	}
	printf("%s\t%lld\t%lld\t%ld\t%d\n", c->label, now_ns() - begun, micros(used.ru_utime) + micros(used.ru_stime),
	       used.ru_maxrss, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	return 0;
}

int main(int argc, char **argv)
{
	static struct command commands[COMMANDS_MAX];
	posix_spawn_file_actions_t actions;
	long rounds = argc == 3 ? strtol(argv[1], NULL, 10) : 0;
	int count = 0;
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, stdin) > 0) {
		if (count == COMMANDS_MAX || command_read(line, &commands[count]) == 0) {
			fprintf(stderr, "stopwatch: line %d: no command, or more than fit\n", count + 1);
			return 2;
		}
		count++;
		line = NULL; /* its words stay */
	}
	if (rounds < 1 || count == 0) {
		fprintf(stderr, "usage: stopwatch ROUNDS ERRORS <COMMANDS\n");
		return 2;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, argv[2], O_WRONLY | O_CREAT | O_APPEND, 0600);
	for (long i = 0; i < rounds; i++)
		for (int c = 0; c < count; c++)
			if (command_time(&commands[c], &actions) < 0)
				return 1;
	return 0;
}
