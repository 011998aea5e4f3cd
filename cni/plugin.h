/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every plugin shares: the CNI call (environment, configuration on stdin, answer on stdout).
 * Source: CNI specification 1.1.0 (github.com/containernetworking/cni, SPEC.md).
 */
#ifndef KOBAKO_CNI_PLUGIN_H
#define KOBAKO_CNI_PLUGIN_H

#include "base/err.h"
#include "base/json.h"

/* Error codes of the specification, "Error". */
enum {
	CNI_INCOMPATIBLE_VERSION = 1,
	CNI_UNSUPPORTED_FIELD = 2,
	CNI_INVALID_ENV = 4,
	CNI_IO = 5,
	CNI_DECODE = 6,
	CNI_INVALID_CONFIG = 7,
	CNI_TRY_LATER = 11,
	CNI_NOT_AVAILABLE = 50,
	CNI_PLUGIN = 100, /* ours: the kernel or the state refused */
};

enum cni_command { CNI_ADD, CNI_DEL, CNI_CHECK, CNI_GC, CNI_STATUS, CNI_VERSION };

struct cni_call {
	enum cni_command command;
	const char *id;          /* CNI_CONTAINERID */
	const char *netns;       /* CNI_NETNS, "" when the namespace is gone */
	const char *ifname;      /* CNI_IFNAME */
	const char *args;        /* CNI_ARGS, "" */
	const char *path;        /* CNI_PATH */
	char *text;              /* the configuration as it came, text_len bytes */
	size_t text_len;
	json_t *conf;
	const char *name;        /* the network's */
	const char *version;     /* cniVersion of the configuration */
	int version_number;      /* 301, 400, 1000, 1100 */
	int code;                /* of the error under way; 0: CNI_PLUGIN */
};

/* One function per verb; NULL: nothing to do, success. ADD prints its result itself (call_print). */
struct cni_plugin {
	const char *name;
	int (*add)(struct cni_call *call, struct err *e);
	int (*del)(struct cni_call *call, struct err *e);
	int (*check)(struct cni_call *call, struct err *e);
	int (*gc)(struct cni_call *call, struct err *e);
	int (*status)(struct cni_call *call, struct err *e);
};

extern const struct cni_plugin bridge_plugin, host_local_plugin, loopback_plugin, portmap_plugin;

/* Reads the environment and stdin, runs the verb, prints the answer; the program's exit code. */
int plugin_run(const struct cni_plugin *plugin);

/* Checks and fills in what stands in text; the environment's part is there already. Pure. */
int call_parse(struct cni_call *call, struct err *e);
void call_free(struct cni_call *call);

/* As err_set, with the CNI code of the answer. */
int call_refuse(struct cni_call *call, int code, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The top of the configuration, for the accessors of base/json.h. */
struct jnode call_conf(const struct cni_call *call);

/* Value of KEY in CNI_ARGS ("A=1;B=2"), case-insensitive; false: not there. */
bool call_arg(const struct cni_call *call, const char *key, char *buf, size_t size);

/* EINVAL naming the first of `keys` (ends with NULL) that is set to something but false, 0 or "". */
int call_refuse_keys(struct cni_call *call, const char *const *keys, struct err *e);

/* Prints one JSON document on stdout. */
int call_print(const json_t *doc, struct err *e);

/* Prints prevResult as the result, for plugins that change nothing in it. */
int call_print_prev(struct cni_call *call, struct err *e);

/* A container id or network name of the specification: [A-Za-z0-9][A-Za-z0-9_.-]* */
bool cni_name_ok(const char *text);
/* As the kernel's dev_valid_name(). */
bool cni_ifname_ok(const char *text);

/*
 * Opens the pod's network namespace. -ENOENT when it is gone: no file, or a file that is no
 * namespace any more (unmounted). -EINVAL when it is the one we are in: never the host's by mistake.
 */
int netns_open(const char *path, int *ret_fd, struct err *e);

/* Moves the calling thread into fd's network namespace; *ret_back leads back (setns). */
int netns_enter(int fd, int *ret_back, struct err *e);

/* Writes /proc/sys/net/<family>/conf/<link>/<key> of the current namespace. Returns 0 or -errno. */
int sysctl_link(const char *family, const char *link, const char *key, const char *value);

#endif
