/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, TEXT, LIST };

struct rule {
	const char *name;
	const char *brief; /* one letter, or NULL */
	enum kind kind;
	size_t offset;
	unsigned int commands;
	const char *help;
};

#define AT(member) offsetof(struct options, member)
#define STARTS (FOR_CREATE | FOR_RUN)
#define IMAGES (FOR_CHECKPOINT | FOR_RESTORE)

static const struct rule rules[] = {
	{ "root", NULL, TEXT, AT(root), FOR_GLOBAL, "folder of the containers' state (default: /run/kobako-oci)" },
	{ "log", NULL, TEXT, AT(log), FOR_GLOBAL, "file that errors and warnings are appended to, beside stderr" },
	{ "log-format", NULL, TEXT, AT(log_format), FOR_GLOBAL, "text (default) or json" },
	{ "debug", NULL, FLAG, AT(debug), FOR_GLOBAL, "log what is done as well" },
	{ "systemd-cgroup", NULL, FLAG, AT(systemd_cgroup), FOR_GLOBAL,
	  "let systemd make the cgroups; cgroupsPath is \"slice:prefix:name\"" },
	{ "rootless", NULL, TEXT, AT(rootless), FOR_GLOBAL, "go on without the right to make cgroups: true, false or auto (default)" },
	{ "trace", NULL, TEXT, AT(trace), FOR_GLOBAL, "file that the time of each step is appended to, in microseconds" },
	{ "version", "v", FLAG, AT(version), FOR_GLOBAL, "print the version" },
	{ "help", "h", FLAG, AT(help), ~0U, "show this help" },

	{ "bundle", "b", TEXT, AT(bundle), STARTS | FOR_SPEC | FOR_RESTORE, "the bundle's folder (default: the current one)" },
	{ "console-socket", NULL, TEXT, AT(console_socket), STARTS | FOR_EXEC | FOR_RESTORE,
	  "unix socket that is sent the terminal's master end" },
	{ "pidfd-socket", NULL, TEXT, AT(pidfd_socket), STARTS | FOR_EXEC, "unix socket that is sent a pidfd of the process" },
	{ "pid-file", NULL, TEXT, AT(pid_file), STARTS | FOR_EXEC | FOR_RESTORE, "file that the process id is written to" },
	{ "no-pivot", NULL, FLAG, AT(no_pivot), STARTS | FOR_RESTORE, "move the root instead of pivot_root, for a rootfs on a ramdisk" },
	{ "no-new-keyring", NULL, FLAG, AT(no_new_keyring), STARTS, "keep the caller's session keyring" },
	{ "preserve-fds", NULL, TEXT, AT(preserve_fds), STARTS | FOR_EXEC, "pass N more descriptors, after stdio and $LISTEN_FDS" },
	{ "detach", "d", FLAG, AT(detach), FOR_RUN | FOR_EXEC | FOR_RESTORE, "do not wait for the process" },
	{ "keep", NULL, FLAG, AT(keep), FOR_RUN, "leave the container after its process has ended" },
	{ "no-subreaper", NULL, FLAG, AT(no_subreaper), FOR_RUN | FOR_RESTORE, "do not become the parent of orphans" },

	{ "process", "p", TEXT, AT(process_file), FOR_EXEC, "file with the process object" },
	{ "cwd", NULL, TEXT, AT(cwd), FOR_EXEC, "working folder" },
	{ "env", "e", LIST, AT(env), FOR_EXEC, "NAME=VALUE added to the environment" },
	{ "tty", "t", FLAG, AT(tty), FOR_EXEC, "give the process a terminal" },
	{ "user", "u", TEXT, AT(user), FOR_EXEC, "UID[:GID]" },
	{ "additional-gids", "g", LIST, AT(gids), FOR_EXEC, "one more group" },
	{ "process-label", NULL, TEXT, AT(process_label), FOR_EXEC, "SELinux label" },
	{ "apparmor", NULL, TEXT, AT(apparmor), FOR_EXEC, "AppArmor profile" },
	{ "no-new-privs", NULL, FLAG, AT(no_new_privs), FOR_EXEC, "set no_new_privs" },
	{ "cap", "c", LIST, AT(caps), FOR_EXEC, "one more capability" },
	{ "cgroup", NULL, LIST, AT(cgroups), FOR_EXEC, "[CONTROLLER[,CONTROLLER]:]PATH: an existing cgroup below the container's" },
	{ "ignore-paused", NULL, FLAG, AT(ignore_paused), FOR_EXEC, "also in a paused container" },

	{ "all", "a", FLAG, AT(all), FOR_KILL, "signal all processes; one that has ended is no error" },
	{ "force", "f", FLAG, AT(force), FOR_DELETE, "kill it first; an unknown container is no error" },
	{ "format", "f", TEXT, AT(format), FOR_LIST | FOR_PS, "table (default) or json" },
	{ "quiet", "q", FLAG, AT(quiet), FOR_LIST, "ids only" },
	{ "interval", NULL, TEXT, AT(interval), FOR_EVENTS, "time between two statistics, as 500ms or 1m30s (default: 5s)" },
	{ "stats", NULL, FLAG, AT(stats), FOR_EVENTS, "print the statistics once" },
	{ "rootless", NULL, FLAG, AT(spec_rootless), FOR_SPEC, "for a container without root's rights" },

	{ "resources", "r", TEXT, AT(resources), FOR_UPDATE, "JSON file with linux.resources, - for stdin; the other options do not count then" },
	{ "blkio-weight", NULL, TEXT, AT(blkio_weight), FOR_UPDATE, "10 to 1000" },
	{ "cpu-period", NULL, TEXT, AT(cpu_period), FOR_UPDATE, "CFS period, microseconds" },
	{ "cpu-quota", NULL, TEXT, AT(cpu_quota), FOR_UPDATE, "CFS quota per period, microseconds; -1: none" },
	{ "cpu-burst", NULL, TEXT, AT(cpu_burst), FOR_UPDATE, "CFS burst, microseconds" },
	{ "cpu-share", NULL, TEXT, AT(cpu_share), FOR_UPDATE, "relative weight" },
	{ "cpu-rt-period", NULL, TEXT, AT(cpu_rt_period), FOR_UPDATE, "realtime period, microseconds" },
	{ "cpu-rt-runtime", NULL, TEXT, AT(cpu_rt_runtime), FOR_UPDATE, "realtime runtime, microseconds" },
	{ "cpuset-cpus", NULL, TEXT, AT(cpuset_cpus), FOR_UPDATE, "processors, as 0-2,4" },
	{ "cpuset-mems", NULL, TEXT, AT(cpuset_mems), FOR_UPDATE, "memory nodes" },
	{ "cpu-idle", NULL, TEXT, AT(cpu_idle), FOR_UPDATE, "1: only what nobody else wants" },
	{ "memory", NULL, TEXT, AT(memory), FOR_UPDATE, "limit in bytes, or with k, m, g; -1: none" },
	{ "memory-reservation", NULL, TEXT, AT(memory_reservation), FOR_UPDATE, "soft limit" },
	{ "memory-swap", NULL, TEXT, AT(memory_swap), FOR_UPDATE, "memory and swap together; -1: no limit" },
	{ "kernel-memory", NULL, TEXT, AT(kernel_memory), FOR_UPDATE, NULL },
	{ "kernel-memory-tcp", NULL, TEXT, AT(kernel_memory_tcp), FOR_UPDATE, NULL },
	{ "pids-limit", NULL, TEXT, AT(pids_limit), FOR_UPDATE, "number of processes; -1: no limit" },
	{ "l3-cache-schema", NULL, TEXT, AT(l3_cache_schema), FOR_UPDATE, "schema of the L3 cache (linux.intelRdt.l3CacheSchema)" },
	{ "mem-bw-schema", NULL, TEXT, AT(mem_bw_schema), FOR_UPDATE, "schema of memory bandwidth (linux.intelRdt.memBwSchema)" },

	{ "image-path", NULL, TEXT, AT(image_path), IMAGES, "folder of the images (default: ./checkpoint)" },
	{ "work-path", NULL, TEXT, AT(work_path), IMAGES, "folder for CRIU's log and work files" },
	{ "parent-path", NULL, TEXT, AT(parent_path), FOR_CHECKPOINT, "images of an earlier --pre-dump, relative to --image-path" },
	{ "leave-running", NULL, FLAG, AT(leave_running), FOR_CHECKPOINT, "the container runs on" },
	{ "tcp-established", NULL, FLAG, AT(tcp_established), IMAGES, "open TCP connections too" },
	{ "tcp-skip-in-flight", NULL, FLAG, AT(tcp_skip_in_flight), FOR_CHECKPOINT, "leave connections out that are being made" },
	{ "link-remap", NULL, FLAG, AT(link_remap), FOR_CHECKPOINT, "link unlinked files back" },
	{ "ext-unix-sk", NULL, FLAG, AT(ext_unix_sk), IMAGES, "unix sockets to outside too" },
	{ "shell-job", NULL, FLAG, AT(shell_job), IMAGES, "jobs of a shell on a terminal too" },
	{ "lazy-pages", NULL, FLAG, AT(lazy_pages), IMAGES, "memory comes later, by userfaultfd" },
	{ "status-fd", NULL, TEXT, AT(status_fd), FOR_CHECKPOINT, "descriptor that is written a 0 byte when lazy pages are ready" },
	{ "page-server", NULL, TEXT, AT(page_server), FOR_CHECKPOINT, "ADDRESS:PORT that memory is sent to" },
	{ "file-locks", NULL, FLAG, AT(file_locks), IMAGES, "file locks too" },
	{ "pre-dump", NULL, FLAG, AT(pre_dump), FOR_CHECKPOINT, "memory only; the container runs on" },
	{ "manage-cgroups-mode", NULL, TEXT, AT(cgroups_mode), IMAGES, "soft (default), full, strict or ignore" },
	{ "empty-ns", NULL, LIST, AT(empty_ns), IMAGES, "make this namespace, empty: network" },
	{ "auto-dedup", NULL, FLAG, AT(auto_dedup), IMAGES, "free memory images while they are read" },
	{ "lsm-profile", NULL, TEXT, AT(lsm_profile), FOR_RESTORE, "apparmor:NAME or selinux:LABEL" },
	{ "lsm-mount-context", NULL, TEXT, AT(lsm_mount_context), FOR_RESTORE, "SELinux context of mounts" },
};
#define RULES (sizeof(rules) / sizeof(rules[0]))

