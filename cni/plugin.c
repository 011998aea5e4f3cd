// SPDX-License-Identifier: Apache-2.0
#include "plugin.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

#define CONFIG_LIMIT (1u << 20)
#define NSFS_MAGIC 0x6e736673

static const char *const versions[] = { "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0" };
static const char *const commands[] = { "ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION" };

int call_refuse(struct cni_call *call, int code, struct err *e, const char *fmt, ...)
{
	char text[sizeof(e->step)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	call->code = code;
	return err_set(e, EINVAL, "%s", text);
}

struct jnode call_conf(const struct cni_call *call)
{
	return json_top(call->conf, "");
}

bool cni_name_ok(const char *text)
{
	if (!isalnum((unsigned char)text[0]))
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("_.-", *text))
			return false;
	return true;
}

bool cni_ifname_ok(const char *text)
{
	if (!*text || strlen(text) >= IFNAMSIZ || !strcmp(text, ".") || !strcmp(text, ".."))
		return false;
	for (; *text; text++)
		if (*text == '/' || *text == ':' || isspace((unsigned char)*text))
			return false;
	return true;
}

bool call_arg(const struct cni_call *call, const char *key, char *buf, size_t size)
{
	size_t len = strlen(key);

	for (const char *at = call->args; *at;) {
		size_t part = strcspn(at, ";");

		if (part > len && at[len] == '=' && !strncasecmp(at, key, len) && part - len - 1 < size) {
			memcpy(buf, at + len + 1, part - len - 1);
			buf[part - len - 1] = 0;
			return true;
		}
		at += part;
		at += *at == ';';
	}
	return false;
}

int call_refuse_keys(struct cni_call *call, const char *const *keys, struct err *e)
{
	for (; *keys; keys++) {
		const json_t *value = json_object_get(call->conf, *keys);

		if (!value || json_is_false(value) || json_is_null(value) ||
		    (json_is_integer(value) && json_integer_value(value) == 0) ||
		    (json_is_string(value) && !*json_string_value(value)) ||
		    (json_is_array(value) && !json_array_size(value)))
			continue;
		return call_refuse(call, CNI_UNSUPPORTED_FIELD, e, "key \"%s\" is not supported by this plugin", *keys);
	}
	return 0;
}

int call_print(const json_t *doc, struct err *e)
{
	cleanup_free char *text = json_text(doc, JSON_INDENT(2));

	if (!text)
		return err_set(e, ENOMEM, "print result");
	return io_write_all(STDOUT_FILENO, text, strlen(text), e);
}

int call_print_prev(struct cni_call *call, struct err *e)
{
	json_t *prev = json_object_get(call->conf, "prevResult");
	int r;

	if (!json_is_object(prev))
		return call_refuse(call, CNI_INVALID_CONFIG, e, "prevResult: missing, this plugin must follow another one");
	prev = json_copy(prev);
	if (!prev || json_object_set_new(prev, "cniVersion", json_string(call->version)) < 0) {
		json_decref(prev);
		return err_set(e, ENOMEM, "print result");
	}
	r = call_print(prev, e);
	json_decref(prev);
	return r;
}

int netns_open(const char *path, int *ret_fd, struct err *e)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct statfs fs;
	struct stat own, other;

	if (fd < 0)
		return err_set(e, errno == ENOTDIR ? ENOENT : errno, "open network namespace %s", path);
	if (fstatfs(fd, &fs) < 0)
		return err_set(e, errno, "stat network namespace %s", path);
	if (fs.f_type != NSFS_MAGIC)
		return err_set(e, ENOENT, "%s is no network namespace (unmounted?)", path);
	if (stat("/proc/self/ns/net", &own) < 0 || fstat(fd, &other) < 0)
		return err_set(e, errno, "stat network namespace %s", path);
	if (own.st_dev == other.st_dev && own.st_ino == other.st_ino && !getenv("CNI_NETNS_OVERRIDE"))
		return err_set(e, EINVAL, "%s is the host's network namespace", path);
	*ret_fd = take_fd(&fd);
	return 0;
}

int netns_enter(int fd, int *ret_back, struct err *e)
{
	cleanup_fd int back = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (back < 0)
		return err_set(e, errno, "open own network namespace");
	if (setns(fd, CLONE_NEWNET) < 0)
		return err_set(e, errno, "enter network namespace");
	*ret_back = take_fd(&back);
	return 0;
}

int sysctl_link(const char *family, const char *link, const char *key, const char *value)
{
	char path[160];

	/* A link's name has no slash (cni_ifname_ok). */
	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, link, key);
	return io_write_file_at(AT_FDCWD, path, value);
}

