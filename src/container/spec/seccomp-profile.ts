/**
 * The seccomp profile of "runtime/default", as data. What is not named is refused with EPERM.
 * docs/seccomp.md compares it with containerd's, call by call, and says why where they differ.
 */
import type { OciSeccomp, OciSeccompArg, OciSyscallRule } from "../../oci/runtime-spec.ts";

const EPERM = 1;
const ENOSYS = 38;

/** Names separated by space. */
const words = (text: string): string[] => text.trim().split(/\s+/);

/** Allowed to everyone, by what they are for. */
const files = words(`
  access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
  fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync
  flock fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64
  ioctl lchown lchown32 link linkat _llseek lseek lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at
  newfstatat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat
  readv rename renameat renameat2 rmdir sendfile sendfile64 splice stat stat64 statfs statfs64 statx symlink
  symlinkat sync sync_file_range syncfs tee truncate truncate64 umask unlink unlinkat utime utimensat
  utimensat_time64 utimes vmsplice write writev pipe pipe2 cachestat
`);
const extendedAttributes = words(`
  fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr listxattrat llistxattr
  lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat
`);
const waiting = words(`
  epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 fanotify_mark
  inotify_add_watch inotify_init inotify_init1 inotify_rm_watch _newselect poll ppoll ppoll_time64 pselect6
  pselect6_time64 select signalfd signalfd4
  io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit
`);
const memory = words(`
  brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2
  mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages
`);
const processes = words(`
  execve execveat exit exit_group fork getpgid getpgrp getpid getppid getpriority getrlimit getrusage getsid gettid
  ioprio_get ioprio_set kill pidfd_open pidfd_send_signal prctl prlimit64 process_mrelease process_vm_readv
  process_vm_writev ptrace restart_syscall rseq sched_getaffinity sched_getattr sched_getparam
  sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval
  sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield
  set_robust_list get_robust_list setpgid setpriority setrlimit setsid set_thread_area get_thread_area
  set_tid_address tgkill tkill ugetrlimit uretprobe vfork wait4 waitid waitpid
  futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake
`);
const signals = words(`
  pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
  rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn
`);
const identity = words(`
  capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32
  getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups
  setgroups32 setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32
`);
const sockets = words(`
  accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64
  recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketpair
`);
const ipc = words(`
  ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
  mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget
`);
const time = words(`
  adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
  clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create timer_delete
  timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
  timerfd_gettime64 timerfd_settime timerfd_settime64 times
`);
const confinement = words(`
  landlock_add_rule landlock_create_ruleset landlock_restrict_self lsm_get_self_attr lsm_list_modules
  lsm_set_self_attr seccomp
`);
const system = words("getcpu getrandom listmount statmount sysinfo uname");

/** Names are in the order of the alphabet, so that equal profiles are equal bytes (and one cached filter). */
const always: readonly string[] = [
  ...files,
  ...extendedAttributes,
  ...waiting,
  ...memory,
  ...processes,
  ...signals,
  ...identity,
  ...sockets,
  ...ipc,
  ...time,
  ...confinement,
  ...system,
].sort();

const byArchitecture = {
  x64: {
    architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    names: ["arch_prctl", "modify_ldt"],
  },
  arm64: {
    architectures: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
    names: [
      "arm_fadvise64_64",
      "arm_sync_file_range",
      "breakpoint",
      "cacheflush",
      "set_tls",
      "sync_file_range2",
    ],
  },
} as const;

/** What a capability in the bounding set adds: calls that do nothing for a process without it. */
const byCapability: Readonly<Record<string, readonly string[]>> = {
  CAP_BPF: ["bpf"],
  CAP_DAC_READ_SEARCH: ["open_by_handle_at"],
  CAP_PERFMON: ["perf_event_open"],
  CAP_SYS_ADMIN: words(`
    bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick mount mount_setattr move_mount open_tree
    perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare
  `),
  CAP_SYS_BOOT: ["reboot"],
  CAP_SYS_CHROOT: ["chroot"],
  CAP_SYS_MODULE: ["delete_module", "finit_module", "init_module"],
  CAP_SYS_NICE: ["get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"],
  CAP_SYS_PACCT: ["acct"],
  CAP_SYS_PTRACE: ["kcmp", "pidfd_getfd", "process_madvise"],
  CAP_SYS_RAWIO: ["ioperm", "iopl"],
  CAP_SYS_TIME: ["clock_settime", "clock_settime64", "settimeofday", "stime"],
  CAP_SYS_TTY_CONFIG: ["vhangup"],
  CAP_SYSLOG: ["syslog"],
};

/**
 * Address families of socket(2), by number. A new family is refused until it stands here.
 * Source: include/linux/socket.h.
 */
export const allowedSocketFamilies = {
  AF_UNIX: 1,
  AF_INET: 2,
  AF_INET6: 10,
  AF_KEY: 15,
  AF_NETLINK: 16,
  AF_PACKET: 17,
  AF_PPPOX: 24,
  AF_LLC: 26,
  AF_IB: 27,
  AF_MPLS: 28,
  AF_CAN: 29,
  AF_TIPC: 30,
  AF_BLUETOOTH: 31,
  AF_IEEE802154: 36,
  AF_QIPCRTR: 42,
  AF_SMC: 43,
  AF_XDP: 44,
  AF_MCTP: 45,
} as const;

/** Execution domains that change nothing but what uname(2) says: Linux, its 2.6 disguise, and "which is it?". */
const personalities = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

/** CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}. CLONE_NEWTIME is no flag of clone(2). */
const namespaceFlags = 0x7e020000;

const equal = (value: number): OciSeccompArg => ({ index: 0, value, op: "SCMP_CMP_EQ" });

/**
 * The default profile for a container with these capabilities in its bounding set (full names).
 * Pure: the same input gives the same bytes.
 */
export function defaultSeccomp(arch: "x64" | "arm64", bounding: readonly string[]): OciSeccomp {
  const { architectures, names } = byArchitecture[arch];
  const added = new Set<string>();
  for (const capability of bounding) for (const name of byCapability[capability] ?? []) added.add(name);
  const admin = bounding.includes("CAP_SYS_ADMIN");
  const rules: OciSyscallRule[] = [
    // First, so that it wins over what libseccomp derives for socketcall(2) from the rules on socket(2):
    // a filter can't see the family behind its pointer. ENOSYS: libraries then use socket(2).
    { names: ["socketcall"], action: "SCMP_ACT_ERRNO", errnoRet: ENOSYS },
    { names: [...always, ...names, ...[...added].sort()], action: "SCMP_ACT_ALLOW" },
    ...Object.values(allowedSocketFamilies).map(
      (family): OciSyscallRule => ({ names: ["socket"], action: "SCMP_ACT_ALLOW", args: [equal(family)] }),
    ),
    ...personalities.map(
      (value): OciSyscallRule => ({ names: ["personality"], action: "SCMP_ACT_ALLOW", args: [equal(value)] }),
    ),
  ];
  if (!admin) {
    rules.push(
      {
        names: ["clone"],
        action: "SCMP_ACT_ALLOW",
        args: [{ index: 0, value: namespaceFlags, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
      },
      // Its flags lie behind a pointer. ENOSYS: libraries then use clone(2).
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: ENOSYS },
    );
  }
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: EPERM,
    architectures: [...architectures],
    syscalls: rules,
  };
}
