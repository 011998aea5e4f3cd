/* SPDX-License-Identifier: Apache-2.0 */
/* spec: an example config.json to begin with, for root or (--rootless) for a user without root's rights. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "runtime/commands.h"

/* Space-separated words as an array. */
static json_t *words(const char *text)
{
	json_t *list = json_array();

	while (text && *text) {
		size_t len = strcspn(text, " ");

		json_array_append_new(list, json_stringn(text, len));
		text += len + (text[len] == ' ');
	}
	return list;
}

static json_t *process(void)
{
	static const char caps[] = "CAP_AUDIT_WRITE CAP_KILL CAP_NET_BIND_SERVICE";

	return json_pack("{sb s{si si} so so ss s{so so so} s[{ss si si}] sb}", "terminal", 1, "user", "uid", 0, "gid", 0,
			 "args", words("sh"), "env",
			 words("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=xterm"), "cwd", "/",
			 "capabilities", "bounding", words(caps), "effective", words(caps), "permitted", words(caps),
			 "rlimits", "type", "RLIMIT_NOFILE", "hard", 1024, "soft", 1024, "noNewPrivileges", 1);
}

static json_t *mounts(bool rootless)
{
	/* A group that a user can't map, and a sysfs that only a network namespace of its own may have. */
	const struct {
		const char *destination, *type, *source, *options;
	} list[] = {
		{ "/proc", "proc", "proc", NULL },
		{ "/dev", "tmpfs", "tmpfs", "nosuid strictatime mode=755 size=65536k" },
		{ "/dev/pts", "devpts", "devpts",
		  rootless ? "nosuid noexec newinstance ptmxmode=0666 mode=0620" :
			     "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5" },
		{ "/dev/shm", "tmpfs", "shm", "nosuid noexec nodev mode=1777 size=65536k" },
		{ "/dev/mqueue", "mqueue", "mqueue", "nosuid noexec nodev" },
		{ "/sys", rootless ? "none" : "sysfs", rootless ? "/sys" : "sysfs",
		  rootless ? "rbind nosuid noexec nodev ro" : "nosuid noexec nodev ro" },
		{ "/sys/fs/cgroup", "cgroup", "cgroup", "nosuid noexec nodev relatime ro" },
	};
	json_t *all = json_array();

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		json_t *m = json_pack("{ss ss ss}", "destination", list[i].destination, "type", list[i].type, "source",
				      list[i].source);

		if (list[i].options)
			json_object_set_new(m, "options", words(list[i].options));
		json_array_append_new(all, m);
	}
	return all;
}

static json_t *namespaces(bool rootless)
{
	/* A rootless container shares the host's network: it has no rights to give it another. */
	const char *p = rootless ? "pid ipc uts mount cgroup user" : "pid network ipc uts mount cgroup";
	json_t *all = json_array(), *names = words(p);

	for (size_t i = 0; i < json_array_size(names); i++)
		json_array_append_new(all, json_pack("{sO}", "type", json_array_get(names, i)));
	json_decref(names);
	return all;
}

static json_t *linux_part(bool rootless)
{
	json_t *o = json_object();

	if (rootless) {
		json_object_set_new(o, "uidMappings", json_pack("[{si sI si}]", "containerID", 0, "hostID", (json_int_t)geteuid(),
								"size", 1));
		json_object_set_new(o, "gidMappings", json_pack("[{si sI si}]", "containerID", 0, "hostID", (json_int_t)getegid(),
								"size", 1));
	} else {
		json_object_set_new(o, "resources", json_pack("{s[{sb ss}]}", "devices", "allow", 0, "access", "rwm"));
	}
	json_object_set_new(o, "namespaces", namespaces(rootless));
	json_object_set_new(o, "maskedPaths",
			    words("/proc/acpi /proc/asound /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats "
				  "/proc/timer_list /proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware "
				  "/sys/devices/virtual/powercap"));
	json_object_set_new(o, "readonlyPaths", words("/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger"));
	return o;
}

int command_spec(const struct options *o, struct err *e)
{
	cleanup_free char *path = path_join(o->bundle ? o->bundle : ".", "config.json"), *text = NULL;
	cleanup_fd int fd = -1;
	json_t *doc;

	doc = json_pack("{ss so s{ss sb} ss so so}", "ociVersion", "1.3.0", "process", process(), "root", "path", "rootfs",
			"readonly", 1, "hostname", "kobako", "mounts", mounts(o->spec_rootless), "linux",
			linux_part(o->spec_rootless));
	text = doc ? json_text(doc, JSON_INDENT(4)) : NULL;
	json_decref(doc);
	if (!text || !path) {
		err_set(e, ENOMEM, "spec");
		return -1;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0) {
		err_set(e, errno, "write \"%s\"", path);
		return -1;
	}
	return io_write_all(fd, text, strlen(text), e) < 0 || io_write_all(fd, "\n", 1, e) < 0 ? -1 : 0;
}
