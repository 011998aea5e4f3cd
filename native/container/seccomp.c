/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.seccomp: compiled by libseccomp once, made short, kept as BPF by the hash of what it says.
 *
 * A compile costs 1 to 16 ms and up to a megabyte; reading 4 to 20 KiB back costs nothing. The cache
 * is trusted as far as its folder is: root's, 0700. A file that is not whole is compiled anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "base/sha256.h"
#include "container/internal.h"

/* BPF_MAXINSNS instructions of 8 bytes. */
#define MAX_BPF_BYTES (4096 * sizeof(struct sock_filter))

/* What linux.seccomp may say; `features` tells the same. */
static const struct {
	const char *name;
	uint32_t action;
	bool takes_errno;
} actions[] = {
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW, false },
	{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0), true },
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD, false },
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS, false },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD, false },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG, false },
	{ "SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY, false },
	{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(0), true },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP, false },
};
static const struct {
	const char *name;
	enum scmp_compare op;
} operators[] = {
	{ "SCMP_CMP_EQ", SCMP_CMP_EQ }, { "SCMP_CMP_GE", SCMP_CMP_GE }, { "SCMP_CMP_GT", SCMP_CMP_GT },
	{ "SCMP_CMP_LE", SCMP_CMP_LE }, { "SCMP_CMP_LT", SCMP_CMP_LT },
	{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ }, { "SCMP_CMP_NE", SCMP_CMP_NE },
};
static const struct {
	const char *name;
	unsigned int flag;
	bool agent; /* the kernel takes it with a listener only */
} flags[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", 0, false }, /* one thread: nothing to synchronise */
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG, false },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW, false },
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, true },
};
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

const char *container_seccomp_action(size_t i)
{
	return i < COUNT(actions) ? actions[i].name : NULL;
}

const char *container_seccomp_operator(size_t i)
{
	return i < COUNT(operators) ? operators[i].name : NULL;
}

const char *container_seccomp_flag(size_t i)
{
	return i < COUNT(flags) ? flags[i].name : NULL;
}

/* errno_key: what the action returns, EPERM unless it is given (config-linux.md, "errnoRet"). */
static int parse_action(const struct jnode *n, const char *key, const char *errno_key, uint32_t *ret, struct err *e)
{
	struct jnode at = json_get(n, key), errno_at = json_get(n, errno_key);
	uint32_t errno_ret = EPERM;
	const char *name;

	if (json_as_str(&at, &name, e) < 0 || json_u32(n, errno_key, &errno_ret, e) < 0)
		return -e->code;
	for (size_t i = 0; i < COUNT(actions); i++) {
		if (strcmp(name, actions[i].name))
			continue;
		if (errno_at.value && !actions[i].takes_errno)
			return json_refuse(&errno_at, e, "%s takes none", name);
		if (errno_ret > UINT16_MAX)
			return json_refuse(&errno_at, e, "more than %d", UINT16_MAX);
		*ret = actions[i].action | (actions[i].takes_errno ? errno_ret : 0);
		return 0;
	}
	return json_refuse(&at, e, "\"%.40s\" is no action", name);
}

static int parse_arg(const struct jnode *n, struct scmp_arg_cmp *ret, struct err *e)
{
	uint32_t index = 0;
	uint64_t value = 0, second = 0;
	const char *op;

	if (json_u32(n, "index", &index, e) < 0 || json_u64(n, "value", &value, e) < 0 ||
	    json_u64(n, "valueTwo", &second, e) < 0 || json_need_str(n, "op", &op, e) < 0)
		return -e->code;
	if (index > 5)
		return json_refuse(n, e, "a system call has 6 arguments");
	for (size_t i = 0; i < COUNT(operators); i++)
		if (!strcmp(op, operators[i].name)) {
			*ret = (struct scmp_arg_cmp){ .arg = index, .op = operators[i].op, .datum_a = value, .datum_b = second };
			return 0;
		}
	return json_refuse(n, e, "\"%.40s\" is no comparison", op);
}

/* Rules for one name. Several tests of one argument can't stand in one rule: each becomes its own (any matches),
 * as the other runtimes have it. */
static int add_name(scmp_filter_ctx ctx, uint32_t action, int nr, const struct scmp_arg_cmp *args, unsigned int count)
{
	unsigned int seen[6] = { 0 };
	bool twice = false;
	int r = 0;

	for (unsigned int i = 0; i < count; i++)
		twice |= ++seen[args[i].arg] > 1;
	if (!twice)
		return seccomp_rule_add_array(ctx, action, nr, count, args);
	for (unsigned int i = 0; i < count && r == 0; i++)
		r = seccomp_rule_add_array(ctx, action, nr, 1, &args[i]);
	return r;
}

