/* SPDX-License-Identifier: Apache-2.0 */
#include "spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "spec/idmap.h"
#include "spec/linux.h"

const char *const spec_hook_names[HOOK_KINDS] = {
	[HOOK_PRESTART] = "prestart",
	[HOOK_CREATE_RUNTIME] = "createRuntime",
	[HOOK_CREATE_CONTAINER] = "createContainer",
	[HOOK_START_CONTAINER] = "startContainer",
	[HOOK_POSTSTART] = "poststart",
	[HOOK_POSTSTOP] = "poststop",
};

static int parse_mounts(const struct jnode *top, struct spec *s, struct err *e)
{
	struct jnode list = json_get(top, "mounts");
	int r = json_want_array(&list, e);

	if (r < 0)
		return r;
	s->mounts = calloc(json_count(&list) + 1, sizeof(*s->mounts));
	if (!s->mounts)
		return err_set(e, ENOMEM, "read mounts");
	for (size_t i = 0; i < json_count(&list); i++) {
		struct jnode item = json_item(&list, i);
		struct spec_mount *m = &s->mounts[i];

		s->mount_count++; /* options are freed also when this one fails */
		if ((r = json_want_object(&item, e)) < 0 ||
		    (r = json_need_str(&item, "destination", &m->destination, e)) < 0 ||
		    (r = json_str(&item, "type", &m->type, e)) < 0 ||
		    (r = json_str(&item, "source", &m->source, e)) < 0 ||
		    (r = json_strs(&item, "options", &m->options, NULL, e)) < 0)
			return r;
		if (!*m->destination)
			return json_refuse(&item, e, "destination is empty");
		if ((r = spec_idmaps_parse(&item, &m->idmaps, e)) < 0)
			return r;
	}
	return 0;
}

static int parse_hooks(const struct jnode *top, struct spec *s, struct err *e)
{
	struct jnode hooks = json_get(top, "hooks");
	int r = json_want_object(&hooks, e);

	if (r < 0)
		return r;
	for (int kind = 0; kind < HOOK_KINDS; kind++) {
		struct jnode list = json_get(&hooks, spec_hook_names[kind]);
		struct spec_hooks *h = &s->hooks[kind];

		if ((r = json_want_array(&list, e)) < 0)
			return r;
		h->list = calloc(json_count(&list) + 1, sizeof(*h->list));
		if (!h->list)
			return err_set(e, ENOMEM, "read hooks");
		for (size_t i = 0; i < json_count(&list); i++) {
			struct jnode item = json_item(&list, i);
			struct spec_hook *k = &h->list[i];

			h->count++;
			if ((r = json_want_object(&item, e)) < 0 || (r = json_need_str(&item, "path", &k->path, e)) < 0 ||
			    (r = json_strs(&item, "args", &k->args, NULL, e)) < 0 ||
			    (r = json_strs(&item, "env", &k->env, NULL, e)) < 0 ||
			    (r = json_i64(&item, "timeout", &k->timeout_s, e)) < 0)
				return r;
			if (k->path[0] != '/')
				return json_refuse(&item, e, "path \"%.80s\" is not absolute", k->path);
			if (json_get(&item, "timeout").value && (k->timeout_s <= 0 || k->timeout_s > 86400))
				return json_refuse(&item, e, "timeout is not 1 to 86400 seconds");
		}
	}
	return 0;
}

/* Keys are not empty and values are text (config.md, "Annotations"). */
static int check_annotations(const struct jnode *annotations, struct err *e)
{
	const char *key;
	json_t *value;

	if (!annotations->value)
		return 0;
	json_object_foreach ((json_t *)annotations->value, key, value) {
		struct jnode item = json_get(annotations, key);

		if (!*key)
			return json_refuse(annotations, e, "a key is empty");
		if (!json_is_string(value))
			return json_refuse(&item, e, "not a string");
	}
	return 0;
}

