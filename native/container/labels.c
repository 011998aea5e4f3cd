/* SPDX-License-Identifier: Apache-2.0 */
/* AppArmor and SELinux: applied where the kernel has them, refused where it has not. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/io.h"
#include "container/internal.h"

static bool has_apparmor(void)
{
	char text[8];

	return io_read_small_at(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", text, sizeof(text)) > 0 &&
	       text[0] == 'Y';
}

static bool has_selinux(void)
{
	struct statfs fs;

	return statfs("/sys/fs/selinux", &fs) == 0 && fs.f_type == SELINUX_MAGIC;
}

/* "unconfined" asks for nothing, and only that exact word does. */
static const char *profile(const struct spec_process *p)
{
	return p->apparmor_profile && strcmp(p->apparmor_profile, "unconfined") ? p->apparmor_profile : NULL;
}

int labels_check(const struct spec *s, const struct spec_process *p, struct err *e)
{
	if (profile(p) && !has_apparmor())
		return err_set(e, ENOTSUP, "AppArmor profile \"%.100s\": this kernel has no AppArmor", profile(p));
	if (p->selinux_label && !has_selinux())
		return err_set(e, ENOTSUP, "SELinux label \"%.100s\": this kernel has no SELinux", p->selinux_label);
	if (s && s->mount_label && !has_selinux())
		return err_set(e, ENOTSUP, "linux.mountLabel \"%.100s\": this kernel has no SELinux", s->mount_label);
	return 0;
}

int labels_apply(const struct spec_process *p, int proc, struct err *e)
{
	char text[1024];
	int r;

	if (profile(p)) {
		snprintf(text, sizeof(text), "exec %s", profile(p));
		r = io_write_file_at(proc, "self/attr/apparmor/exec", text);
		if (r == -ENOENT) /* before 5.8 */
			r = io_write_file_at(proc, "self/attr/exec", text);
		if (r < 0)
			return err_set(e, -r, "AppArmor profile \"%.100s\"", profile(p));
	}
	if (p->selinux_label) {
		r = io_write_file_at(proc, "self/attr/exec", p->selinux_label);
		if (r < 0)
			return err_set(e, -r, "SELinux label \"%.100s\"", p->selinux_label);
	}
	return 0;
}

bool labels_by_context(const char *type)
{
	/* The kernel's own views are labelled by its policy, file by file; a message queue's root is a file (labels_file). */
	static const char *const none[] = { "proc", "sysfs", "cgroup", "cgroup2", "mqueue" };

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (!strcmp(type, none[i]))
			return false;
	return true;
}

int labels_file(int mount, const char *label, struct err *e)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", mount);
	if (setxattr(path, "security.selinux", label, strlen(label) + 1, 0) < 0)
		return err_set(e, errno, "linux.mountLabel \"%.100s\"", label);
	return 0;
}
