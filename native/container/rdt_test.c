/* SPDX-License-Identifier: Apache-2.0 */
/* linux.intelRdt on a plain folder in resctrl's place: which groups, what is written into their files, what is removed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "container/internal.h"

static int failed, root;
static const char *none[] = { NULL };

#define CHECK(cond, ...)                                                  \
	do {                                                              \
		if (!(cond)) {                                            \
			printf("rdt_test:%d: ", __LINE__);                \
			printf(__VA_ARGS__);                              \
			printf("\n");                                     \
			failed = 1;                                       \
		}                                                         \
	} while (0)

static void put(const char *path, const char *text)
{
	int fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "write %s: %s", path, strerror(errno));
	close(fd);
}

static const char *get(const char *path)
{
	static char text[1000];
	int fd = openat(root, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static bool there(const char *path)
{
	return faccessat(root, path, F_OK, 0) == 0;
}

/* A group as the kernel makes it. */
static void group(const char *name, const char *schemata)
{
	char path[100];

	mkdirat(root, name, 0755);
	snprintf(path, sizeof(path), "%s/schemata", name);
	put(path, schemata);
	snprintf(path, sizeof(path), "%s/tasks", name);
	put(path, "");
	snprintf(path, sizeof(path), "%s/mon_groups", name);
	mkdirat(root, path, 0755);
}

static void test_mount_point(void)
{
	char none_there[] = "22 1 0:20 / /sys rw - sysfs sysfs rw\n30 22 0:30 / /mnt/resctrl rw - tmpfs resctrl rw\n";
	char moved[] = "22 1 0:20 / /sys rw shared:7 - sysfs sysfs rw\n31 22 0:40 / /mnt/a\\040b rw - resctrl resctrl rw\n";
	char at[20] = "";

	CHECK(!rdt_mount_point(none_there, at, sizeof(at)), "found at %s", at);
	CHECK(rdt_mount_point(moved, at, sizeof(at)) && !strcmp(at, "/mnt/a b"), "mounted on \"%s\"", at);
}

/* closID alone: the group has to be there, and is not written to. */
static void test_given_group(void)
{
	struct spec_rdt r = { .present = true, .clos = "gold", .schemata = none, .monitoring = true };
	struct rdt rdt = RDT_NONE;
	struct err e = { 0 };

	CHECK(rdt_make(root, &r, "c1", &rdt, &e) == -ENOENT && strstr(e.step, "linux.intelRdt.closID"), "%s", e.step);
	CHECK(!there("gold"), "made");
	rdt_close(&rdt);

	group("gold", "L3:0=f;1=f\n");
	mkdirat(root, "gold/mon_groups/c1", 0755);
	put("gold/mon_groups/c1/tasks", "");
	CHECK(rdt_make(root, &r, "c1", &rdt, &e) == 0 && !rdt.made && !rdt.monitor_made, "%s", e.step);
	rdt.root = root;
	CHECK(rdt_enter(&rdt, 4711, &e) == 0, "%s", e.step);
	rdt.root = -1;
	rdt_close(&rdt);
	CHECK(!strcmp(get("gold/tasks"), "4711") && !strcmp(get("gold/mon_groups/c1/tasks"), "4711"), "not in both groups");
	CHECK(!strcmp(get("gold/schemata"), "L3:0=f;1=f\n"), "schemata %s", get("gold/schemata"));

	/* At delete the monitoring group goes, the group that others may share stays. */
	unlinkat(root, "gold/mon_groups/c1/tasks", 0);
	CHECK(rdt_remove_from(root, &r, "c1", &e) == 0 && !there("gold/mon_groups/c1") && there("gold"), "%s", e.step);
	CHECK(rdt_remove_from(root, &r, "c1", &e) == 0, "twice: %s", e.step);
}

static void test_root_group(void)
{
	struct spec_rdt r = { .present = true, .clos = "/", .schemata = none };
	struct rdt rdt = RDT_NONE;
	struct err e = { 0 };

	group(".", "");
	CHECK(rdt_make(root, &r, "c1", &rdt, &e) == 0 && !rdt.made, "%s", e.step);
	rdt_close(&rdt);
	CHECK(rdt_remove_from(root, &r, "c1", &e) == 0 && there("tasks"), "%s", e.step);
}

