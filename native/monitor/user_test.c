/* SPDX-License-Identifier: Apache-2.0 */
/* Users and groups of an image: rows M11, I1, I2 and I3 of the security bar. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/user.h"

static int failed;

#define CHECK(cond, ...)                                       \
	do {                                                   \
		if (!(cond)) {                                 \
			printf("user_test:%d: ", __LINE__);    \
			printf(__VA_ARGS__);                   \
			printf("\n");                          \
			failed = 1;                            \
		}                                              \
	} while (0)

/* Names that look like numbers lead to root, if anybody asks for them by name. */
static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "# comment\n"
			     "\n"
			     "broken:x:nope:0::/:\n"
			     "short:x:5\n"
			     "2147483648:x:0:0::/:/bin/sh\n"
			     "4294967295:x:0:0::/:/bin/sh\n"
			     "4294967296:x:0:0::/:/bin/sh\n"
			     "-1:x:0:0::/:/bin/sh\n"
			     "1e3:x:0:0::/:/bin/sh\n"
			     "0x10:x:0:0::/:/bin/sh\n"
			     "1000:x:0:0::/:/bin/sh\n"
			     "web:x:1000:1001:Web:/home/web:/bin/sh\n"
			     "web:x:0:0:second of the name:/:/bin/sh\n"
			     "big:x:4294967296:0::/:\n"
			     "7zip:x:77:77::relative:/bin/sh\n"
			     "last:x:2147483647:2147483647::/l:/bin/sh";
static const char group[] = "root:x:0:\n"
			    "extra:x:2000:web,other\n"
			    "more:x:2001:other,web\r\n"
			    "webby:x:2002:webby,xweb,we\n"
			    "bad:x:-1:web\n"
			    "huge:x:99999999999:web\n"
			    "1001:x:0:\n"
			    "docker:x:999:root\n"
			    "nomembers:x:50\n";

struct expected {
	const char *user, *group;
	bool strict;
	const char *result; /* "uid:gid:gid,gid:name:home", or NULL: refused */
};