#if defined(__x86_64__)
#define NATIVE_AUDIT_ARCH AUDIT_ARCH_X86_64
#define NARROW_AUDIT_ARCH AUDIT_ARCH_I386
#define NARROW_ARCH SCMP_ARCH_X86
#elif defined(__aarch64__)
#define NATIVE_AUDIT_ARCH AUDIT_ARCH_AARCH64
#define NARROW_AUDIT_ARCH AUDIT_ARCH_ARM
#define NARROW_ARCH SCMP_ARCH_ARM
#elif defined(__riscv)
#define NATIVE_AUDIT_ARCH AUDIT_ARCH_RISCV64
#endif

/* The youngest calls that a profile names: for this machine, and for its 32-bit programs. 0: none. */
struct youngest {
	int native, narrow;
};

static void note_young(struct youngest *y, const char *name, int nr)
{
	if (nr > y->native)
		y->native = nr;
#ifdef NARROW_ARCH
	nr = seccomp_syscall_resolve_name_arch(NARROW_ARCH, name);
	if (nr > y->narrow)
		y->narrow = nr;
#endif
}

static int add_rule(scmp_filter_ctx ctx, const struct jnode *rule, uint32_t default_action, struct youngest *young,
		    struct err *e)
{
	struct jnode names = json_get(rule, "names"), args = json_get(rule, "args");
	uint32_t action = 0;
	struct scmp_arg_cmp compare[12];
	unsigned int count = 0;

	if (json_want_array(&names, e) < 0 || json_want_array(&args, e) < 0 ||
	    parse_action(rule, "action", "errnoRet", &action, e) < 0)
		return -e->code;
	if (!json_count(&names))
		return json_refuse(&names, e, "names no system call");
	if (json_count(&args) > sizeof(compare) / sizeof(compare[0]))
		return json_refuse(&args, e, "more than %zu comparisons", sizeof(compare) / sizeof(compare[0]));
	for (size_t i = 0; i < json_count(&args); i++) {
		struct jnode item = json_item(&args, i);

		if (parse_arg(&item, &compare[count++], e) < 0)
			return -e->code;
	}
	for (size_t i = 0; i < json_count(&names); i++) {
		struct jnode item = json_item(&names, i);
		const char *name;
		int nr, r;

		if (json_as_str(&item, &name, e) < 0)
			return -e->code;
		nr = seccomp_syscall_resolve_name(name);
		if (nr == __NR_SCMP_ERROR)
			continue; /* newer than the library: the default action holds for it */
		note_young(young, name, nr);
		if (action == default_action)
			continue; /* libseccomp refuses a rule that changes nothing */
		r = add_name(ctx, action, nr, compare, count);
		if (r < 0 && r != -EEXIST && r != -EDOM) /* twice the same; not on this machine's ABI */
			return err_set(e, -r, "seccomp rule for %s", name);
	}
	return 0;
}

static int add_architectures(scmp_filter_ctx ctx, const struct jnode *seccomp, struct err *e)
{
	struct jnode list = json_get(seccomp, "architectures");

	if (json_want_array(&list, e) < 0)
		return -e->code;
	for (size_t i = 0; i < json_count(&list); i++) {
		struct jnode item = json_item(&list, i);
		const char *name;
		char lower[32] = "";
		uint32_t arch;
		int r;

		if (json_as_str(&item, &name, e) < 0)
			return -e->code;
		if (!strncmp(name, "SCMP_ARCH_", 10))
			for (size_t c = 10; name[c] && c - 10 < sizeof(lower) - 1; c++)
				lower[c - 10] = name[c] >= 'A' && name[c] <= 'Z' ? (char)(name[c] + 32) : name[c];
		arch = seccomp_arch_resolve_name(lower);
		if (!arch)
			return json_refuse(&item, e, "\"%.40s\" is no architecture", name);
		r = seccomp_arch_add(ctx, arch);
		if (r < 0 && r != -EEXIST)
			return err_set(e, -r, "seccomp architecture %s", name);
	}
	return 0;
}

/*
 * Where refusal means an errno: a system call younger than every one that the profile names answers
 * ENOSYS, so that a C library tries the older one; with EPERM it would give up. (The x32 numbers of
 * x86-64 start at 2^30 and are left to the filter.) Placed before the compiled program.
 */
