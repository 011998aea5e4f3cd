// SPDX-License-Identifier: Apache-2.0
/* The reference host-local's files: read, written, and survived when they are broken. */
#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "cni_test.h"

static char dir[] = "/tmp/kobako-lease-XXXXXX";

static void put(const char *name, const char *data, size_t len)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/net/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

static bool is(const char *name, const char *want)
{
	char path[256], buf[256];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/net/%s", dir, name);
	n = io_read_small_at(AT_FDCWD, path, buf, sizeof(buf));
	return want ? n == (ssize_t)strlen(want) && !memcmp(buf, want, (size_t)n) : n < 0;
}

static struct ip ip(const char *text)
{
	struct ip a;

	CHECK(ip_parse(text, &a));
	return a;
}

static void owners(void)
{
	CHECK(lease_owner("a\r\neth0", 7, "a", "eth0") == LEASE_OWN);
	CHECK(lease_owner("a\r\neth0\n", 8, "a", "eth0") == LEASE_OWN);
	CHECK(lease_owner("a", 1, "a", "eth0") == LEASE_OWN);
	CHECK(lease_owner("a\r\neth1", 7, "a", "eth0") == LEASE_OTHER);
	CHECK(lease_owner("ab\r\neth0", 8, "a", "eth0") == LEASE_OTHER);
	CHECK(lease_owner("b", 1, "a", "eth0") == LEASE_OTHER);
	CHECK(lease_owner("", 0, "a", "eth0") == LEASE_BROKEN);
	CHECK(lease_owner("\r\n", 2, "a", "eth0") == LEASE_BROKEN);
	CHECK(lease_owner("\0\0\0\0", 4, "a", "eth0") == LEASE_BROKEN);
	CHECK(lease_owner("a\0\r\neth0", 8, "a", "eth0") == LEASE_BROKEN);
	CHECK(lease_owner("\xff\xfe", 2, "a", "eth0") == LEASE_BROKEN);
}

int main(void)
{
	struct leases l;
	struct err e = { 0 };
	struct ip a = ip("10.0.0.2"), b = ip("10.0.0.3"), c = ip("fd00::2"), last;
	char command[64];
	size_t count;

	owners();
	CHECK(mkdtemp(dir));
	CHECK(leases_open(dir, "net", false, &l, &e) == -ENOENT);
	CHECK(leases_open("relative", "net", true, &l, &e) == -EINVAL);
	CHECK(leases_open(dir, "net", true, &l, &e) == 0);

	CHECK(lease_take(&l, &a, 0, "pod1", "eth0", &e) == 1);
	CHECK(is("10.0.0.2", "pod1\r\neth0") && is("last_reserved_ip.0", "10.0.0.2"));
	CHECK(lease_take(&l, &a, 0, "pod2", "eth0", &e) == 0);
	CHECK(lease_take(&l, &c, 1, "pod1", "eth0", &e) == 1);
	CHECK(is("fd00::2", "pod1\r\neth0") && is("last_reserved_ip.1", "fd00::2"));
	last = lease_last(&l, 0);
	CHECK(!ip_cmp(&last, &a));

	/* What a power cut leaves is free again; what a newer or older writer left is not. */
	put("10.0.0.3", "", 0);
	CHECK(lease_take(&l, &b, 0, "pod2", "eth0", &e) == 1);
	CHECK(is("10.0.0.3", "pod2\r\neth0"));
	put("10.0.0.3", "\0\0\0\0\0\0", 6);
	CHECK(lease_take(&l, &b, 0, "pod3", "eth0", &e) == 1);
	put("10.0.0.3", "pod4", 4);
	CHECK(lease_take(&l, &b, 0, "pod3", "eth0", &e) == 0);

	put("last_reserved_ip.0", "nonsense", 8);
	CHECK(lease_last(&l, 0).family == 0);
	CHECK(lease_last(&l, 7).family == 0);

	CHECK(lease_release(&l, "pod1", "eth0", &count, &e) == 0 && count == 2);
	CHECK(is("10.0.0.2", NULL) && is("fd00::2", NULL) && is("10.0.0.3", "pod4"));
	CHECK(lease_release(&l, "pod1", "eth0", &count, &e) == 0 && count == 0);
	CHECK(lease_release(&l, "pod4", "eth0", &count, &e) == 0 && count == 1);
	leases_close(&l);

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	CHECK(system(command) == 0);
	return 0;
}
