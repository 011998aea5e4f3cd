/* SPDX-License-Identifier: Apache-2.0 */
#include "user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"

/* A part of a line; not terminated. */
struct field {
	const char *at;
	size_t len;
};

static bool field_is(struct field f, struct field other)
{
	return f.len == other.len && memcmp(f.at, other.at, f.len) == 0;
}

/* A decimal number that is an id, whole and in range. */
static bool parse_id(struct field f, uint32_t *ret)
{
	uint32_t value = 0;

	if (f.len == 0 || f.len > 10)
		return false;
	for (size_t i = 0; i < f.len; i++) {
		if (f.at[i] < '0' || f.at[i] > '9' || __builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint32_t)(f.at[i] - '0'), &value))
			return false;
	}
	if (value > USER_ID_MAX)
		return false;
	*ret = value;
	return true;
}

/*
 * Looks like somebody meant a number: a sign in front, or digits with nothing but what numbers are
 * written with ("1e3", "0x10", "1.5"). Such a text is an id or refused; "7zip" is a name.
 */
static bool numeric_like(struct field f)
{
	bool hex = f.len > 1 && f.at[0] == '0' && (f.at[1] | 0x20) == 'x';

	if (f.at[0] == '-' || f.at[0] == '+')
		return true;
	if (f.at[0] < '0' || f.at[0] > '9')
		return false;
	for (size_t i = hex ? 2 : 0; i < f.len; i++) {
		char c = f.at[i];
		bool digit = c >= '0' && c <= '9';

		if (hex ? !digit && !((c | 0x20) >= 'a' && (c | 0x20) <= 'f') : !digit && !memchr("eE.+-_", c, 6))
			return false;
	}
	return true;
}

/* The next line of *rest, without its newline; false at the end. */
static bool next_line(struct field *rest, struct field *ret)
{
	const char *newline;

	if (rest->len == 0)
		return false;
	newline = memchr(rest->at, '\n', rest->len);
	ret->at = rest->at;
	ret->len = newline ? (size_t)(newline - rest->at) : rest->len;
	rest->at += ret->len + (newline != NULL);
	rest->len -= ret->len + (newline != NULL);
	if (ret->len && ret->at[ret->len - 1] == '\r')
		ret->len--;
	return true;
}

/* Cuts *rest at the next `by`. */
static struct field next_field(struct field *rest, char by)
{
	const char *at = rest->len ? memchr(rest->at, by, rest->len) : NULL;
	struct field f = { rest->at, at ? (size_t)(at - rest->at) : rest->len };

	rest->at += f.len + (at != NULL);
	rest->len -= f.len + (at != NULL);
	return f;
}

struct passwd_line {
	struct field name, home;
	uint32_t uid, gid;
};

/* name:password:uid:gid:gecos:home:shell. A line with a bad id is no line. */
static bool parse_passwd(struct field line, struct passwd_line *ret)
{
	struct field uid, gid;

	ret->name = next_field(&line, ':');
	next_field(&line, ':');
	uid = next_field(&line, ':');
	gid = next_field(&line, ':');
	next_field(&line, ':');
	ret->home = next_field(&line, ':');
	return ret->name.len && parse_id(uid, &ret->uid) && parse_id(gid, &ret->gid);
}

/* The first line of that name, or of that uid when `name` is NULL. */
static bool find_passwd(struct user_file file, const struct field *name, uint32_t uid, struct passwd_line *ret)
{
	struct field rest = { file.text, file.len }, line;

	while (next_line(&rest, &line))
		if (parse_passwd(line, ret) && (name ? field_is(ret->name, *name) : ret->uid == uid))
			return true;
	return false;
}

struct group_line {
	struct field name, members;
	uint32_t gid;
};

/* name:password:gid:member,member */
static bool parse_group(struct field line, struct group_line *ret)
{
	struct field gid;

	ret->name = next_field(&line, ':');
	next_field(&line, ':');
	gid = next_field(&line, ':');
	ret->members = line;
	return ret->name.len && parse_id(gid, &ret->gid);
}