static const struct rule *find(enum command_bit bit, const char *name, size_t len)
{
	for (size_t i = 0; i < RULES; i++) {
		const struct rule *r = &rules[i];

		if ((r->commands & bit) && ((strlen(r->name) == len && !memcmp(r->name, name, len)) ||
					    (r->brief && len == 1 && *r->brief == *name)))
			return r;
	}
	return NULL;
}

static int append(struct option_list *list, const char *value, struct err *e)
{
	const char **more = realloc(list->items, (list->count + 1) * sizeof(*more));

	if (!more)
		return err_set(e, ENOMEM, "command line");
	more[list->count++] = value;
	list->items = more;
	return 0;
}

static int set_flag(const struct rule *r, struct options *o, const char *value, struct err *e)
{
	bool *flag = (bool *)((char *)o + r->offset);

	if (!value || !strcmp(value, "true") || !strcmp(value, "1"))
		*flag = true;
	else if (!strcmp(value, "false") || !strcmp(value, "0"))
		*flag = false;
	else
		return err_set(e, EINVAL, "option --%s: \"%.40s\" is neither true nor false", r->name, value);
	if (flag == &o->no_new_privs)
		o->no_new_privs_given = true;
	return 0;
}

/* One option; `next` is the word behind it. Returns how many words were used, or -errno. */
static int take(enum command_bit bit, const char *word, const char *next, struct options *o, struct err *e)
{
	const char *name = word + (word[1] == '-' ? 2 : 1), *value = strchr(name, '=');
	const struct rule *r = find(bit, name, value ? (size_t)(value - name) : strlen(name));
	int used = 1;

	if (!r)
		return err_set(e, EINVAL, "option %.60s: is not known here", word);
	if (value)
		value++;
	if (r->kind == FLAG)
		return set_flag(r, o, value, e) < 0 ? -e->code : 1;
	if (!value) {
		if (!next)
			return err_set(e, EINVAL, "option --%s: needs a value", r->name);
		value = next;
		used = 2;
	}
	if (r->kind == LIST)
		return append((struct option_list *)((char *)o + r->offset), value, e) < 0 ? -e->code : used;
	*(const char **)((char *)o + r->offset) = value;
	return used;
}

