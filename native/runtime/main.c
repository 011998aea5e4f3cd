/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kobako-oci: the bundled OCI runtime as a command, with runc's command line.
 *   kobako-oci [global options] create|start|run|state|kill|delete|exec|features|spec [options] [id] ...
 * Thin over native/container; the state on disk is state.h's.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/seal.h"
#include "runtime/commands.h"

enum { OPT_ROOT = 256, OPT_LOG, OPT_LOG_FORMAT, OPT_IGNORED, OPT_SYSTEMD, OPT_CONSOLE, OPT_PID_FILE, OPT_CWD, OPT_NNP, OPT_VERSION };

/* Options of runc that ask for nothing here are accepted; one that asks for something is an error. */
static const struct option global_options[] = {
	{ "root", required_argument, NULL, OPT_ROOT },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "log-format", required_argument, NULL, OPT_LOG_FORMAT },
	{ "debug", no_argument, NULL, OPT_IGNORED },
	{ "systemd-cgroup", no_argument, NULL, OPT_SYSTEMD },
	{ "rootless", required_argument, NULL, OPT_IGNORED },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const struct option command_options[] = {
	{ "bundle", required_argument, NULL, 'b' },
	{ "console-socket", required_argument, NULL, OPT_CONSOLE },
	{ "pid-file", required_argument, NULL, OPT_PID_FILE },
	{ "process", required_argument, NULL, 'p' },
	{ "cwd", required_argument, NULL, OPT_CWD },
	{ "env", required_argument, NULL, 'e' },
	{ "user", required_argument, NULL, 'u' },
	{ "tty", no_argument, NULL, 't' },
	{ "detach", no_argument, NULL, 'd' },
	{ "force", no_argument, NULL, 'f' },
	{ "all", no_argument, NULL, 'a' },
	{ "no-new-privs", no_argument, NULL, OPT_NNP },
	{ NULL, 0, NULL, 0 },
};

static const struct {
	const char *name;
	int (*run)(const struct options *o, struct err *e);
	bool needs_id;
	const char *usage;
} commands[] = {
	{ "create", command_create, true, "create [-b BUNDLE] [--console-socket PATH] [--pid-file PATH] ID" },
	{ "start", command_start, true, "start ID" },
	{ "run", command_run, true, "run [-d] [-b BUNDLE] [--console-socket PATH] [--pid-file PATH] ID" },
	{ "state", command_state, true, "state ID" },
	{ "kill", command_kill, true, "kill [-a] ID [SIGNAL]" },
	{ "delete", command_delete, true, "delete [-f] ID" },
	{ "exec", command_exec, true,
	  "exec [-d] [-t] [-e K=V] [-u UID[:GID]] [--cwd PATH] [-p PROCESS.json] [--console-socket PATH] [--pid-file PATH] ID [ARGS...]" },
	{ "features", command_features, false, "features" },
	{ "spec", command_spec, false, "spec [-b BUNDLE]" },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

void command_warn(const char *text)
{
	fprintf(stderr, "kobako-oci: warning: %s\n", text);
}

/* Where engines look for the reason: the log file, as text or as one JSON object per line. */
static void log_error(const struct options *o, const char *text)
{
	FILE *f = o->log ? fopen(o->log, "ae") : NULL;
	char stamp[40];
	time_t now = time(NULL);
	struct tm tm;
	json_t *line;
	char *dump;

	fprintf(stderr, "kobako-oci: %s\n", text);
	if (!f)
		return;
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	line = json_pack("{ss ss ss}", "level", "error", "msg", text, "time", stamp);
	dump = o->log_json && line ? json_text(line, JSON_COMPACT) : NULL;
	if (dump)
		fprintf(f, "%s\n", dump);
	else
		fprintf(f, "time=\"%s\" level=error msg=\"%s\"\n", stamp, text);
	free(dump);
	json_decref(line);
	fclose(f);
}

static int usage(FILE *to)
{
	fprintf(to, "usage: kobako-oci [--root DIR] [--log FILE] [--log-format text|json] COMMAND\n");
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "  %s\n", commands[i].usage);
	return to == stdout ? 0 : 1;
}

static int parse_global(int argc, char **argv, struct options *o)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "+hv", global_options, NULL)) != -1) {
		switch (opt) {
		case OPT_ROOT: o->root = optarg; break;
		case OPT_LOG: o->log = optarg; break;
		case OPT_LOG_FORMAT: o->log_json = !strcmp(optarg, "json"); break;
		case OPT_IGNORED: break;
		case OPT_SYSTEMD: o->systemd_cgroup = true; break;
		case 'v':
		case OPT_VERSION:
			printf("kobako-oci version %s\nspec: 1.3.0\n", KOBAKO_VERSION);
			exit(0);
		case 'h': exit(usage(stdout));
		default: return -1;
		}
	}
	return 0;
}

static int parse_command(int argc, char **argv, struct options *o)
{
	int opt;

	optind = 0; /* begin anew: both libraries reset at 0 */
	while ((opt = getopt_long(argc, argv, "+b:p:e:u:tdfa", command_options, NULL)) != -1) {
		switch (opt) {
		case 'b': o->bundle = optarg; break;
		case OPT_CONSOLE: o->console_socket = optarg; break;
		case OPT_PID_FILE: o->pid_file = optarg; break;
		case 'p': o->process_file = optarg; break;
		case OPT_CWD: o->cwd = optarg; break;
		case 'e':
			if (o->env_count == sizeof(o->env) / sizeof(o->env[0]))
				return -1;
			o->env[o->env_count++] = optarg;
			break;
		case 'u': o->user = optarg; break;
		case 't': o->tty = true; break;
		case 'd': o->detach = true; break;
		case 'f': o->force = true; break;
		case 'a': o->all = true; break;
		case OPT_NNP: o->no_new_privs = true; break;
		default: return -1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = { .root = "/run/kobako-oci" };
	struct err e = { 0 };
	char text[1024];
	size_t i;
	int r;

	if (seal_self(argv, environ, &e) < 0)
		command_warn(err_text(&e, text, sizeof(text)));
	if (parse_global(argc, argv, &o) < 0 || optind >= argc)
		return usage(stderr);
	argc -= optind;
	argv += optind;
	for (i = 0; i < COMMANDS; i++)
		if (!strcmp(argv[0], commands[i].name))
			break;
	if (i == COMMANDS) {
		fprintf(stderr, "kobako-oci: \"%s\" is no command\n", argv[0]);
		return usage(stderr);
	}
	if (parse_command(argc, argv, &o) < 0 || (commands[i].needs_id && optind >= argc)) {
		fprintf(stderr, "usage: kobako-oci %s\n", commands[i].usage);
		return 1;
	}
	if (commands[i].needs_id)
		o.id = argv[optind++];
	o.args = argv + optind;
	r = commands[i].run(&o, &e);
	if (r < 0) {
		log_error(&o, err_text(&e, text, sizeof(text)));
		/* runc's codes: 1, and 255 for an exec that did not come to run. */
		return commands[i].run == command_exec ? 255 : 1;
	}
	return r;
}
