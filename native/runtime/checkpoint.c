/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint and restore: a container's processes into a folder of CRIU's images, and out of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "container/container.h"
#include "runtime/commands.h"
#include "runtime/criu.h"
#include "runtime/external.h"
#include "runtime/log.h"

/* What is asked for and CRIU as a program, without somebody who answers its calls, does not do. */
static int refuse(const struct options *o, const struct spec *spec, struct err *e)
{
	const struct {
		bool given;
		const char *name;
	} options[] = { { o->lazy_pages, "lazy-pages" }, { o->status_fd, "status-fd" }, { o->page_server, "page-server" },
			{ o->console_socket, "console-socket" }, { o->no_pivot, "no-pivot" } };

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (options[i].given)
			return err_set(e, ENOTSUP, "option --%s: is not offered with criu", options[i].name);
	for (size_t i = 0; i < o->empty_ns.count; i++)
		if (strcmp(o->empty_ns.items[i], "network"))
			return err_set(e, EINVAL, "option --empty-ns: \"%.40s\" can't be empty, only network", o->empty_ns.items[i]);
	if (o->cgroups_mode && strcmp(o->cgroups_mode, "soft") && strcmp(o->cgroups_mode, "full") &&
	    strcmp(o->cgroups_mode, "strict") && strcmp(o->cgroups_mode, "ignore"))
		return err_set(e, EINVAL, "option --manage-cgroups-mode: \"%.40s\" is none of soft, full, strict, ignore",
			       o->cgroups_mode);
	if (spec->rdt.present)
		return err_set(e, ENOTSUP, "linux.intelRdt: is not saved or restored");
	if (spec->has_process && spec->process.terminal)
		return err_set(e, ENOTSUP, "process.terminal: a terminal can't be saved or restored");
	return 0;
}

/*
 * Hooks before start belong between namespaces and processes, where CRIU is alone. Asked at checkpoint too: what could
 * not come back is not taken away.
 */
static int refuse_hooks(const struct spec *spec, struct err *e)
{
	for (int kind = HOOK_PRESTART; kind <= HOOK_START_CONTAINER; kind++)
		if (spec->hooks[kind].count)
			return err_set(e, ENOTSUP, "hooks.%s: can't be run when a container is restored", spec_hook_names[kind]);
	return 0;
}

