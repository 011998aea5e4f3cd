/* SPDX-License-Identifier: Apache-2.0 */
#include "systemd.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys.h"
#include "cgroup/dbus.h"
#include "cgroup/internal.h"
#include "cgroup/systemd-properties.h"

enum { TIMEOUT_MS = 30000 };

static const struct dbus_target manager = { "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
					    "org.freedesktop.systemd1.Manager" };

int systemd_unit(const char *cgroups_path, const char *id, struct systemd_unit *ret, struct err *e)
{
	const char *colon = cgroups_path ? strchr(cgroups_path, ':') : NULL, *second = colon ? strchr(colon + 1, ':') : NULL;
	char given[CGROUP_PATH_MAX];
	const char *last;

	if (cgroups_path && (!second || *cgroups_path == '/' || strchr(second + 1, ':')))
		return err_set(e, EINVAL,
			       "linux.cgroupsPath: \"%.200s\" is not \"slice:prefix:name\", which the systemd driver takes",
			       cgroups_path);
	if ((size_t)snprintf(given, sizeof(given), "%s%s", cgroups_path ? cgroups_path : ":kobako:",
			     cgroups_path ? "" : id) >= sizeof(given))
		return err_set(e, ENAMETOOLONG, "linux.cgroupsPath");
	if (cgroup_path(given, id, ret->path, e) < 0)
		return -e->code;
	colon = strchr(given, ':');
	last = strrchr(ret->path, '/') + 1;
	if (strlen(last) >= sizeof(ret->name) || (size_t)(colon - given) >= sizeof(ret->slice) - 16)
		return err_set(e, ENAMETOOLONG, "linux.cgroupsPath \"%.100s\": name of the unit", given);
	strcpy(ret->name, last);
	if (colon == given)
		strcpy(ret->slice, "system.slice");
	else
		snprintf(ret->slice, sizeof(ret->slice), "%.*s", (int)(colon - given), given);
	return 0;
}

int systemd_unit_of_path(const char *path, struct systemd_unit *ret, struct err *e)
{
	const char *name = strrchr(path, '/'), *slice = name;
	size_t len = name ? strlen(name) : 0;
	char given[CGROUP_PATH_MAX];

	while (slice && slice > path && *--slice != '/')
		;
	/* Said in the other form and compared: only a path that systemd would give is one. */
	if (len > 7 && !strcmp(name + len - 6, ".scope") && slice != name &&
	    (size_t)snprintf(given, sizeof(given), "%.*s::%.*s", (int)(name - slice - 1), slice + 1, (int)len - 7, name + 1) <
		    sizeof(given) &&
	    systemd_unit(given, "", ret, e) == 0 && !strcmp(ret->path, path))
		return 0;
	return err_set(e, EINVAL, "cgroup path \"%.200s\" is not that of a scope in a slice", path);
}