static void format(const struct user *u, char *buf, size_t size)
{
	size_t n = (size_t)snprintf(buf, size, "%u:%u:", u->uid, u->gid);

	for (size_t i = 0; i < u->gid_count; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%u", i ? "," : "", u->gids[i]);
	snprintf(buf + n, size - n, ":%s:%s", u->name, u->home);
}

static void resolves_by_the_rules(void)
{
	static const uint32_t extra[] = { 3000, 2000 };
	static const struct expected table[] = {
		{ "", "", false, "0:0:0,999,2000,3000:root:/root" },
		{ "root", "", true, "0:0:0,2000,3000:root:/root" },
		{ "0", "", true, "0:0:0,2000,3000:root:/root" },
		{ "web", "", false, "1000:1001:1001,2000,2001,3000:web:/home/web" },
		{ "web", "", true, "1000:1001:1001,2000,3000:web:/home/web" },
		/* I2: a numeric user is a uid, whatever lines there are of that name. */
		{ "1000", "", false, "1000:1001:1001,2000,2001,3000:web:/home/web" },
		{ "1000:1001", "", true, "1000:1001:1001,2000,3000:web:/home/web" },
		{ "web:extra", "", true, "1000:2000:2000,3000:web:/home/web" },
		{ "web:5", "", true, "1000:5:5,2000,3000:web:/home/web" },
		{ "web:extra", "7", true, "1000:7:7,2000,3000:web:/home/web" },
		{ "4711", "", false, "4711:0:0,2000,3000::/" },
		{ "4711:12", "", false, "4711:12:12,2000,3000::/" },
		{ "7zip", "", true, "77:77:77,2000,3000:7zip:/" },
		{ "last", "", true, "2147483647:2147483647:2147483647,2000,3000:last:/l" },
		{ "2147483647", "", true, "2147483647:2147483647:2147483647,2000,3000:last:/l" },
		/* I1: out of range or a number in disguise is refused, never looked up, never 0. */
		{ "2147483648", "", false, NULL },
		{ "4294967295", "", false, NULL },
		{ "4294967296", "", false, NULL },
		{ "18446744073709551616", "", false, NULL },
		{ "-1", "", false, NULL },
		{ "+1", "", false, NULL },
		{ "1e3", "", false, NULL },
		{ "0x10", "", false, NULL },
		{ "1.0", "", false, NULL },
		{ "1_000", "", false, NULL },
		{ "1000:99999999999", "", false, NULL },
		{ "1000:-1", "", false, NULL },
		{ "1000:", "", false, NULL },
		{ "web", "nope", false, NULL },
		{ "web", "-1", false, NULL },
		{ "web", "4294967296", false, NULL },
		{ "nobody", "", false, NULL },
		{ "web:nogroup", "", false, NULL },
		{ "broken", "", false, NULL },
		{ "short", "", false, NULL },
		{ "big", "", false, NULL },
		{ " web", "", false, NULL },
		{ "web ", "", false, NULL },
		{ "# comment", "", false, NULL },
		{ "we", "", false, NULL },
		{ "web\n", "", false, NULL },
		{ "web:bad", "", false, NULL },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct user_request request = { table[i].user, table[i].group, extra, 2, !table[i].strict };
		struct user u;
		struct err e = { 0 };
		char is[512];
		int r = user_resolve(&request, (struct user_file){ passwd, sizeof(passwd) - 1 },
				     (struct user_file){ group, sizeof(group) - 1 }, &u, &e);

		if (!table[i].result) {
			CHECK(r == -EINVAL && e.step[0], "\"%s\" group \"%s\": not refused", table[i].user, table[i].group);
			continue;
		}
		CHECK(r == 0, "\"%s\": %s", table[i].user, e.step);
		if (r == 0) {
			format(&u, is, sizeof(is));
			CHECK(!strcmp(is, table[i].result), "\"%s\": %s, not %s", table[i].user, is, table[i].result);
			free(u.gids);
		}
	}
}

static void an_image_without_files_has_numbers_only(void)
{
	struct user_request by_number = { "12:34", "", NULL, 0, true }, by_name = { "web", "", NULL, 0, true };
	struct user u;
	struct err e;

	CHECK(user_resolve(&by_number, (struct user_file){ 0 }, (struct user_file){ 0 }, &u, &e) == 0 && u.uid == 12 &&
		      u.gid == 34 && u.gid_count == 1 && u.gids[0] == 34,
	      "12:34");
	free(u.gids);
	CHECK(user_resolve(&by_name, (struct user_file){ 0 }, (struct user_file){ 0 }, &u, &e) == -EINVAL, "web");
}

/* Any bytes, cut anywhere, are read within their bounds. */
static void damaged_files_are_read_within_bounds(void)
{
	struct user_request request = { "web:extra", "", NULL, 0, true };
	unsigned int seed = 1;

	for (int round = 0; round < 3000; round++) {
		size_t p_len = (size_t)(rand_r(&seed) % (int)sizeof(passwd)), g_len = (size_t)(rand_r(&seed) % (int)sizeof(group));
		char *p = malloc(p_len + 1), *g = malloc(g_len + 1);
		struct user u;
		struct err e;

		memcpy(p, passwd, p_len);
		memcpy(g, group, g_len);
		for (int k = 0; k < round % 8; k++) {
			if (p_len)
				p[(size_t)rand_r(&seed) % p_len] = "\n\0:,9x"[rand_r(&seed) % 6];
			if (g_len)
				g[(size_t)rand_r(&seed) % g_len] = "\n\0:,9x"[rand_r(&seed) % 6];
		}
		p = realloc(p, p_len ? p_len : 1);
		g = realloc(g, g_len ? g_len : 1);
		if (user_resolve(&request, (struct user_file){ p, p_len }, (struct user_file){ g, g_len }, &u, &e) == 0)
			free(u.gids);
		free(p);
		free(g);
	}
}

static void too_many_groups_are_refused(void)
{
	struct user_request request = { "root", "", NULL, 0, true };
	size_t room = 9u << 20, len = 0;
	char *text = malloc(room);
	struct user u;
	struct err e;
	int groups = 0;

	while (len + 32 < room)
		len += (size_t)sprintf(text + len, "g%d:x:%d:root\n", groups, groups + 1), groups++;
	CHECK(groups > 400000, "%d groups", groups);
	CHECK(user_resolve(&request, (struct user_file){ passwd, sizeof(passwd) - 1 }, (struct user_file){ text, len }, &u, &e) ==
		      -EINVAL,
	      "not refused");
	free(text);
}

static char top[64];

static void put(const char *name, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", top, name);
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		abort();
	close(fd);
}

static int resolve_in_top(struct user *u)
{
	struct user_request request = { "web", "", NULL, 0, true };
	int root = open(top, O_PATH | O_DIRECTORY);
	struct err e;
	int r = user_resolve_in(root, &request, u, &e);

	close(root);
	if (r == 0)
		free(u->gids);
	return r;
}

static void replace(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	unlink(path);
}

/* M11 */
static void files_are_read_inside_the_image_only(void)
{
	char path[128], command[128];
	struct user u;

	strcpy(top, "/tmp/user_test.XXXXXX");
	if (!mkdtemp(top))
		abort();
	snprintf(path, sizeof(path), "%s/etc", top);
	if (mkdir(path, 0755) < 0)
		abort();
	CHECK(resolve_in_top(&u) == -EINVAL, "no files: no such user");
	put("etc/passwd", passwd);
	CHECK(resolve_in_top(&u) == 0 && u.uid == 1000, "a plain file");

	snprintf(path, sizeof(path), "%s/etc/passwd", top);
	put("real", "web:x:42:42::/:\n");
	replace("etc/passwd");
	CHECK(symlink("/real", path) == 0 && resolve_in_top(&u) == 0 && u.uid == 42, "an absolute link ends inside");
	replace("etc/passwd");
	CHECK(symlink("../../../../../../real", path) == 0 && resolve_in_top(&u) == 0 && u.uid == 42, "and so does ..");
	replace("etc/passwd");
	CHECK(symlink("/proc/self/exe", path) == 0 && resolve_in_top(&u) == -EINVAL, "nothing of the host");
	replace("etc/passwd");
	CHECK(mkfifo(path, 0644) == 0 && resolve_in_top(&u) == -EINVAL, "a FIFO, without waiting");
	replace("etc/passwd");
	CHECK(mkdir(path, 0755) == 0 && resolve_in_top(&u) < 0, "a folder");
	rmdir(path);
	if (geteuid() == 0) {
		CHECK(mknod(path, S_IFCHR | 0666, 0x105) == 0 && resolve_in_top(&u) == -EINVAL, "/dev/zero");
		replace("etc/passwd");
	}
	put("etc/passwd", passwd);
	CHECK(truncate(path, (off_t)1 << 30) == 0 && resolve_in_top(&u) == -EINVAL, "1 GiB");
	snprintf(command, sizeof(command), "rm -rf %s", top);
	CHECK(system(command) == 0, "clean up");
}

int main(void)
{
	resolves_by_the_rules();
	an_image_without_files_has_numbers_only();
	damaged_files_are_read_within_bounds();
	too_many_groups_are_refused();
	files_are_read_inside_the_image_only();
	return failed;
}