/* An absolute path without links of a folder of ours; made: 0700 when it is not there. */
static int open_folder(const char *option, const char *given, bool make, char ret[PATH_MAX], int *ret_fd, struct err *e)
{
	if (make && mkdir(given, 0700) < 0 && errno != EEXIST)
		return err_set(e, errno, "option --%s: \"%s\"", option, given);
	if (!realpath(given, ret))
		return err_set(e, errno, "option --%s: \"%s\"", option, given);
	*ret_fd = open(ret, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? err_set(e, errno, "option --%s: \"%s\"", option, given) : 0;
}

struct folders {
	char images[PATH_MAX], work[PATH_MAX];
	int images_fd, work_fd;
};

static void folders_close(struct folders *f)
{
	if (f->images_fd >= 0)
		close(f->images_fd);
	if (f->work_fd >= 0)
		close(f->work_fd);
}

static int open_folders(const struct options *o, bool make, struct folders *f, struct err *e)
{
	if (open_folder("image-path", o->image_path ? o->image_path : "checkpoint", make, f->images, &f->images_fd, e) < 0)
		return -e->code;
	if (o->work_path)
		return open_folder("work-path", o->work_path, true, f->work, &f->work_fd, e);
	strcpy(f->work, f->images);
	return 0;
}

/* The options that both directions have. */
static void add_options(const struct options *o, const struct folders *f, const char *log, struct criu *c)
{
	criu_add(c, "--no-default-config");
	criu_add(c, "-v4");
	criu_add(c, "--log-file=%s", log);
	criu_add(c, "--images-dir=%s", f->images);
	criu_add(c, "--work-dir=%s", f->work);
	if (o->tcp_established)
		criu_add(c, "--tcp-established");
	if (o->ext_unix_sk)
		criu_add(c, "--ext-unix-sk");
	if (o->shell_job)
		criu_add(c, "--shell-job");
	if (o->file_locks)
		criu_add(c, "--file-locks");
	if (o->auto_dedup)
		criu_add(c, "--auto-dedup");
	if (o->empty_ns.count)
		criu_add(c, "--empty-ns=net");
}

/* --- checkpoint ----------------------------------------------------------------------------------------- */

static int dump(const struct options *o, const struct state *s, const struct spec *spec, struct err *e)
{
	__attribute__((cleanup(folders_close))) struct folders f = { .images_fd = -1, .work_fd = -1 };
	cleanup_criu struct criu c = { 0 };
	char log[PATH_MAX + 16];

	if (refuse(o, spec, e) < 0 || refuse_hooks(spec, e) < 0 || criu_find(&c, e) < 0 || open_folders(o, true, &f, e) < 0)
		return -e->code;
	criu_add(&c, o->pre_dump ? "pre-dump" : "dump");
	criu_add(&c, "--tree=%d", (int)s->pid);
	add_options(o, &f, "dump.log", &c);
	criu_add(&c, "--root=%s", s->rootfs);
	criu_add(&c, "--manage-cgroups=%s", o->cgroups_mode ? o->cgroups_mode : "soft");
	if (o->leave_running && !o->pre_dump)
		criu_add(&c, "--leave-running");
	if (o->tcp_skip_in_flight)
		criu_add(&c, "--skip-in-flight");
	if (o->link_remap)
		criu_add(&c, "--link-remap");
	if (o->pre_dump || o->parent_path)
		criu_add(&c, "--track-mem");
	if (o->parent_path)
		criu_add(&c, "--prev-images-dir=%s", o->parent_path);
	if (external_save(s, spec, f.images_fd, &c, e) < 0)
		return -e->code;
	snprintf(log, sizeof(log), "%s/dump.log", f.work);
	return criu_run(&c, o->pre_dump ? "pre-dump" : "dump", log, e);
}

int command_checkpoint(const struct options *o, struct err *e)
{
	cleanup_state struct state s = { .lock = -1 };
	struct spec spec = { 0 };
	enum status status;
	int r;

	if (state_load_locked(o->root, o->id, &s, e) < 0)
		return -1;
	status = state_status(&s);
	if (status != STATUS_RUNNING) {
		err_set(e, EINVAL, "container \"%s\" is %s, checkpoint needs running", s.id, status_name(status));
		return -1;
	}
	r = spec_load(s.config, &spec, e);
	if (r == 0)
		r = dump(o, &s, &spec, e);
	spec_free(&spec);
	if (r < 0)
		return -1;
	/* As runc: what was saved is no longer here, neither its processes nor its cgroup. */
	return o->leave_running || o->pre_dump || container_destroy(&s, e) == 0 ? 0 : -1;
}

/* --- restore -------------------------------------------------------------------------------------------- */

static int keep_config(struct state *s, struct spec *spec, struct err *e)
{
	cleanup_free char *from = path_join(s->bundle, "config.json"), *text = NULL;
	size_t len;

	if (!from)
		return err_set(e, ENOMEM, "path of config.json");
	if (io_read_file_at(AT_FDCWD, from, SPEC_MAX_BYTES, &text, &len, e) < 0)
		return -e->code;
	if (spec_parse(text, len, spec, e) < 0)
		return err_wrap(e, "config.json");
	return io_write_atomic_at(s->lock, "config.json", text, len, 0600, e);
}

/* CRIU works, and clones, inside the container's cgroup: its limits hold from the first process on. */
static int make_cgroup(struct state *s, const struct spec *spec, struct cgroup_join *join, struct err *e)
{
	struct jnode resources = json_top(spec->resources, "linux.resources");
	struct cgroup_made made;

	if (cgroup_path(spec->cgroups_path, s->id, s->cgroup, e) < 0 || cgroup_create(s->cgroup, &made, e) < 0)
		return -e->code;
	if (cgroup_check_free(s->cgroup, &made, e) < 0) {
		cgroup_undo(s->cgroup, &made);
		return -e->code;
	}
	if (state_claim(s, false, e) < 0 || cgroup_apply(s->cgroup, &resources, e) < 0 || cgroup_join_open(s->cgroup, join, e) < 0)
		return -e->code;
	return 0;
}

static int read_pid(const struct state *s, pid_t *ret, struct err *e)
{
	char text[32];
	ssize_t n = io_read_small_at(s->lock, "criu.pid", text, sizeof(text));
	long pid = n > 0 ? strtol(text, NULL, 10) : 0;

	if (pid <= 0)
		return err_set(e, EPROTO, "criu restore: no process id was left");
	*ret = (pid_t)pid;
	unlinkat(s->lock, "criu.pid", 0);
	return 0;
}

static int bring_back(const struct options *o, struct state *s, struct spec *spec, struct folders *f, struct criu *c,
		      struct err *e)
{
	struct cgroup_join join;
	char log[PATH_MAX + 16], root[PATH_MAX + 16];
	int r;

	if (keep_config(s, spec, e) < 0 || refuse(o, spec, e) < 0 || refuse_hooks(spec, e) < 0 ||
	    state_describe(s, spec, e) < 0)
		return -e->code;
	snprintf(root, sizeof(root), "%s/criu-root", s->dir);
	if (mkdirat(s->lock, "criu-root", 0700) < 0)
		return err_set(e, errno, "make \"%s\"", root);
	criu_add(c, "restore");
	add_options(o, f, "restore.log", c);
	criu_add(c, "--restore-detached");
	criu_add(c, "--restore-sibling"); /* our child, not its own: attended to, or left to our parent */
	criu_add(c, "--pidfile=%s/criu.pid", s->dir);
	criu_add(c, "--root=%s", root);
	criu_add(c, "--manage-cgroups=%s", o->cgroups_mode ? o->cgroups_mode : "soft");
	if (o->lsm_profile)
		criu_add(c, "--lsm-profile=%s", o->lsm_profile);
	if (o->lsm_mount_context)
		criu_add(c, "--lsm-mount-context=%s", o->lsm_mount_context);
	if (external_load(s, spec, f->images_fd, c, e) < 0 || make_cgroup(s, spec, &join, e) < 0)
		return -e->code;
	c->join = &join;
	c->root_from = s->rootfs;
	c->root_at = root;
	snprintf(log, sizeof(log), "%s/restore.log", f->work);
	r = criu_run(c, "restore", log, e);
	cgroup_join_close(&join);
	unlinkat(s->lock, "criu-root", AT_REMOVEDIR);
	if (r < 0 || read_pid(s, &s->pid, e) < 0)
		return -e->code;
	state_set_init(s, s->pid);
	state_now(s->created, sizeof(s->created));
	if (state_save(s, e) < 0 || announce(o, s->pid, e) < 0)
		return -e->code;
	return s->hooks & 1u << HOOK_POSTSTART ?
		       container_hooks(s->config, "poststart", s->id, s->bundle, "running", s->pid, e) : 0;
}

/* Nothing of a failed restore stays. */
static void undo_restore(struct state *s)
{
	char text[1024];
	struct err why;

	unlinkat(s->lock, "criu-root", AT_REMOVEDIR);
	container_remains(s, false);
	if (container_destroy(s, &why) < 0)
		log_warning(log_text(&why, text, sizeof(text)));
}

/* Leaves *s locked. What needs no container is looked at before there is one. */
static int restore(const struct options *o, struct state *s, struct err *e)
{
	__attribute__((cleanup(folders_close))) struct folders f = { .images_fd = -1, .work_fd = -1 };
	cleanup_criu struct criu c = { 0 };
	struct spec spec = { 0 };
	int r;

	if (o->systemd_cgroup)
		return err_set(e, ENOTSUP, "option --systemd-cgroup: restore makes no units");
	if (state_open(o->root, o->id, s, e) < 0 || criu_find(&c, e) < 0 || open_folders(o, false, &f, e) < 0)
		return -e->code;
	if (!realpath(o->bundle ? o->bundle : ".", s->bundle))
		return err_set(e, errno, "bundle \"%s\"", o->bundle ? o->bundle : ".");
	if (state_make(o->root, s, e) < 0)
		return -e->code;
	r = bring_back(o, s, &spec, &f, &c, e);
	if (r < 0)
		undo_restore(s);
	spec_free(&spec);
	return r;
}

int command_restore(const struct options *o, struct err *e)
{
	cleanup_state struct state s = { .lock = -1 };
	int code;

	if (!o->detach && !o->no_subreaper && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
		err_set(e, errno, "become a subreaper");
		return -1;
	}
	if (restore(o, &s, e) < 0)
		return -1;
	if (o->detach)
		return 0;
	state_close(&s); /* other commands may have it while it runs */
	code = attend_process(s.pid, -1);
	/* As in run: somebody else may have removed it, and made another of this name. */
	if (state_load_locked(o->root, o->id, &s, e) < 0)
		return e->code == ENOENT ? code : -1;
	if (state_status(&s) != STATUS_STOPPED)
		return code;
	return container_destroy(&s, e) < 0 ? -1 : code;
}