int systemd_running(struct err *e)
{
	struct stat st;

	if (geteuid() != 0)
		return err_set(e, EPERM, "the systemd cgroup driver serves root alone: leave --systemd-cgroup out, and give linux.cgroupsPath as a path");
	if (lstat("/run/systemd/system", &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	return err_set(e, ENOTSUP,
		       "the systemd cgroup driver: this machine does not run systemd (no /run/systemd/system): use cgroupfs, and a "
		       "path for linux.cgroupsPath");
}

static int connect_to_manager(struct dbus *b, struct err *e)
{
	static const struct dbus_target bus = { "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus" };
	struct dbus_message answer;
	struct dbus_out match = { 0 };
	int r;

	b->fd = -1;
	b->in = NULL;
	if (systemd_running(e) < 0)
		return -e->code;
	if (dbus_open(b, "/run/systemd/private", false, TIMEOUT_MS, e) == 0)
		return 0;
	dbus_close(b);
	if (dbus_open(b, "/run/dbus/system_bus_socket", true, TIMEOUT_MS, e) < 0)
		return err_wrap(e, "connect to systemd");
	/* On a bus signals come only to those who asked. */
	dbus_put_string(&match, "type='signal',sender='org.freedesktop.systemd1',member='JobRemoved'");
	r = dbus_call(b, &bus, "AddMatch", "s", &match, &answer, e);
	dbus_out_free(&match);
	return r == 0 ? dbus_call(b, &manager, "Subscribe", "", NULL, &answer, e) : r;
}

/* Waits until the job of the answer is over: "done" is the only good end. */
static int wait_for_job(struct dbus *b, struct dbus_message *answer, const char *unit, struct err *e)
{
	const char *path, *result = "";
	char job[256];

	if (dbus_get_string(answer, &path) < 0 || strlen(path) >= sizeof(job))
		return err_set(e, EPROTO, "unit %s: systemd's answer can't be read", unit);
	strcpy(job, path); /* it lies in the buffer of the next message */
	for (;;) {
		struct dbus_message m;
		uint32_t id;
		const char *name;

		if (dbus_next(b, &m, e) < 0)
			return err_wrap(e, "unit %s: wait for its job", unit);
		if (m.type != DBUS_SIGNAL || strcmp(m.member, "JobRemoved") || strcmp(m.signature, "uoss"))
			continue;
		if (dbus_get_u32(&m, &id) < 0 || dbus_get_string(&m, &path) < 0 || dbus_get_string(&m, &name) < 0 ||
		    dbus_get_string(&m, &result) < 0 || strcmp(path, job))
			continue;
		return strcmp(result, "done") ? err_set(e, EIO, "unit %s: its job ended as \"%s\"", unit, result) : 0;
	}
}

/* An error that was overcome (the private socket is not there, the unit had to be cleared away) is none. */
static int settled(int r, struct err *e)
{
	if (r == 0)
		*e = (struct err){ 0 };
	return r;
}

static void reset_failed(struct dbus *b, const char *unit)
{
	struct dbus_out body = { 0 };
	struct dbus_message answer;
	struct err ignored;

	dbus_put_string(&body, unit);
	dbus_call(b, &manager, "ResetFailedUnit", "s", &body, &answer, &ignored);
	dbus_out_free(&body);
}

/* Which names systemd's properties have follows where the controllers are. */
static bool unified(struct err *e)
{
	const struct cgroup_host *host = cgroup_host(e);
	int i = host ? cgroup_find(host, CG_MEMORY) : -1;

	return i >= 0 && host->list[i].v2;
}

static int put_start(struct dbus_out *o, const struct systemd_unit *u, const struct jnode *resources,
		     const json_t *annotations, pid_t member, struct err *e)
{
	struct jnode more = json_top(annotations, "annotations");
	bool slice = strlen(u->name) > 6 && !strcmp(u->name + strlen(u->name) - 6, ".slice");
	static const char *const counted[] = { "MemoryAccounting", "CPUAccounting", "TasksAccounting" };
	char text[SYSTEMD_NAME_MAX + 32];
	size_t begun, list;
	int r = 0;

	dbus_put_string(o, u->name);
	dbus_put_string(o, "replace");
	begun = dbus_array_begin(o, 8);
	snprintf(text, sizeof(text), "kobako container %s", u->name);
	property_string(o, "Description", text);
	if (slice) {
		property(o, "Wants", "as");
		list = dbus_array_begin(o, 4);
		dbus_put_string(o, u->slice);
		dbus_array_end(o, list, 4);
	} else {
		property_string(o, "Slice", u->slice);
		property(o, "PIDs", "au");
		list = dbus_array_begin(o, 4);
		dbus_put_u32(o, (uint32_t)member);
		dbus_array_end(o, list, 4);
		property_bool(o, "Delegate", true);
	}
	property_bool(o, "DefaultDependencies", false);
	/* A unit whose processes were killed goes by itself. */
	property_string(o, "CollectMode", "inactive-or-failed");
	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
		property_bool(o, counted[i], true);
	property_bool(o, unified(e) ? "IOAccounting" : "BlockIOAccounting", true);
	if ((resources && (r = properties_of_resources(o, resources, unified(e), true, e)) < 0) ||
	    (r = properties_of_annotations(o, &more, e)) < 0)
		return r;
	dbus_array_end(o, begun, 8);
	begun = dbus_array_begin(o, 8); /* no further units */
	dbus_array_end(o, begun, 8);
	return 0;
}

int systemd_start(const struct systemd_unit *u, const struct jnode *resources, const json_t *annotations, pid_t member,
		  struct err *e)
{
	struct dbus_out body = { 0 };
	struct dbus_message answer;
	struct dbus b;
	int r = connect_to_manager(&b, e);

	if (r == 0)
		r = put_start(&body, u, resources, annotations, member, e);
	for (int turn = 0; r == 0; turn++) {
		r = dbus_call(&b, &manager, "StartTransientUnit", "ssa(sv)a(sa(sv))", &body, &answer, e);
		if (r == 0) {
			r = wait_for_job(&b, &answer, u->name, e);
			if (r < 0)
				reset_failed(&b, u->name);
			break;
		}
		if (r != -EREMOTEIO || strcmp(answer.error, "org.freedesktop.systemd1.UnitExists"))
			break;
		if (turn == 1) {
			r = err_set(e, EEXIST, "unit %s", u->name);
			break;
		}
		/* It may be a failed one, which is nobody's any more. */
		reset_failed(&b, u->name);
		r = 0;
	}
	dbus_out_free(&body);
	dbus_close(&b);
	return settled(r, e);
}

int systemd_begin(const struct systemd_unit *u, const struct jnode *resources, const json_t *annotations,
		  pid_t *ret_waiter, struct err *e)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
			_exit(1);
		sys_close_range(0, UINT_MAX, 0); /* whose ends somebody waits for */
		for (;;)
			pause();
	}
	if (pid < 0)
		return err_set(e, errno, "fork");
	if (systemd_start(u, resources, annotations, pid, e) < 0) {
		systemd_end_waiter(&pid);
		return -e->code;
	}
	*ret_waiter = pid;
	return 0;
}