static size_t put_prelude(struct sock_filter *p, scmp_filter_ctx ctx, uint32_t default_action, const struct youngest *young)
{
	size_t n = 0;

#ifdef NATIVE_AUDIT_ARCH
	unsigned char over = 0; /* length of the part for 32-bit programs */

	if ((default_action & 0xffff0000u) != SCMP_ACT_ERRNO(0) || young->native <= 0)
		return 0;
#ifdef NARROW_ARCH
	if (young->narrow > 0 && seccomp_arch_exist(ctx, NARROW_ARCH) == 0)
		over = 4;
#endif
	p[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, arch));
	p[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_AUDIT_ARCH, 0, 4);
	p[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, nr));
	p[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 2 + over, 0);
	p[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)young->native, 0, 1 + over);
	p[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SCMP_ACT_ERRNO(ENOSYS));
#ifdef NARROW_ARCH
	if (over) {
		p[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NARROW_AUDIT_ARCH, 0, 3);
		p[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, nr));
		p[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)young->narrow, 0, 1);
		p[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SCMP_ACT_ERRNO(ENOSYS));
	}
#endif
#endif
	return n;
}

int seccomp_compile(const struct jnode *seccomp, char **ret_bpf, size_t *ret_len, struct err *e)
{
	struct sock_filter prelude[12];
	struct youngest young = { 0 };
	uint32_t action = 0;
	struct jnode rules = json_get(seccomp, "syscalls");
	cleanup_fd int out = -1;
	scmp_filter_ctx ctx;
	int r;

	if (json_want_array(&rules, e) < 0 ||
	    parse_action(seccomp, "defaultAction", "defaultErrnoRet", &action, e) < 0)
		return -e->code;
	if (action == SCMP_ACT_NOTIFY) {
		struct jnode at = json_get(seccomp, "defaultAction");

		return json_refuse(&at, e, "SCMP_ACT_NOTIFY on every call: the runtime itself makes some");
	}
	ctx = seccomp_init(action);
	if (!ctx)
		return err_set(e, EINVAL, "start a seccomp filter");
	/* no_new_privs is the process's own affair; a binary tree instead of a list of 400 comparisons. */
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	r = add_architectures(ctx, seccomp, e);
	for (size_t i = 0; r == 0 && i < json_count(&rules); i++) {
		struct jnode item = json_item(&rules, i);

		r = add_rule(ctx, &item, action, &young, e);
	}
	if (r == 0) {
		out = memfd_create("seccomp", MFD_CLOEXEC);
		r = out < 0 ? -errno : 0;
		if (r == 0)
			r = io_write_all(out, prelude, put_prelude(prelude, ctx, action, &young) * sizeof(prelude[0]), e);
		if (r == 0)
			r = seccomp_export_bpf(ctx, out);
		if (r < 0)
			err_set(e, -r, "compile the seccomp filter");
		else if (lseek(out, 0, SEEK_SET) < 0)
			r = err_set(e, errno, "compile the seccomp filter");
		else
			r = io_read_all(out, MAX_BPF_BYTES, ret_bpf, ret_len, e);
	}
	seccomp_release(ctx);
	return r;
}

/* Hashes a value with its structure, so that no two values give the same bytes. */
static void hash_value(struct sha256 *h, const json_t *v)
{
	const char *key;
	json_t *item;
	size_t i;
	char head[48];
	int n;

	switch (json_typeof(v)) {
	case JSON_OBJECT:
		n = snprintf(head, sizeof(head), "{%zu", json_object_size(v));
		sha256_add(h, head, (size_t)n);
		json_object_foreach ((json_t *)v, key, item) {
			sha256_add(h, key, strlen(key) + 1);
			hash_value(h, item);
		}
		break;
	case JSON_ARRAY:
		n = snprintf(head, sizeof(head), "[%zu", json_array_size(v));
		sha256_add(h, head, (size_t)n);
		json_array_foreach (v, i, item)
			hash_value(h, item);
		break;
	case JSON_STRING:
		sha256_add(h, "s", 1);
		sha256_add(h, json_string_value(v), json_string_length(v) + 1);
		break;
	case JSON_INTEGER:
		n = snprintf(head, sizeof(head), "i%" PRId64 ";", (int64_t)json_integer_value(v));
		sha256_add(h, head, (size_t)n);
		break;
	case JSON_REAL:
		n = snprintf(head, sizeof(head), "r%.17g;", json_real_value(v));
		sha256_add(h, head, (size_t)n);
		break;
	default:
		sha256_add(h, json_is_true(v) ? "t" : json_is_false(v) ? "f" : "n", 1);
	}
}

