/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "name the audit architecture of this processor"
#endif

/*
 * Files below descriptors, memory, the end. Nothing that makes a process, a socket, a mount or a
 * namespace, that executes, or that names another process.
 */
static const int allowed[] = {
	SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_close, SYS_lseek, SYS_fstat, SYS_newfstatat,
	SYS_statx, SYS_fstatfs, SYS_openat, SYS_openat2, SYS_getdents64, SYS_fcntl, SYS_dup, SYS_ftruncate,
	SYS_copy_file_range, SYS_mkdirat, SYS_mknodat, SYS_symlinkat, SYS_linkat, SYS_unlinkat, SYS_renameat,
	SYS_renameat2, SYS_readlinkat, SYS_fchmod, SYS_fchmodat, SYS_fchown, SYS_fchownat, SYS_utimensat,
	SYS_fsetxattr, SYS_fgetxattr, SYS_flistxattr, SYS_fremovexattr, SYS_brk, SYS_munmap, SYS_mremap,
	SYS_madvise, SYS_futex, SYS_getrandom, SYS_clock_gettime, SYS_rt_sigreturn, SYS_rt_sigprocmask,
	SYS_rt_sigaction, SYS_sigaltstack, SYS_gettid, SYS_getpid, SYS_exit, SYS_exit_group,
#ifdef SYS_open
	/* musl's calls for old names */
	SYS_open, SYS_mkdir, SYS_unlink, SYS_rmdir, SYS_rename,
#endif
};

/* These too, without PROT_EXEC (their third argument). */
static const int allowed_not_exec[] = { SYS_mmap, SYS_mprotect };

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))
/* Skips `yes` instructions when the loaded word is k, else `no`. */
#define IF_EQUAL(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), (yes), (no))
#define IF_BITS(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (k), (yes), (no))

int seccomp_lock(struct err *e)
{
	struct sock_filter code[8 + COUNT(allowed) * 2 + COUNT(allowed_not_exec) * 5];
	struct sock_fprog program = { .filter = code };
	size_t n = 0;

	code[n++] = (struct sock_filter)LOAD(arch);
	code[n++] = (struct sock_filter)IF_EQUAL(ARCH, 1, 0);
	code[n++] = (struct sock_filter)RETURN(SECCOMP_RET_KILL_PROCESS);
	code[n++] = (struct sock_filter)LOAD(nr);
	for (size_t i = 0; i < COUNT(allowed); i++) {
		code[n++] = (struct sock_filter)IF_EQUAL((unsigned int)allowed[i], 0, 1);
		code[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	}
	for (size_t i = 0; i < COUNT(allowed_not_exec); i++) {
		code[n++] = (struct sock_filter)IF_EQUAL((unsigned int)allowed_not_exec[i], 0, 4);
		code[n++] = (struct sock_filter)LOAD(args[2]); /* the low half: the processors are little-endian */
		code[n++] = (struct sock_filter)IF_BITS(PROT_EXEC, 1, 0);
		code[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
		code[n++] = (struct sock_filter)RETURN(SECCOMP_RET_KILL_PROCESS);
	}
	code[n++] = (struct sock_filter)RETURN(SECCOMP_RET_KILL_PROCESS);
	program.len = (unsigned short)n;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return err_set(e, errno, "seccomp filter");
	return 0;
}