static bool find_group(struct user_file file, struct field name, uint32_t *ret_gid)
{
	struct field rest = { file.text, file.len }, line;
	struct group_line g;

	while (next_line(&rest, &line))
		if (parse_group(line, &g) && field_is(g.name, name)) {
			*ret_gid = g.gid;
			return true;
		}
	return false;
}

static bool is_member(struct field members, struct field name)
{
	while (members.len)
		if (field_is(next_field(&members, ','), name))
			return true;
	return false;
}

static int compare_gids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Appends; doubles are taken out at the end, so that 65,536 groups do not cost their square. */
static int add_gid(struct user *u, uint32_t gid, struct err *e)
{
	if (u->gid_count >= 2 * USER_GROUPS_MAX)
		return err_set(e, EINVAL, "user is in more than %u groups", USER_GROUPS_MAX);
	if ((u->gid_count & (u->gid_count - 1)) == 0) { /* full at each power of two */
		uint32_t *more = realloc(u->gids, (u->gid_count ? u->gid_count * 2 : 1) * sizeof(*more));

		if (!more)
			return err_set(e, ENOMEM, "groups of the user");
		u->gids = more;
	}
	u->gids[u->gid_count++] = gid;
	return 0;
}

/* Sorts all but the primary group, which stays first, and drops doubles. */
static int settle_gids(struct user *u, struct err *e)
{
	size_t kept = 1;

	qsort(u->gids + 1, u->gid_count - 1, sizeof(*u->gids), compare_gids);
	for (size_t i = 1; i < u->gid_count; i++)
		if (u->gids[i] != u->gid && (kept == 1 || u->gids[i] != u->gids[kept - 1]))
			u->gids[kept++] = u->gids[i];
	u->gid_count = kept;
	if (kept > USER_GROUPS_MAX)
		return err_set(e, EINVAL, "user is in more than %u groups", USER_GROUPS_MAX);
	return 0;
}

static int resolve_uid(struct field user, struct user_file passwd, struct user *ret, struct err *e)
{
	struct passwd_line line = { 0 };
	bool found;

	if (user.len == 0) {
		ret->uid = 0;
		found = find_passwd(passwd, NULL, 0, &line);
	} else if (numeric_like(user)) {
		if (!parse_id(user, &ret->uid))
			return err_set(e, EINVAL, "user \"%.*s\": not a user id between 0 and %u", (int)user.len, user.at,
				       USER_ID_MAX);
		found = find_passwd(passwd, NULL, ret->uid, &line);
	} else {
		found = find_passwd(passwd, &user, 0, &line);
		if (!found)
			return err_set(e, EINVAL, "user \"%.*s\": no such user in the image's /etc/passwd", (int)user.len,
				       user.at);
		ret->uid = line.uid;
	}
	ret->gid = found ? line.gid : 0;
	ret->name[0] = '\0';
	memcpy(ret->home, "/", 2);
	if (!found)
		return 0;
	if (line.name.len < sizeof(ret->name)) {
		memcpy(ret->name, line.name.at, line.name.len);
		ret->name[line.name.len] = '\0';
	}
	/* Only an absolute home without control bytes: it becomes HOME and a line of files. */
	if (line.home.len && line.home.len < sizeof(ret->home) && line.home.at[0] == '/' &&
	    !memchr(line.home.at, '\0', line.home.len)) {
		memcpy(ret->home, line.home.at, line.home.len);
		ret->home[line.home.len] = '\0';
	}
	return 0;
}

static int resolve_gid(struct field name, struct user_file group, uint32_t *ret, struct err *e)
{
	if (name.len == 0)
		return err_set(e, EINVAL, "user: an empty group after the colon");
	if (numeric_like(name)) {
		if (!parse_id(name, ret))
			return err_set(e, EINVAL, "group \"%.*s\": not a group id between 0 and %u", (int)name.len, name.at,
				       USER_ID_MAX);
		return 0;
	}
	if (!find_group(group, name, ret))
		return err_set(e, EINVAL, "group \"%.*s\": no such group in the image's /etc/group", (int)name.len, name.at);
	return 0;
}