/* The name in the cache: what is compiled, by which compiler, for which machine. */
void seccomp_cache_name(const json_t *seccomp, char ret[80])
{
	const struct scmp_version *v = seccomp_version();
	struct sha256 h;
	char head[64];
	int n = snprintf(head, sizeof(head), "4 %u.%u.%u %x ", v->major, v->minor, v->micro, seccomp_arch_native());

	sha256_init(&h);
	sha256_add(&h, head, (size_t)n);
	hash_value(&h, seccomp);
	sha256_hex(&h, ret);
	strcat(ret, ".bpf");
}

/* The cache folder, when it is one that only root writes to. -1: go without. */
static int open_cache(const char *path)
{
	cleanup_fd int dir = -1;
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno == ENOENT) {
		cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), made = -1;
		struct err ignored;

		path_mkdirs(root, path, 0700, &made, &ignored);
	}
	dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022))
		return -1;
	return take_fd(&dir);
}

static int parse_flags(const struct jnode *seccomp, bool notify, unsigned int *ret, struct err *e)
{
	struct jnode list = json_get(seccomp, "flags");

	*ret = 0;
	if (json_want_array(&list, e) < 0)
		return -e->code;
	for (size_t i = 0; i < json_count(&list); i++) {
		struct jnode item = json_item(&list, i);
		const char *name;
		size_t f;

		if (json_as_str(&item, &name, e) < 0)
			return -e->code;
		for (f = 0; f < COUNT(flags); f++)
			if (!strcmp(name, flags[f].name))
				break;
		if (f == COUNT(flags))
			return json_refuse(&item, e, "\"%.60s\" is not supported", name);
		*ret |= !flags[f].agent || notify ? flags[f].flag : 0;
	}
	return 0;
}

static int read_cached(int dir, const char *name, struct seccomp_filter *f)
{
	cleanup_free char *bpf = NULL;
	struct err ignored;
	size_t len = 0;

	io_read_file_at(dir, name, MAX_BPF_BYTES, &bpf, &len, &ignored);
	if (!len || len % sizeof(struct sock_filter))
		return -ENOENT;
	f->prog.len = (unsigned short)(len / sizeof(struct sock_filter));
	f->prog.filter = (struct sock_filter *)take_ptr(&bpf);
	return 0;
}

int seccomp_prepare(const json_t *seccomp, const char *cache_dir, struct seccomp_filter *ret, struct err *e)
{
	struct jnode n = json_top(seccomp, "linux.seccomp");
	struct seccomp_filter f = { .needed = seccomp != NULL };
	cleanup_free char *bpf = NULL;
	cleanup_fd int dir = -1;
	struct err ignored;
	char name[80];
	size_t len = 0;

	*ret = (struct seccomp_filter){ 0 };
	if (!seccomp)
		return 0;
	if (seccomp_notify_check(&n, &f.notify, e) < 0 || parse_flags(&n, f.notify, &f.flags, e) < 0)
		return -e->code;
	seccomp_cache_name(seccomp, name);
	dir = open_cache(cache_dir ? cache_dir : CONTAINER_SECCOMP_CACHE);
	if (dir >= 0 && read_cached(dir, name, &f) == 0) {
		*ret = f;
		return 0;
	}
	if (seccomp_compile(&n, &bpf, &len, e) < 0)
		return -e->code;
	len /= sizeof(struct sock_filter);
	seccomp_shorten((struct sock_filter *)bpf, &len);
	if (dir >= 0) /* a full disk costs the time of a compile, no more */
		io_write_atomic_at(dir, name, bpf, len * sizeof(struct sock_filter), 0600, &ignored);
	f.prog.len = (unsigned short)len;
	f.prog.filter = (struct sock_filter *)take_ptr(&bpf);
	*ret = f;
	return 0;
}

int seccomp_cached(const char *cache_dir, const char *name, struct seccomp_filter *ret, struct err *e)
{
	struct seccomp_filter f = { .needed = true };
	cleanup_fd int dir = open_cache(cache_dir ? cache_dir : CONTAINER_SECCOMP_CACHE);

	if (dir < 0 || read_cached(dir, name, &f) < 0)
		return err_set(e, ENOENT, "compiled seccomp filter %s", name);
	*ret = f;
	return 0;
}

void seccomp_filter_free(struct seccomp_filter *f)
{
	free(f->prog.filter);
	free(f->message);
	if (f->notify && f->agent > 0)
		close(f->agent);
	*f = (struct seccomp_filter){ 0 };
}

int seccomp_load_filter(const struct seccomp_filter *f, struct err *e)
{
	if (!f->needed)
		return 0;
	if (f->notify)
		return seccomp_notify_load(f, e);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, f->flags, &f->prog) < 0)
		return err_set(e, errno, "load the seccomp filter");
	return 0;
}
