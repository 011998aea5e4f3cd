/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kobako-oci: the bundled OCI runtime as a command, with runc's command line (docs/oci-runtime.md).
 * Thin over native/container; the state on disk is state.h's, the command line options.h's.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/seal.h"
#include "base/trace.h"
#include "runtime/commands.h"
#include "runtime/log.h"

static const struct command {
	const char *name;
	int (*run)(const struct options *o, struct err *e);
	enum command_bit bit;
	bool in_order;            /* what follows the first argument are no options of ours */
	size_t min_args, max_args; /* the id counts */
	const char *arguments, *help;
} commands[] = {
	{ "checkpoint", command_checkpoint, FOR_CHECKPOINT, false, 1, 1, "ID", "save a running container with CRIU" },
	{ "create", command_create, FOR_CREATE, false, 1, 1, "ID", "make a container, up to its program" },
	{ "delete", command_delete, FOR_DELETE, false, 1, 1, "ID", "remove what a container holds" },
	{ "events", command_events, FOR_EVENTS, false, 1, 1, "ID", "print statistics and out-of-memory events" },
	{ "exec", command_exec, FOR_EXEC, true, 1, SIZE_MAX, "ID COMMAND [ARGUMENT...], or -p FILE ID",
	  "run one more process in a container" },
	{ "features", command_features, FOR_NONE, false, 0, 0, "", "print what this runtime can do" },
	{ "kill", command_kill, FOR_KILL, false, 1, 2, "ID [SIGNAL]", "send a signal (default: TERM)" },
	{ "list", command_list, FOR_LIST, false, 0, 0, "", "list the containers" },
	{ "pause", command_pause, FOR_NONE, false, 1, 1, "ID", "freeze a container" },
	{ "ps", command_ps, FOR_PS, true, 1, SIZE_MAX, "ID [PS-OPTION...]", "list a container's processes" },
	{ "restore", command_restore, FOR_RESTORE, false, 1, 1, "ID", "make a container of what checkpoint saved" },
	{ "resume", command_resume, FOR_NONE, false, 1, 1, "ID", "thaw a container" },
	{ "run", command_run, FOR_RUN, false, 1, 1, "ID", "create, start, wait and delete" },
	{ "spec", command_spec, FOR_SPEC, false, 0, 0, "", "write an example config.json" },
	{ "start", command_start, FOR_NONE, false, 1, 1, "ID", "run a created container's program" },
	{ "state", command_state, FOR_NONE, false, 1, 1, "ID", "print a container's state" },
	{ "update", command_update, FOR_UPDATE, false, 1, 1, "ID", "change a container's limits" },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int help(FILE *to)
{
	fprintf(to, "usage: kobako-oci [OPTION...] COMMAND [OPTION...] [ARGUMENT...]\n\ncommands:\n");
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "   %-12s %s\n", commands[i].name, commands[i].help);
	fprintf(to, "\noptions (of a command: kobako-oci COMMAND --help):\n");
	options_help(FOR_GLOBAL, to);
	return to == stdout ? 0 : 1;
}

static int help_of(const struct command *c, FILE *to)
{
	fprintf(to, "usage: kobako-oci %s [OPTION...] %s\n   %s\n\noptions:\n", c->name, c->arguments, c->help);
	options_help(c->bit, to);
	return 0;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(name, commands[i].name))
			return &commands[i];
	return NULL;
}

static int fail(const char *prefix, struct err *e, int code)
{
	char text[1024];

	if (prefix)
		err_wrap(e, "container %s", prefix);
	log_error(log_text(e, text, sizeof(text)));
	return code;
}

/* --root as an absolute path; "/" would make every folder of the machine a container. */
static int absolute_root(struct options *o, struct err *e)
{
	static char path[2 * PATH_MAX];
	char cwd[PATH_MAX];

	if (!o->root) {
		o->root = "/run/kobako-oci";
		return 0;
	}
	if (!getcwd(cwd, sizeof(cwd)))
		return err_set(e, errno, "current folder");
	if (o->root[0] == '/')
		snprintf(path, sizeof(path), "%s", o->root);
	else
		snprintf(path, sizeof(path), "%s/%s", cwd, o->root);
	if (!*o->root || strspn(path, "/.") == strlen(path))
		return err_set(e, EINVAL, "option --root: \"%.100s\" is no folder for states", o->root);
	o->root = path;
	return 0;
}

/* Checks what the command can't do without; the error says how it is called. */
static int count_arguments(const struct command *c, size_t count, struct err *e)
{
	if (count >= c->min_args && count <= c->max_args)
		return 0;
	return err_set(e, EINVAL, "%s: %zu arguments given; usage: kobako-oci %s [OPTION...] %s", c->name, count, c->name,
		       c->arguments);
}

static int run_command(const struct command *c, char **argv, struct options *o)
{
	struct err e = { 0 };
	char **args, what[300];
	size_t count;
	int r;

	/* runc's codes: 1, and 255 for an exec that did not come to run. */
	if (options_parse(c->bit, c->in_order, argv, o, &args, &count, &e) < 0)
		return fail(c->name, &e, 1);
	if (o->help)
		return help_of(c, stdout);
	if (count_arguments(c, count, &e) < 0)
		return fail(NULL, &e, 1);
	if (c->max_args) {
		o->id = args[0];
		o->args = args + 1;
		o->arg_count = count - 1;
	}
	snprintf(what, sizeof(what), "%s%s%s", c->name, o->id ? " " : "", o->id ? o->id : "");
	r = o->trace && trace_open(o->trace, what, &e) < 0 ? -1 : traced("end", c->run(o, &e));
	return r < 0 ? fail(c->name, &e, c->bit == FOR_EXEC ? 255 : 1) : r;
}

int main(int argc, char **argv)
{
	const struct command *c;
	struct options o = { 0 };
	struct err e = { 0 };
	char **args, text[1024];
	size_t count;

	if (io_open_stdio(&e) < 0)
		return fail(NULL, &e, 1);
	if (seal_self(argv, environ, &e) < 0)
		log_warning(log_text(&e, text, sizeof(text)));
	if (argc < 1 || options_parse(FOR_GLOBAL, true, argv + 1, &o, &args, &count, &e) < 0)
		return fail(NULL, &e, 1);
	if (o.version) {
		printf("kobako-oci version %s\nspec: 1.3.0\n", KOBAKO_VERSION);
		return 0;
	}
	if (o.help || !count || !strcmp(args[0], "help"))
		return count > 1 && find(args[1]) ? help_of(find(args[1]), stdout) : help(stdout);
	if (log_open(o.log, o.log_format, o.debug, &e) < 0 || absolute_root(&o, &e) < 0)
		return fail(NULL, &e, 1);
	if (o.rootless && strcmp(o.rootless, "true") && strcmp(o.rootless, "false") && strcmp(o.rootless, "auto")) {
		err_set(&e, EINVAL, "option --rootless: \"%.40s\" is not true, false or auto", o.rootless);
		return fail(NULL, &e, 1);
	}
	c = find(args[0]);
	if (!c) {
		err_set(&e, EINVAL, "\"%.40s\" is no command (kobako-oci --help lists them)", args[0]);
		return fail(NULL, &e, 3); /* runc's code */
	}
	return run_command(c, args + 1, &o);
}