int call_parse(struct cni_call *call, struct err *e)
{
	static const int numbers[] = { 300, 301, 400, 1000, 1100 };
	struct jnode conf;
	struct err why;

	call->version = "0.1.0";
	call->name = "";
	if (json_parse(call->text, call->text_len, &call->conf, &why) < 0 || !json_is_object(call->conf))
		return call_refuse(call, CNI_DECODE, e, "configuration on stdin is no JSON object: %s",
				   call->conf ? "wrong type" : why.step);
	conf = call_conf(call);
	if (json_str(&conf, "cniVersion", &call->version, e) < 0 || json_str(&conf, "name", &call->name, e) < 0) {
		call->code = CNI_DECODE;
		return -e->code;
	}
	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++)
		if (!strcmp(call->version, versions[i]))
			call->version_number = numbers[i];
	if (!call->version_number)
		return call_refuse(call, CNI_INCOMPATIBLE_VERSION, e, "cniVersion \"%.40s\" is not one of 0.3.0 to 1.1.0",
				   call->version);
	if (call->command != CNI_STATUS && !cni_name_ok(call->name))
		return call_refuse(call, CNI_INVALID_CONFIG, e, "name: \"%.100s\" is no network name", call->name);
	if ((call->command == CNI_GC || call->command == CNI_STATUS) && call->version_number < 1100)
		return call_refuse(call, CNI_INCOMPATIBLE_VERSION, e, "%s needs cniVersion 1.1.0, not %s",
				   commands[call->command], call->version);
	return 0;
}

void call_free(struct cni_call *call)
{
	json_decref(call->conf);
	call->conf = NULL;
	free(call->text);
	call->text = NULL;
}

static const char *env(const char *key)
{
	const char *value = getenv(key);

	return value ? value : "";
}

static int read_env(struct cni_call *call, struct err *e)
{
	const char *command = env("CNI_COMMAND");
	bool pod;

	for (call->command = CNI_ADD; strcmp(commands[call->command], command); call->command++)
		if (call->command == CNI_VERSION)
			return call_refuse(call, CNI_INVALID_ENV, e, "CNI_COMMAND: \"%.40s\" is no command", command);
	call->id = env("CNI_CONTAINERID");
	call->netns = env("CNI_NETNS");
	call->ifname = env("CNI_IFNAME");
	call->args = env("CNI_ARGS");
	call->path = env("CNI_PATH");
	pod = call->command == CNI_ADD || call->command == CNI_DEL || call->command == CNI_CHECK;
	if (pod && !cni_name_ok(call->id))
		return call_refuse(call, CNI_INVALID_ENV, e, "CNI_CONTAINERID: \"%.100s\" is no container id", call->id);
	if (pod && !cni_ifname_ok(call->ifname))
		return call_refuse(call, CNI_INVALID_ENV, e, "CNI_IFNAME: \"%.40s\" is no interface name", call->ifname);
	if ((call->command == CNI_ADD || call->command == CNI_CHECK) && !*call->netns)
		return call_refuse(call, CNI_INVALID_ENV, e, "CNI_NETNS: missing");
	return 0;
}

static int print_versions(const struct cni_call *call, struct err *e)
{
	json_t *doc = json_pack("{s:s, s:[]}", "cniVersion", "1.1.0", "supportedVersions");
	json_t *list = json_object_get(doc, "supportedVersions");
	int r;

	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++)
		json_array_append_new(list, json_string(versions[i]));
	r = call_print(doc, e);
	json_decref(doc);
	return r;
}

static void print_error(const struct cni_plugin *plugin, const struct cni_call *call, const struct err *e)
{
	const char *version = call->version_number ? call->version : "1.1.0";
	char details[128];
	char text[sizeof(e->step) + 64];
	struct err ignored;
	json_t *doc;

	snprintf(details, sizeof(details), "%s %s, kobako " KOBAKO_VERSION, plugin->name,
		 call->command <= CNI_VERSION ? commands[call->command] : "");
	if (call->code && e->code == EINVAL)
		snprintf(text, sizeof(text), "%s", e->step);
	else
		err_text(e, text, sizeof(text));
	doc = json_pack("{s:s, s:i, s:s, s:s}", "cniVersion", version, "code", call->code ? call->code : CNI_PLUGIN, "msg", text,
			"details", details);
	if (!doc) /* not UTF-8: part of it came from outside */
		doc = json_pack("{s:s, s:i, s:s}", "cniVersion", version, "code", call->code ? call->code : CNI_PLUGIN, "msg",
				"error with text that is not UTF-8");
	call_print(doc, &ignored);
	json_decref(doc);
}

int plugin_run(const struct cni_plugin *plugin)
{
	struct cni_call call = { .command = CNI_VERSION, .id = "", .netns = "", .ifname = "", .args = "", .path = "" };
	int (*verbs[])(struct cni_call *, struct err *) = {
		plugin->add, plugin->del, plugin->check, plugin->gc, plugin->status,
	};
	struct err e = { 0 };
	int r;

	r = read_env(&call, &e);
	if (!r && call.command == CNI_VERSION) {
		r = print_versions(&call, &e);
	} else if (!r) {
		r = io_read_all(STDIN_FILENO, CONFIG_LIMIT, &call.text, &call.text_len, &e);
		if (r < 0)
			call.code = CNI_IO;
		if (!r)
			r = call_parse(&call, &e);
		if (!r && verbs[call.command])
			r = verbs[call.command](&call, &e);
	}
	if (r < 0)
		print_error(plugin, &call, &e);
	call_free(&call);
	return r < 0;
}
