/* SPDX-License-Identifier: Apache-2.0 */
#include "shim_events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "monitor/loop.h"

/* The protocol's own limit of a frame. */
#define FRAME_MAX (4u << 20)

struct peer {
	struct watch watch;
	struct peer *next;
	uint8_t header[TTRPC_HEADER];
	size_t have;   /* of the header, then of the data too */
	uint8_t *data; /* NULL while the header comes, and while a large frame is passed over */
};

static struct watch listener = { .fd = -1 };
static struct peer *peers;
static int peer_count;
static void (*take_event)(const struct shim_event *event);

static void end(struct peer *p)
{
	for (struct peer **at = &peers; *at; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			break;
		}
	peer_count--;
	free(p->data);
	p->data = NULL;
	loop_close(&p->watch);
	loop_free(&p->watch, p);
}

/* Answers are a few bytes: a peer that has no room for one does not read, and is cut off. */
static bool answer(struct peer *p, uint32_t stream, enum ttrpc_code code, const char *message)
{
	uint8_t buf[TTRPC_ANSWER_MAX];
	size_t len = ttrpc_answer(buf, stream, code, message);

	return send(p->watch.fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
}

static bool handle(struct peer *p, const struct ttrpc_header *h)
{
	struct shim_event event;

	if (h->type != TTRPC_REQUEST)
		return false;
	if (h->len > SHIM_EVENT_MAX)
		return answer(p, h->stream, TTRPC_OK, "");
	switch (shim_event_parse((struct proto_view){ p->data, h->len }, &event)) {
	case 0:
		if (event.kind != SHIM_OTHER)
			take_event(&event);
		return answer(p, h->stream, TTRPC_OK, "");
	case -ENOSYS:
		return answer(p, h->stream, TTRPC_UNIMPLEMENTED, "only events are taken here");
	default:
		return answer(p, h->stream, TTRPC_INVALID_ARGUMENT, "the request is malformed");
	}
}

/* Reads once. False: nothing more now, or p is gone. */
static bool read_some(struct peer *p)
{
	uint8_t waste[4096];
	struct ttrpc_header h;
	size_t end_at, room;
	uint8_t *to;
	ssize_t n;

	if (p->have < TTRPC_HEADER) {
		to = p->header + p->have;
		room = TTRPC_HEADER - p->have;
	} else {
		ttrpc_header_parse(p->header, &h);
		to = p->data ? p->data + (p->have - TTRPC_HEADER) : waste;
		room = h.len - (p->have - TTRPC_HEADER);
		if (!p->data && room > sizeof(waste))
			room = sizeof(waste);
	}
	n = recv(p->watch.fd, to, room, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		end(p);
		return false;
	}
	p->have += (size_t)n;
	if (p->have < TTRPC_HEADER)
		return true;
	ttrpc_header_parse(p->header, &h);
	end_at = TTRPC_HEADER + (size_t)h.len;
	if (h.len > FRAME_MAX) {
		end(p);
		return false;
	}
	if (p->have < end_at) {
		if (!p->data && h.len <= SHIM_EVENT_MAX && !(p->data = malloc(h.len))) {
			end(p);
			return false;
		}
		return true;
	}
	if (!handle(p, &h)) {
		end(p);
		return false;
	}
	free(p->data);
	p->data = NULL;
	p->have = 0;
	return true;
}

static void on_peer(struct watch *w, uint32_t events)
{
	struct peer *p = container_of(w, struct peer, watch);

	/* A bounded turn: other connections come next. */
	for (int i = 0; i < 64 && read_some(p); i++)
		;
}

static void on_listener(struct watch *w, uint32_t events)
{
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred cred = { .uid = (uid_t)-1 };
	socklen_t size = sizeof(cred);
	struct peer *p = NULL;

	if (fd < 0)
		return;
	if (peer_count < SHIM_PEERS && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0 && cred.uid == 0)
		p = calloc(1, sizeof(*p));
	if (!p) {
		close(fd);
		return;
	}
	p->watch = (struct watch){ .fd = fd, .ready = on_peer };
	p->next = peers;
	peers = p;
	peer_count++;
	if (loop_watch(&p->watch, EPOLLIN) < 0)
		end(p);
}

int shim_events_listen(const char *dir, const char *name, void (*take)(const struct shim_event *event), struct err *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int r;

	if (fd < 0 || strlen(name) >= sizeof(address.sun_path))
		return err_set(e, fd < 0 ? errno : ENAMETOOLONG, "events socket");
	if (chdir(dir) < 0)
		return err_set(e, errno, "chdir \"%s\"", dir);
	strcpy(address.sun_path, name);
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	umask(mask);
	if (chdir("/") < 0 && r == 0)
		r = -errno;
	if (r < 0 || listen(fd, SHIM_PEERS) < 0)
		return err_set(e, r < 0 ? -r : errno, "listen on \"%s/%s\"", dir, name);
	take_event = take;
	listener = (struct watch){ .fd = take_fd(&fd), .ready = on_listener };
	r = loop_watch(&listener, EPOLLIN);
	return r < 0 ? err_set(e, -r, "watch the events socket") : 0;
}

void shim_events_close(void)
{
	loop_close(&listener);
	while (peers)
		end(peers);
}