void systemd_end_waiter(pid_t *waiter)
{
	if (*waiter <= 0)
		return;
	kill(*waiter, SIGKILL);
	while (waitpid(*waiter, NULL, 0) < 0 && errno == EINTR)
		;
	*waiter = 0;
}

int systemd_update(const char *name, const struct jnode *resources, struct err *e)
{
	struct dbus_out body = { 0 };
	struct dbus_message answer;
	struct dbus b;
	size_t begun;
	int r = connect_to_manager(&b, e);

	if (r == 0) {
		dbus_put_string(&body, name);
		dbus_put_bool(&body, true); /* as long as the unit lives */
		begun = dbus_array_begin(&body, 8);
		r = properties_of_resources(&body, resources, unified(e), false, e);
		dbus_array_end(&body, begun, 8);
	}
	if (r == 0)
		r = dbus_call(&b, &manager, "SetUnitProperties", "sba(sv)", &body, &answer, e);
	dbus_out_free(&body);
	dbus_close(&b);
	return settled(r, e);
}

int systemd_stop(const char *name, struct err *e)
{
	struct dbus_out body = { 0 };
	struct dbus_message answer;
	struct dbus b;
	int r = connect_to_manager(&b, e);

	if (r == 0) {
		dbus_put_string(&body, name);
		dbus_put_string(&body, "replace");
		r = dbus_call(&b, &manager, "StopUnit", "ss", &body, &answer, e);
		if (r == 0)
			r = wait_for_job(&b, &answer, name, e);
		else if (r == -EREMOTEIO && !strcmp(answer.error, "org.freedesktop.systemd1.NoSuchUnit"))
			r = 0;
		reset_failed(&b, name);
	}
	dbus_out_free(&body);
	dbus_close(&b);
	return settled(r, e);
}
