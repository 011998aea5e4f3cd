/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root filesystem of a container as a block device: a loop device above an image.
 * The device ends by itself when nobody has it any more. The monitor holds it from here to the end of the container, or
 * of the pod; the shim's mount, or its guest, holds it too. So whatever dies, none is left.
 * Source: loop(4), LO_FLAGS_AUTOCLEAR and LOOP_CONFIGURE (Linux 5.8).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "monitor/pod.h"
#include "monitor/shim.h"

#define LIMIT_MS 10000
/* Somebody else may take the number that we were told is free. */
#define TRIES 64

/* Of the sandbox's own container. */
static int pod_disk = -1;

void shim_disk_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void shim_disk_end(void)
{
	shim_disk_close(&pod_disk);
}

static int attach(int image, const char *path, int *ret_fd, int *ret_number, struct err *e)
{
	struct loop_config config = { .fd = (uint32_t)image, .info = { .lo_flags = LO_FLAGS_AUTOCLEAR } };
	cleanup_fd int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	char device[32];

	if (control < 0)
		return err_set(e, errno, "open /dev/loop-control: a root filesystem as block device needs loop devices");
	/* For people who list them. */
	snprintf((char *)config.info.lo_file_name, sizeof(config.info.lo_file_name), "%.*s", LO_NAME_SIZE - 1, path);
	for (int i = 0; i < TRIES; i++) {
		cleanup_fd int fd = -1;

		*ret_number = ioctl(control, LOOP_CTL_GET_FREE);
		if (*ret_number < 0)
			return err_set(e, errno, "find a free loop device");
		snprintf(device, sizeof(device), "/dev/loop%d", *ret_number);
		fd = open(device, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return err_set(e, errno, "open %s", device);
		if (ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
			*ret_fd = take_fd(&fd);
			return 0;
		}
		if (errno != EBUSY)
			return err_set(e, errno, "attach \"%s\" to %s", path, device);
	}
	return err_set(e, EBUSY, "find a free loop device");
}

static int disk_work(void *arg, struct runner_report *report, int *fd, struct text *body)
{
	cleanup_fd int image = open(arg, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	int number;

	report->kind = KIND_FAILED_PRECONDITION;
	if (image < 0)
		return err_set(&report->e, errno, "open image \"%s\"", (const char *)arg);
	if (attach(image, arg, fd, &number, &report->e) < 0)
		return -1;
	text_fmt(body, "{\"device\":\"/dev/loop%d\"}", number);
	return 0;
}

/* Whose disk a request is about, by name: the container may be deleted meanwhile. */
struct disk_order {
	struct reply *reply;
	char container[MEMBER_ID_MAX + 1];
};

static void attached(void *owner, const struct runner_report *report, int fd, const struct text *body)
{
	cleanup_free struct disk_order *o = owner;
	struct member *m = o->container[0] ? member_find(o->container) : NULL;
	int *place = m ? &m->disk_fd : o->container[0] ? NULL : &pod_disk;

	if (report->e.code) {
		shim_disk_close(&fd);
		reply_error(o->reply, report->kind, &report->e);
	} else if (!place || *place >= 0) {
		shim_disk_close(&fd);
		reply_refuse(o->reply, KIND_FAILED_PRECONDITION, EBUSY, "disk: container %s is gone, or has one", o->container);
	} else {
		*place = fd;
		reply_ok(o->reply, body->at, body->len);
	}
}

void shim_disk(struct json_view params, struct reply *r)
{
	cleanup_free struct disk_order *o = calloc(1, sizeof(*o));
	char path[PATH_MAX];
	struct err e;

	if (!o) {
		reply_refuse(r, KIND_RESOURCE_EXHAUSTED, ENOMEM, "disk");
		return;
	}
	o->reply = r;
	if (json_view_get(params, "container").at) {
		struct member *m = member_of(params, r);

		if (!m)
			return;
		strcpy(o->container, m->id);
	}
	if (json_view_string(json_view_get(params, "image"), path, sizeof(path)) < 0 || path[0] != '/') {
		reply_refuse(r, KIND_INVALID_ARGUMENT, EINVAL, "disk: \"image\" is not an absolute path");
		return;
	}
	if (runner_start(disk_work, path, NULL, 0, LIMIT_MS, attached, o, &e) < 0)
		reply_error(r, error_kind_of(e.code), &e);
	else
		o = NULL;
}
