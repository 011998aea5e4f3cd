/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls and constants that the C library (musl 1.2.3, glibc 2.36) does not wrap.
 * Thin: each returns what the kernel does, with errno. Only what is used stands here.
 */
#ifndef KOBAKO_BASE_SYS_H
#define KOBAKO_BASE_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
/* After sys/mount.h: both name the MS_ flags, the kernel's header alone the new mount API. */
#include <linux/mount.h>
#include <linux/stat.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

static inline int sys_openat2(int dirfd, const char *path, const struct open_how *how)
{
	return (int)syscall(SYS_openat2, dirfd, path, how, sizeof(*how));
}

static inline int sys_pidfd_open(pid_t pid, unsigned int flags)
{
	return (int)syscall(SYS_pidfd_open, pid, flags);
}

static inline int sys_pidfd_send_signal(int pidfd, int sig)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

static inline int sys_close_range(unsigned int first, unsigned int last, unsigned int flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}

/* The argument of clone3(2) as of 5.7; under our own name, the C library's headers disagree on theirs. */
struct sys_clone_args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

/*
 * As fork(2): returns twice, on the same stack (copied). No C library atfork work is done: the child
 * may use the heap only when the caller has a single thread.
 */
static inline pid_t sys_clone3(const struct sys_clone_args *args)
{
	return (pid_t)syscall(SYS_clone3, args, sizeof(*args));
}

/*
 * Runs fn(arg), which never returns, in a new process on the stack that args names. With CLONE_VM | CLONE_VFORK it
 * borrows our memory until it executes a program or ends, and we wait so long: no page is copied, none is faulted in
 * twice. A C function can't be entered twice on one stack by two processes in turn; hence the assembly.
 */
static inline pid_t sys_clone3_run(const struct sys_clone_args *args, void (*fn)(void *arg), void *arg)
{
#if defined(__x86_64__)
	long r;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "mov %[arg], %%rdi\n\t"
			 "call *%[fn]\n\t"
			 "ud2\n"
			 "1:"
			 : "=a"(r)
			 : "0"((long)SYS_clone3), "D"(args), "S"(sizeof(*args)), [fn] "r"(fn), [arg] "r"(arg)
			 : "rcx", "r11", "cc", "memory");
#elif defined(__aarch64__)
	register long r __asm__("x0") = (long)args;
	register long size __asm__("x1") = sizeof(*args);
	register long call __asm__("x8") = SYS_clone3;

	__asm__ volatile("svc #0\n\t"
			 "cbnz x0, 1f\n\t"
			 "mov x0, %[arg]\n\t"
			 "blr %[fn]\n\t"
			 "brk #1\n"
			 "1:"
			 : "+r"(r)
			 : "r"(size), "r"(call), [fn] "r"(fn), [arg] "r"(arg)
			 : "x30", "cc", "memory");
#elif defined(__riscv)
	register long r __asm__("a0") = (long)args;
	register long size __asm__("a1") = sizeof(*args);
	register long call __asm__("a7") = SYS_clone3;

	__asm__ volatile("ecall\n\t"
			 "bnez a0, 1f\n\t"
			 "mv a0, %[arg]\n\t"
			 "jalr %[fn]\n\t"
			 "ebreak\n"
			 "1:"
			 : "+r"(r)
			 : "r"(size), "r"(call), [fn] "r"(fn), [arg] "r"(arg)
			 : "ra", "memory");
#else
#error "clone3 on a stack of its own is not written for this machine"
#endif
	if (r < 0) {
		errno = (int)-r;
		return -1;
	}
	return (pid_t)r;
}

static inline int sys_open_tree(int dirfd, const char *path, unsigned int flags)
{
	return (int)syscall(SYS_open_tree, dirfd, path, flags);
}

/* Moves the mount behind from_fd (a detached tree, or O_PATH) onto the file behind to_fd. */
static inline int sys_move_mount_fd(int from_fd, int to_fd)
{
	return (int)syscall(SYS_move_mount, from_fd, "", to_fd, "",
			    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static inline int sys_move_mount(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned int flags)
{
	return (int)syscall(SYS_move_mount, from_dirfd, from, to_dirfd, to, flags);
}

static inline int sys_fsopen(const char *fstype, unsigned int flags)
{
	return (int)syscall(SYS_fsopen, fstype, flags);
}

static inline int sys_fsconfig_string(int fs_fd, const char *key, const char *value)
{
	return (int)syscall(SYS_fsconfig, fs_fd, FSCONFIG_SET_STRING, key, value, 0);
}

static inline int sys_fsconfig_flag(int fs_fd, const char *key)
{
	return (int)syscall(SYS_fsconfig, fs_fd, FSCONFIG_SET_FLAG, key, NULL, 0);
}

static inline int sys_fsconfig_fd(int fs_fd, const char *key, int fd)
{
	return (int)syscall(SYS_fsconfig, fs_fd, FSCONFIG_SET_FD, key, NULL, fd);
}

static inline int sys_fsconfig_create(int fs_fd)
{
	return (int)syscall(SYS_fsconfig, fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
}

/* attr_flags: MOUNT_ATTR_*. Returns a detached mount. */
static inline int sys_fsmount(int fs_fd, unsigned int flags, unsigned int attr_flags)
{
	return (int)syscall(SYS_fsmount, fs_fd, flags, attr_flags);
}

static inline int sys_mount_setattr(int dirfd, const char *path, unsigned int flags, struct mount_attr *attr)
{
	return (int)syscall(SYS_mount_setattr, dirfd, path, flags, attr, sizeof(*attr));
}

static inline int sys_statx(int dirfd, const char *path, int flags, unsigned int mask, struct statx *st)
{
	return (int)syscall(SYS_statx, dirfd, path, flags, mask, st);
}

static inline int sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}

static inline int sys_execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags)
{
	return (int)syscall(SYS_execveat, dirfd, path, argv, envp, flags);
}

#endif