int options_parse(enum command_bit bit, bool in_order, char **argv, struct options *o, char ***ret_args,
		  size_t *ret_count, struct err *e)
{
	size_t kept = 0, i = 0;

	while (argv[i]) {
		int used;

		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		if (argv[i][0] != '-' || !argv[i][1]) {
			if (in_order)
				break;
			argv[kept++] = argv[i++];
			continue;
		}
		used = take(bit, argv[i], argv[i + 1], o, e);
		if (used < 0)
			return used;
		i += (size_t)used;
	}
	while (argv[i])
		argv[kept++] = argv[i++];
	argv[kept] = NULL;
	*ret_args = argv;
	*ret_count = kept;
	return 0;
}

void options_help(enum command_bit bit, FILE *to)
{
	for (size_t i = 0; i < RULES; i++) {
		const struct rule *r = &rules[i];
		char name[64];

		if (!(r->commands & bit) || !r->help)
			continue;
		snprintf(name, sizeof(name), "--%s%s%s%s", r->name, r->kind == FLAG ? "" : " VALUE", r->brief ? ", -" : "",
			 r->brief ? r->brief : "");
		fprintf(to, "   %-32s %s\n", name, r->help);
	}
}

int option_number(const char *name, const char *text, int64_t min, int64_t max, int64_t *ret, struct err *e)
{
	char *end;
	long long n;

	if (!text)
		return 0;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno || end == text || *end || n < min || n > max)
		return err_set(e, EINVAL, "option --%s: \"%.40s\" is no whole number from %lld to %lld", name, text,
			       (long long)min, (long long)max);
	*ret = n;
	return 0;
}
