/* SPDX-License-Identifier: Apache-2.0 */
/* Copies between trees: what arrives, where it goes, and what a hostile tree can't make of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copy/copy.h"

static int failed, left;
static char top[64];

#define CHECK(cond, ...)                                       \
	do {                                                   \
		if (!(cond)) {                                 \
			printf("copy_test:%d: ", __LINE__);    \
			printf(__VA_ARGS__);                   \
			printf("\n");                          \
			failed = 1;                            \
		}                                              \
	} while (0)

static void left_out(const char *path)
{
	left++;
}

static void sh(const char *script)
{
	char command[4096];

	snprintf(command, sizeof(command), "set -e; cd %s; %s", top, script);
	if (system(command))
		abort();
}

static int copy(const char *from, const char *to, struct err *e)
{
	char path[128];
	int a, b, r;

	snprintf(path, sizeof(path), "%s/a", top);
	a = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/b", top);
	b = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	left = 0;
	*e = (struct err){ 0 };
	r = copy_path(a, from, b, to, left_out, e);
	close(a);
	close(b);
	return r;
}

static void arrives(const char *from, const char *to, const char *check)
{
	char command[4096];
	struct err e;

	CHECK(copy(from, to, &e) == 0, "copy %s to %s: %s: %s", from, to, e.step, strerror(e.code));
	snprintf(command, sizeof(command), "cd %s/b; %s", top, check);
	CHECK(system(command) == 0, "after %s to %s: %s", from, to, check);
}

static void refused(const char *from, const char *to, int code)
{
	struct err e;
	int r = copy(from, to, &e);

	CHECK(r == -code, "copy %s to %s: %d, %s", from, to, r, e.step);
}

int main(void)
{
	char command[128];

	strcpy(top, "/tmp/copy_test.XXXXXX");
	if (!mkdtemp(top))
		abort();
	umask(022);
	sh("mkdir a b out; echo secret > out/secret; echo one > a/one; chmod 4755 a/one; touch -d 2001-02-03 a/one");
	sh("mkdir -p a/d/e; echo two > a/d/e/two; ln -s ../one a/d/up; ln -s /one a/abs; mkfifo a/d/fifo; chmod 700 a/d");

	/* Where it goes. */
	arrives("one", "new", "cmp new ../a/one");
	arrives("/one", ".", "cmp one ../a/one && [ $(stat -c %a one) = 755 ] && [ $(stat -c %Y one) = $(stat -c %Y ../a/one) ]");
	arrives("d", "copied", "[ $(cat copied/e/two) = two ] && [ $(readlink copied/up) = ../one ] && [ ! -e copied/fifo ]");
	CHECK(left == 1, "left out: %d", left);
	arrives("d/", "copied", "[ $(cat copied/d/e/two) = two ] && [ $(stat -c %a copied/d) = 700 ]");
	arrives("d/.", "flat", "[ $(cat flat/e/two) = two ]");
	arrives("d/e/.", ".", "[ $(cat two) = two ]");
	arrives("abs", "followed", "cmp followed ../a/one");
	sh("echo changed > a/one");
	arrives("one", "new", "[ $(cat new) = changed ] && [ $(ls -A | grep -c kobako) = 0 ]");
	sh("rm -r b/new; mkdir b/new");
	arrives("one", "new", "[ $(cat new/one) = changed ]");
	refused("none", "x", ENOENT);
	refused("one", "none/x", ENOENT);
	refused("one", "none/", ENOENT);
	refused("one/x", "x", ENOTDIR);
	refused("d/fifo", "x", EINVAL);
	refused("/", "x/", EINVAL);

	/* A folder does not give way to a file, nor a file to a folder. */
	sh("mkdir b/clash; mkdir b/clash/one; touch b/file");
	refused("one", "clash", EISDIR);
	refused("d", "file/x", ENOTDIR);
	refused("d", "file", ENOTDIR);

	/* Links of a hostile tree lead nowhere but into that tree. */
	sh("ln -s ../../out a/climb; ln -s /etc a/host; ln -s /proc/self/root a/magic");
	refused("climb/secret", "x", ENOENT);
	refused("host/passwd", "x", ENOENT);
	refused("magic/etc/passwd", "x", ENOENT);
	sh("rm -rf b/*; ln -s ../../out b/d; ln -s ../out/secret b/one");
	arrives("one", ".", "[ ! -L one ] && [ $(cat one) = changed ] && [ $(cat ../out/secret) = secret ]");
	refused("d/.", "d/", ENOTDIR);
	sh("mkdir b/in; ln -s ../../out b/in/d");
	refused("d", "in", ENOTDIR);
	snprintf(command, sizeof(command), "[ \"$(ls %s/out)\" = secret ]", top);
	CHECK(system(command) == 0, "something was written through a link");

	/* A file that claims to be huge costs what it holds. */
	sh("rm -rf b/*; truncate -s 200G a/huge; printf x | dd of=a/huge bs=1 seek=1000000 conv=notrunc 2>/dev/null");
	arrives("huge", ".", "[ $(stat -c %s huge) = 214748364800 ] && [ $(stat -c %b huge) -lt 1000 ] && "
			     "[ \"$(dd if=huge bs=1 skip=1000000 count=1 2>/dev/null)\" = x ]");

	/* Deeper than it goes is told, not a crash; deep is fine. */
	sh("d=a/deep; mkdir $d; for i in $(seq 250); do d=$d/n; done; mkdir -p $d; echo down > $d/f");
	arrives("deep", ".", "[ $(find deep -name f | wc -l) = 1 ]");
	sh("cd a/deep; for i in $(seq 250); do cd n; done; mkdir -p n/n/n/n/n/n/n/n/n/n");
	refused("deep", "deeper", ELOOP);

	snprintf(command, sizeof(command), "rm -rf %s", top);
	if (system(command))
		failed = 1;
	if (!failed)
		printf("copy_test: ok\n");
	return failed;
}