/* Without closID the group has the container's id, and goes with it. */
static void test_own_group(void)
{
	struct spec_rdt r = { .present = true, .l3 = "L3:0=fff000", .schemata = none };
	struct rdt rdt = RDT_NONE;
	struct err e = { 0 };

	mkdirat(root, "info", 0755);
	put("info/last_cmd_status", "Mask out of range\n");
	/* A plain folder has no files in a new group: what was made goes again. */
	CHECK(rdt_make(root, &r, "c2", &rdt, &e) < 0 && rdt.made, "made");
	CHECK(!strcmp(e.step, "linux.intelRdt.l3CacheSchema \"L3:0=fff000\" (Mask out of range)"), "%s", e.step);
	rdt.root = root;
	rdt_undo(&r, "c2", &rdt);
	rdt.root = -1;
	rdt_close(&rdt);
	CHECK(!there("c2"), "left");
	put("info/last_cmd_status", "ok\n");

	/* Left by a container of this id that was killed: written anew. */
	group("c2", "L3:0=1\n");
	CHECK(rdt_make(root, &r, "c2", &rdt, &e) == 0 && !rdt.made, "%s", e.step);
	rdt_close(&rdt);
	CHECK(!strcmp(get("c2/schemata"), "L3:0=fff000\n"), "schemata %s", get("c2/schemata"));
	unlinkat(root, "c2/schemata", 0);
	unlinkat(root, "c2/tasks", 0);
	unlinkat(root, "c2/mon_groups", AT_REMOVEDIR);
	CHECK(rdt_remove_from(root, &r, "c2", &e) == 0 && !there("c2"), "%s", e.step);
}

static int configure(bool ours, const char *l3, const char *bandwidth, const char **schemata, struct err *e)
{
	struct spec_rdt r = { .present = true, .l3 = l3, .bandwidth = bandwidth, .schemata = schemata };
	int at = openat(root, "gold", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = rdt_configure(root, at, ours, &r, e);

	close(at);
	return result;
}

static void test_written(void)
{
	const char *lines[] = { "L2:0=1", "MB:0=30", NULL };
	struct err e = { 0 };

	put("gold/schemata", "");
	/* Both in one write; a bandwidth inside the cache's schema gives way to the one given apart. */
	CHECK(configure(true, "L3CODE:0=f\nMB:0=10\nL3DATA:0=ff", "MB:0=20", none, &e) == 0 &&
		      !strcmp(get("gold/schemata"), "L3CODE:0=f\nL3DATA:0=ff\nMB:0=20\n"),
	      "%s %s", e.step, get("gold/schemata"));
	put("gold/schemata", "");
	CHECK(configure(true, "L3:0=f\nMB:0=10", NULL, none, &e) == 0 && !strcmp(get("gold/schemata"), "L3:0=f\nMB:0=10\n"),
	      "%s", get("gold/schemata"));
	put("gold/schemata", "");
	CHECK(configure(true, NULL, NULL, lines, &e) == 0 && !strcmp(get("gold/schemata"), "L2:0=1\nMB:0=30\n"), "%s",
	      get("gold/schemata"));
}

/* A group that somebody else made has what is asked for, or the create fails. */
static void test_compared(void)
{
	const char *same[] = { "MB:1=70;0=20", NULL }, *other[] = { "MB:0=30", NULL }, *missing[] = { "L2:0=1", NULL },
		   *no_cache[] = { "MB:7=20", NULL }, *odd[] = { "nonsense", NULL };
	const char *before = "    MB:0= 20;1= 70\n    L3:0=000ff;1=fffff\n";
	struct err e = { 0 };

	put("gold/schemata", before);
	CHECK(configure(false, "L3:0=ff", "MB:0=20;1=70", same, &e) == 0, "%s", e.step);
	CHECK(configure(false, "L3:0=f", NULL, none, &e) == -EINVAL && strstr(e.step, "linux.intelRdt.l3CacheSchema \"L3:0=f\""),
	      "%s", e.step);
	CHECK(configure(false, NULL, "MB:0=21", none, &e) == -EINVAL && strstr(e.step, "linux.intelRdt.memBwSchema"), "%s", e.step);
	CHECK(configure(false, NULL, NULL, other, &e) == -EINVAL && strstr(e.step, "linux.intelRdt.schemata"), "%s", e.step);
	CHECK(configure(false, NULL, NULL, missing, &e) == -EINVAL, "a resource that the group has not");
	CHECK(configure(false, NULL, NULL, no_cache, &e) == -EINVAL, "a cache that the group has not");
	CHECK(configure(false, NULL, NULL, odd, &e) == -EINVAL, "no schema at all");
	CHECK(!strcmp(get("gold/schemata"), before), "written: %s", get("gold/schemata"));
}

int main(void)
{
	char folder[] = "/tmp/rdt_test-XXXXXX", command[100];

	CHECK(mkdtemp(folder), "%s", strerror(errno));
	root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	test_mount_point();
	test_given_group();
	test_root_group();
	test_own_group();
	test_written();
	test_compared();
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command) || failed;
}
