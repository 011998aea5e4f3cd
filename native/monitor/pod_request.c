/* SPDX-License-Identifier: Apache-2.0 */
/* The start request: JSON to struct pod. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup/systemd.h"
#include "monitor/oci.h"
#include "pod.h"

/* A string member, copied; null or absent is NULL when it may be. */
static int take_string(struct json_view request, const char *key, size_t max, bool optional, char **ret, struct err *e)
{
	struct json_view v = json_view_get(request, key);
	char buf[PATH_MAX];
	int n;

	*ret = NULL;
	if (!v.at && optional)
		return 0;
	n = json_view_string(v, buf, max < sizeof(buf) ? max + 1 : sizeof(buf));
	if (n < 0)
		return err_set(e, EINVAL, "start request: \"%s\" is not a string of at most %zu bytes", key, max);
	*ret = strdup(buf);
	return *ret ? 0 : err_set(e, ENOMEM, "start request");
}

static int take_mode(struct json_view namespaces, const char *key, bool container, enum ns_mode *ret, struct err *e)
{
	char mode[16];

	if (json_view_string(json_view_get(namespaces, key), mode, sizeof(mode)) < 0)
		return err_set(e, EINVAL, "start request: \"namespaces.%s\" is not a mode", key);
	if (strcmp(mode, "pod") == 0)
		*ret = NS_POD;
	else if (strcmp(mode, "host") == 0)
		*ret = NS_HOST;
	else if (container && strcmp(mode, "container") == 0)
		*ret = NS_CONTAINER;
	else
		return err_set(e, EINVAL, "start request: \"namespaces.%s\" can't be \"%s\"", key, mode);
	return 0;
}

