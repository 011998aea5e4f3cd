/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kobako: starts the bundle with the Node that was shipped with it.
 *
 *   PREFIX/bin/kobako ARGS  ->  PREFIX/lib/kobako/node FLAGS PREFIX/lib/kobako/kobako.mjs ARGS
 *
 * Enters: the arguments and the environment of the caller. Leaves: nothing, or one line on stderr and
 * exit code 127 (126: it is there and cannot be run), as shells have it.
 * Nothing is looked up in PATH or the working folder, and no NODE_* variable of the caller reaches Node:
 * NODE_OPTIONS could open a debug port or load code into a daemon that runs as root.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

/* For every command: no debug port on SIGUSR1, no code from strings. */
static const char *const common_flags[] = {
	"--disable-sigusr1",
	"--disallow-code-generation-from-strings",
	"--disable-warning=ExperimentalWarning",
};

/* For the daemon: a small heap that is collected early, and no helper threads of the compiler and collector. */
static const char *const daemon_flags[] = {
	"--max-semi-space-size=1",
	"--optimize-for-size",
	"--single-threaded",
	"--v8-pool-size=0",
	"--expose-gc", /* a collection when there is nothing else to do: src/server/idle-collection.ts */
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int fail(int code, const char *what, const char *object, int err)
{
	if (err)
		fprintf(stderr, "kobako: %s %s: %s\n", what, object, strerror(err));
	else
		fprintf(stderr, "kobako: %s %s\n", what, object);
	return code;
}

/* Writes dir/name into buf. Returns false when it does not fit. */
static bool join(char *buf, size_t size, const char *dir, const char *name)
{
	int n = snprintf(buf, size, "%s/%s", dir, name);

	return n > 0 && (size_t)n < size;
}

/* Writes the folder that `path` is in, two levels up: PREFIX of PREFIX/bin/kobako. */
static bool prefix_of(char *path)
{
	for (int level = 0; level < 2; level++) {
		char *slash = strrchr(path, '/');

		if (!slash)
			return false;
		*slash = '\0';
	}
	return true;
}

/*
 * Where Node keeps compiled code from one start to the next: beside the bundle when that can be written,
 * else in the system's cache. A folder that others can write to is never used: what is in it is run.
 */
static bool cache_dir(char *buf, size_t size, const char *lib)
{
	const char *const parents[] = { lib, "/var/cache/kobako" };

	for (size_t i = 0; i < COUNT(parents); i++) {
		struct stat st;

		if (stat(parents[i], &st) < 0 || !S_ISDIR(st.st_mode) || (st.st_mode & (S_IWGRP | S_IWOTH)))
			continue;
		if ((st.st_uid != 0 && st.st_uid != geteuid()) || access(parents[i], W_OK) < 0)
			continue;
		return join(buf, size, parents[i], "cache");
	}
	return false;
}

/* Takes NODE_* out of the environment, in place. */
static void drop_node_variables(void)
{
	char **to = environ;

	for (char **from = environ; *from; from++)
		if (strncmp(*from, "NODE_", 5) != 0)
			*to++ = *from;
	*to = NULL;
}

int main(int argc, char **argv)
{
	char prefix[PATH_MAX], lib[PATH_MAX], node[PATH_MAX], bundle[PATH_MAX], cache[PATH_MAX];
	bool is_daemon = argc > 1 && strcmp(argv[1], "daemon") == 0;
	ssize_t length = readlink("/proc/self/exe", prefix, sizeof(prefix) - 1);
	const char **args;
	int n = 0;

	if (length < 0)
		return fail(127, "find myself by", "/proc/self/exe", errno);
	prefix[length] = '\0';
	if (!prefix_of(prefix) || !join(lib, sizeof(lib), prefix, "lib/kobako") ||
	    !join(node, sizeof(node), lib, "node") || !join(bundle, sizeof(bundle), lib, "kobako.mjs"))
		return fail(127, "too long a path:", prefix, 0);
	if (access(bundle, R_OK) < 0)
		return fail(127, "not installed whole:", bundle, errno);

	drop_node_variables();
	if (cache_dir(cache, sizeof(cache), lib))
		setenv("NODE_COMPILE_CACHE", cache, 1);
	/* One arena: each further one is a megabyte or more that is never given back. */
	setenv("MALLOC_ARENA_MAX", "1", 0);

	args = calloc(COUNT(common_flags) + COUNT(daemon_flags) + 3 + (size_t)argc, sizeof(*args));
	if (!args)
		return fail(126, "start", node, ENOMEM);
	args[n++] = node;
	for (size_t i = 0; i < COUNT(common_flags); i++)
		args[n++] = common_flags[i];
	for (size_t i = 0; is_daemon && i < COUNT(daemon_flags); i++)
		args[n++] = daemon_flags[i];
	args[n++] = bundle;
	for (int i = 1; i < argc; i++)
		args[n++] = argv[i];
	execve(node, (char *const *)args, environ);
	return fail(errno == ENOENT ? 127 : 126, "start", node, errno);
}