/* Every group of the image that lists the user by name. */
static int merge_groups(struct user_file group, struct user *u, struct err *e)
{
	struct field rest = { group.text, group.len }, line, name = { u->name, strlen(u->name) };
	struct group_line g;

	if (name.len == 0)
		return 0;
	while (next_line(&rest, &line))
		if (parse_group(line, &g) && is_member(g.members, name) && add_gid(u, g.gid, e) < 0)
			return -e->code;
	return 0;
}

static int resolve(const struct user_request *request, struct user_file passwd, struct user_file group, struct user *ret,
		   struct err *e)
{
	struct field user = { request->user, strlen(request->user) }, rest = user;
	struct field forced = { request->group, strlen(request->group) };
	bool has_group = memchr(user.at, ':', user.len) != NULL;

	user = next_field(&rest, ':');
	if (resolve_uid(user, passwd, ret, e) < 0)
		return -e->code;
	if (has_group && resolve_gid(rest, group, &ret->gid, e) < 0)
		return -e->code;
	if (forced.len && !parse_id(forced, &ret->gid))
		return err_set(e, EINVAL, "group \"%s\": not a group id between 0 and %u", request->group, USER_ID_MAX);
	/* The primary group is in the list: a process that drops it must not gain by that. */
	if (add_gid(ret, ret->gid, e) < 0)
		return -e->code;
	for (size_t i = 0; i < request->extra_count; i++) {
		if (request->extra[i] > USER_ID_MAX)
			return err_set(e, EINVAL, "supplemental group %u: out of range", request->extra[i]);
		if (add_gid(ret, request->extra[i], e) < 0)
			return -e->code;
	}
	if (request->merge && merge_groups(group, ret, e) < 0)
		return -e->code;
	return settle_gids(ret, e);
}

int user_resolve(const struct user_request *request, struct user_file passwd, struct user_file group, struct user *ret,
		 struct err *e)
{
	*ret = (struct user){ 0 };
	if (resolve(request, passwd, group, ret, e) < 0) {
		free(ret->gids);
		*ret = (struct user){ 0 };
		return -e->code;
	}
	return 0;
}

/* A file of the image, or an empty text when it does not exist. */
static int read_image_file(int rootfs_fd, const char *path, char **ret_text, size_t *ret_len, struct err *e)
{
	cleanup_fd int fd = -1;
	struct stat st;
	int r;

	*ret_text = NULL;
	*ret_len = 0;
	r = path_open(rootfs_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd, e);
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0)
		return err_wrap(e, "the image's %s", path);
	if (fstat(fd, &st) < 0)
		return err_set(e, errno, "stat the image's %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "the image's %s is not a regular file", path);
	if (st.st_size > (off_t)USER_FILE_MAX)
		return err_set(e, EINVAL, "the image's %s is larger than %u bytes", path, USER_FILE_MAX);
	r = io_read_all(fd, USER_FILE_MAX, ret_text, ret_len, e);
	return r < 0 ? err_wrap(e, "the image's %s", path) : 0;
}

int user_resolve_in(int rootfs_fd, const struct user_request *request, struct user *ret, struct err *e)
{
	cleanup_free char *passwd = NULL;
	cleanup_free char *group = NULL;
	size_t passwd_len, group_len;

	if (read_image_file(rootfs_fd, "/etc/passwd", &passwd, &passwd_len, e) < 0 ||
	    read_image_file(rootfs_fd, "/etc/group", &group, &group_len, e) < 0)
		return -e->code;
	return user_resolve(request, (struct user_file){ passwd, passwd_len }, (struct user_file){ group, group_len }, ret, e);
}