/* "/a/b": absolute, no empty part, no "." or "..". */
static bool clean_absolute(const char *path)
{
	if (path[0] != '/' || path[1] == '\0')
		return false;
	while (*path) {
		size_t n = strcspn(++path, "/");

		if (n == 0 || (n == 1 && path[0] == '.') || (n == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		path += n;
	}
	return true;
}

/* {"host": N, "length": N}: ids from 0 on are those from N on, for users and groups. Absent: the host's user namespace. */
static int take_id_map(struct json_view map, struct pod *p, struct err *e)
{
	uint64_t host, length;

	if (!map.at)
		return 0;
	/* The last id, 4294967295, is none. */
	if (json_view_u64(json_view_get(map, "host"), UINT32_MAX, &host) < 0 ||
	    json_view_u64(json_view_get(map, "length"), UINT32_MAX, &length) < 0 || length == 0 || host + length > UINT32_MAX)
		return err_set(e, EINVAL, "start request: \"id_map\" is no range of ids");
	p->own_user = true;
	p->id_map = (struct spec_idmap){ .inside = 0, .outside = (uint32_t)host, .size = (uint32_t)length };
	return 0;
}

static int check(const struct pod *p, struct err *e)
{
	struct systemd_unit unit;

	if (p->id[0] == '\0' || strspn(p->id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.-") != strlen(p->id))
		return err_set(e, EINVAL, "start request: id \"%s\"", p->id);
	if (!clean_absolute(p->run_dir))
		return err_set(e, EINVAL, "start request: run_dir \"%s\" is not a clean absolute path", p->run_dir);
	if (p->socket[0] == '\0' || p->socket[0] == '.' || strchr(p->socket, '/'))
		return err_set(e, EINVAL, "start request: socket \"%s\" is not a plain name", p->socket);
	if (p->network == NS_POD && !p->netns_pin)
		return err_set(e, EINVAL, "start request: a pod's network needs netns_pin");
	if (p->netns_pin && !clean_absolute(p->netns_pin))
		return err_set(e, EINVAL, "start request: netns_pin \"%s\" is not a clean absolute path", p->netns_pin);
	if (!clean_absolute(p->monitor_cgroup))
		return err_set(e, EINVAL, "start request: monitor_cgroup \"%s\"", p->monitor_cgroup);
	if (p->pod_cgroup && !clean_absolute(p->pod_cgroup))
		return err_set(e, EINVAL, "start request: pod_cgroup \"%s\"", p->pod_cgroup);
	if (p->systemd_cgroup && (systemd_unit_of_path(p->monitor_cgroup, &unit, e) < 0 ||
				  (p->pod_cgroup && systemd_unit_of_path(p->pod_cgroup, &unit, e) < 0)))
		return err_wrap(e, "start request");
	if (p->shim_cgroup && !clean_absolute(p->shim_cgroup))
		return err_set(e, EINVAL, "start request: shim_cgroup \"%s\"", p->shim_cgroup);
	return 0;
}

int pod_parse(struct pod *p, const char *text, size_t len, struct err *e)
{
	struct json_view request, namespaces, number;
	uint64_t protocol;
	char *driver = NULL;
	bool known;

	*p = (struct pod){ .net_fd = -1, .ipc_fd = -1, .uts_fd = -1, .pid_fd = -1, .shm_fd = -1, .net_dev_fd = -1,
			   .user_fd = -1 };
	if (json_view_parse(text, len, &request) < 0 || json_view_kind(request) != '{')
		return err_set(e, EINVAL, "start request is not a JSON object");
	if (json_view_u64(json_view_get(request, "protocol"), UINT32_MAX, &protocol) < 0 || protocol != 1)
		return err_set(e, EPROTO, "start request: this monitor speaks protocol 1");
	if (take_string(request, "id", 128, false, &p->id, e) < 0 ||
	    take_string(request, "run_dir", PATH_MAX - 64, false, &p->run_dir, e) < 0 ||
	    take_string(request, "socket", 64, false, &p->socket, e) < 0 ||
	    take_string(request, "netns_pin", PATH_MAX - 64, true, &p->netns_pin, e) < 0 ||
	    take_string(request, "hostname", 64, true, &p->hostname, e) < 0 ||
	    take_string(request, "monitor_cgroup", 2048, false, &p->monitor_cgroup, e) < 0 ||
	    take_string(request, "pod_cgroup", 2048, true, &p->pod_cgroup, e) < 0 ||
	    take_string(request, "shim_cgroup", 2048, true, &p->shim_cgroup, e) < 0)
		return -e->code;
	if (take_string(request, "cgroup_driver", 16, true, &driver, e) < 0)
		return -e->code;
	p->systemd_cgroup = driver && !strcmp(driver, "systemd");
	known = !driver || p->systemd_cgroup || !strcmp(driver, "cgroupfs");
	free(driver);
	if (!known)
		return err_set(e, EINVAL, "start request: cgroup_driver is neither cgroupfs nor systemd");
	namespaces = json_view_get(request, "namespaces");
	if (take_mode(namespaces, "network", false, &p->network, e) < 0 ||
	    take_mode(namespaces, "ipc", false, &p->ipc, e) < 0 || take_mode(namespaces, "uts", false, &p->uts, e) < 0 ||
	    take_mode(namespaces, "pid", true, &p->pid, e) < 0)
		return -e->code;
	if (take_id_map(json_view_get(request, "id_map"), p, e) < 0)
		return -e->code;
	if (p->network == NS_HOST) {
		free(p->netns_pin);
		p->netns_pin = NULL;
	}
	number = json_view_get(request, "shm_bytes");
	if (number.at && json_view_u64(number, INT64_MAX, &p->shm_bytes) < 0)
		return err_set(e, EINVAL, "start request: \"shm_bytes\" is not a number of bytes");
	number = json_view_get(request, "oom_score_adj");
	if (number.at && json_view_i64(number, -1000, 1000, &p->oom_score_adj) < 0)
		return err_set(e, EINVAL, "start request: \"oom_score_adj\" is not between -1000 and 1000");
	p->sysctls = json_view_get(request, "sysctls");
	if (p->sysctls.at && json_view_kind(p->sysctls) != '{')
		return err_set(e, EINVAL, "start request: \"sysctls\" is not an object");
	if (oci_parse(json_view_get(request, "runtime"), &oci, e) < 0)
		return -e->code;
	return check(p, e);
}