/* What says how a container of another platform is made: nothing of it can be done here. */
static int refuse_platforms(const struct jnode *top, struct err *e)
{
	static const char *const platforms[] = { "solaris", "windows", "vm", "zos", "freebsd" };

	for (size_t i = 0; i < sizeof(platforms) / sizeof(platforms[0]); i++) {
		struct jnode n = json_get(top, platforms[i]);

		if (n.value)
			return json_refuse(&n, e, "is for another platform, this is Linux");
	}
	return 0;
}

/* 1.x of the specification, also with a suffix ("1.0.2-dev"); anything else has another meaning. */
static int check_version(const struct jnode *top, const char *version, struct err *e)
{
	struct jnode n = json_get(top, "ociVersion");

	return version[0] == '1' && version[1] == '.' ? 0 : json_refuse(&n, e, "\"%.40s\" is not 1.x", version);
}

static int parse_top(const struct jnode *top, struct spec *s, struct err *e)
{
	struct jnode root = json_get(top, "root"), process = json_get(top, "process"),
		     annotations = json_get(top, "annotations");
	int r;

	if ((r = json_want_object(top, e)) < 0 || (r = json_need_str(top, "ociVersion", &s->oci_version, e)) < 0 ||
	    (r = check_version(top, s->oci_version, e)) < 0 ||
	    (r = json_str(top, "hostname", &s->hostname, e)) < 0 ||
	    (r = json_str(top, "domainname", &s->domainname, e)) < 0 || (r = json_want_object(&root, e)) < 0 ||
	    (r = json_need_str(&root, "path", &s->rootfs, e)) < 0 ||
	    (r = json_bool(&root, "readonly", &s->rootfs_readonly, e)) < 0 ||
	    (r = json_want_object(&annotations, e)) < 0 || (r = check_annotations(&annotations, e)) < 0 ||
	    (r = refuse_platforms(top, e)) < 0)
		return r;
	s->annotations = annotations.value;
	if (process.value) {
		s->has_process = true;
		if ((r = spec_process_parse(&process, &s->process, e)) < 0)
			return r;
	}
	if ((r = parse_mounts(top, s, e)) < 0 || (r = parse_hooks(top, s, e)) < 0)
		return r;
	return spec_linux_parse(top, s, e);
}

int spec_parse(const char *text, size_t len, struct spec *s, struct err *e)
{
	struct jnode top;
	int r;

	memset(s, 0, sizeof(*s));
	s->personality = PERSONALITY_NONE;
	r = json_parse(text, len, &s->doc, e);
	if (r < 0)
		return r;
	top = json_top(s->doc, "");
	r = parse_top(&top, s, e);
	if (r < 0)
		spec_free(s);
	return r;
}

int spec_load(const char *path, struct spec *s, struct err *e)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r;

	memset(s, 0, sizeof(*s));
	r = io_read_file_at(AT_FDCWD, path, SPEC_MAX_BYTES, &text, &len, e);
	if (r < 0)
		return r;
	r = spec_parse(text, len, s, e);
	return r < 0 ? err_wrap(e, "%s", path) : 0;
}

void spec_free(struct spec *s)
{
	for (size_t i = 0; i < s->mount_count; i++) {
		free(s->mounts[i].options);
		spec_idmaps_free(&s->mounts[i].idmaps);
	}
	for (int kind = 0; kind < HOOK_KINDS; kind++) {
		for (size_t i = 0; i < s->hooks[kind].count; i++) {
			free(s->hooks[kind].list[i].args);
			free(s->hooks[kind].list[i].env);
		}
		free(s->hooks[kind].list);
	}
	free(s->mounts);
	free(s->devices);
	free(s->sysctls);
	free(s->net_devices);
	free(s->rdt.schemata);
	free(s->masked_paths);
	free(s->readonly_paths);
	spec_idmaps_free(&s->idmaps);
	spec_process_free(&s->process);
	json_decref(s->doc);
	memset(s, 0, sizeof(*s));
}
