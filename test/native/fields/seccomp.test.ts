/** linux.seccomp, by action, flag, comparison and architecture: what the kernel then answers (amd64). */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { program } from "../../support/programs.ts";
import { waitFor } from "../../support/wait.ts";
import { where } from "../../support/where.ts";
import { type Answer, compare, type Question } from "../compare.ts";
import { refused, sleeping } from "./field.ts";

const onAmd64 = where(process.arch === "x64", "the calls and the numbers are amd64's");
const [getppid, getuid, mkdir, personality] = [110, 102, 83, 135];
const architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];

type Profile = Record<string, unknown>;
const rule = (action: string, more: Profile = {}) => ({
  names: ["getppid"],
  action: `SCMP_ACT_${action}`,
  ...more,
});
const profile = (...syscalls: Profile[]): Profile => ({
  defaultAction: "SCMP_ACT_ALLOW",
  architectures,
  syscalls,
});

/** What the runtimes themselves make once the filter holds, and the program. */
const needed = {
  names: (
    "execve write writev ioctl exit exit_group brk arch_prctl set_tid_address futex read openat open close fcntl fstat " +
    "newfstatat epoll_ctl epoll_pwait rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack mmap munmap mprotect madvise " +
    "nanosleep getpid gettid tgkill sched_yield prctl capget capset getdents64 fstatfs close_range statx readlinkat " +
    "faccessat2 fchdir getcwd chdir sendto sendmsg recvfrom clone clone3 wait4 dup3 setresuid setresgid setgroups"
  ).split(" "),
  action: "SCMP_ACT_ALLOW",
};

/** What calls give under the profile (test/fixtures/programs/call.c): a line each, or how the program ended. */
function calls(
  title: string,
  seccomp: Profile,
  made: readonly (string | number)[],
  more: Partial<Question> = {},
): void {
  compare(title, {
    ...more,
    change: (s, b) => {
      s.process.args = ["/bin/call", ...made.map(String)];
      writeFileSync(join(b.rootfs, "bin/call"), program("call"), { mode: 0o755 });
      s.linux.seccomp = seccomp;
    },
    observe: (b) => {
      const { code, stdout } = b.run();
      if (stdout === "" && code === 1) return refused;
      const lines = stdout.trim().split("\n");
      return code === 0 ? lines.map(Number) : `${lines.length} calls, then ${code}`;
    },
  });
}

onAmd64("linux.seccomp.syscalls[].action", () => {
  const cases: readonly [string, Profile, Answer][] = [
    ["ALLOW in a profile that refuses", rule("ALLOW"), [0, -1]],
    ["ERRNO: EPERM", rule("ERRNO"), [-1, 0]],
    ["ERRNO with errnoRet", rule("ERRNO", { errnoRet: 95 }), [-95, 0]],
    ["ERRNO with errnoRet 0: as if it had worked", rule("ERRNO", { errnoRet: 0 }), [0, 0]],
    ["TRACE without a tracer: ENOSYS", rule("TRACE", { errnoRet: 7 }), [-38, 0]],
    ["LOG: goes on", rule("LOG"), [0, 0]],
    ["TRAP: SIGSYS", rule("TRAP"), "1 calls, then 159"],
    ["KILL", rule("KILL"), "1 calls, then 159"],
    ["KILL_THREAD", rule("KILL_THREAD"), "1 calls, then 159"],
    ["KILL_PROCESS", rule("KILL_PROCESS"), "1 calls, then 159"],
    ["one that is none", rule("WISH"), refused],
    ["errnoRet that no error is", rule("ERRNO", { errnoRet: 70_000 }), refused],
  ];
  for (const [title, one, expected] of cases)
    if (title.startsWith("ALLOW"))
      calls(title, { ...profile(needed, one), defaultAction: "SCMP_ACT_ERRNO" }, [getppid, getuid], {
        expected,
      });
    // The first call is let through in all of them: the program was there.
    else
      calls(title, profile(one), typeof expected === "string" ? [getuid, getppid] : [getppid, getuid], {
        expected,
      });
});

onAmd64("linux.seccomp.defaultAction, defaultErrnoRet, syscalls[].names", () => {
  const refusing = (more: Profile) => ({ ...profile(needed), defaultAction: "SCMP_ACT_ERRNO", ...more });
  calls("ERRNO: EPERM", refusing({}), [getuid], { expected: [-1] });
  calls("ERRNO and defaultErrnoRet", refusing({ defaultErrnoRet: 95 }), [getuid], { expected: [-95] });
  calls("KILL_PROCESS", refusing({ defaultAction: "SCMP_ACT_KILL_PROCESS" }), [1, getuid], {
    expected: "1 calls, then 159",
  });
  calls(
    "a call that is younger than the profile: ENOSYS, by the 32-bit entry too",
    refusing({}),
    [900, "x86:900"],
    {
      expected: [-38, -38],
    },
  );
  calls(
    "a name that is no system call is passed over",
    profile({ ...rule("ERRNO"), names: ["wish", "getppid"] }),
    [getppid],
    { expected: [-1] },
  );
  calls("defaultErrnoRet of an action that takes none", { ...profile(), defaultErrnoRet: 1 }, [getuid]);
  calls("errnoRet of an action that takes none", profile(rule("LOG", { errnoRet: 1 })), [getppid]);
  calls("no rules at all", { defaultAction: "SCMP_ACT_ALLOW" }, [getuid], { expected: [0] });
});

onAmd64("linux.seccomp.architectures", () => {
  const both = [getppid, "x86:64"]; // getppid by both entries
  calls("all that are listed are filtered", profile(rule("ERRNO", { errnoRet: 95 })), both, {
    expected: [-95, -95],
  });
  calls(
    "one that is not listed is not filtered by the rules: its calls end the program",
    { ...profile(rule("ERRNO", { errnoRet: 95 })), architectures: ["SCMP_ARCH_X86_64"] },
    both,
  );
  calls("none listed: the machine's own", { ...profile(rule("ERRNO")), architectures: [] }, [getppid], {
    expected: [-1],
  });
  for (const name of [
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_WISH",
  ])
    calls(`${name} besides`, { ...profile(rule("ERRNO")), architectures: [...architectures, name] }, [
      getppid,
    ]);
});

onAmd64("linux.seccomp.syscalls[].args", () => {
  const low = 5;
  const high = 2n ** 40n + 5n;
  const cases: readonly [string, Record<string, unknown>, readonly (number | bigint)[], Answer][] = [
    ["EQ", { op: "SCMP_CMP_EQ", value: low }, [4, 5, 6], [0, 1, 0]],
    ["NE", { op: "SCMP_CMP_NE", value: low }, [4, 5, 6], [1, 0, 1]],
    ["LT", { op: "SCMP_CMP_LT", value: low }, [4, 5, 6], [1, 0, 0]],
    ["LE", { op: "SCMP_CMP_LE", value: low }, [4, 5, 6], [1, 1, 0]],
    ["GE", { op: "SCMP_CMP_GE", value: low }, [4, 5, 6], [0, 1, 1]],
    ["GT", { op: "SCMP_CMP_GT", value: low }, [4, 5, 6], [0, 0, 1]],
    [
      "MASKED_EQ: value is the mask, valueTwo what is left",
      { op: "SCMP_CMP_MASKED_EQ", value: 12, valueTwo: 4 },
      [4, 7, 12, 8],
      [1, 1, 0, 0],
    ],
    ["EQ of 64 bits", { op: "SCMP_CMP_EQ", value: high }, [5, high, high + 2n ** 33n], [0, 1, 0]],
    ["GT of 64 bits", { op: "SCMP_CMP_GT", value: high }, [2n ** 63n, high, high + 1n, 6], [1, 0, 1, 0]],
    ["LT of 64 bits", { op: "SCMP_CMP_LT", value: high }, [2n ** 63n, high, high - 1n, 6], [0, 0, 1, 1]],
    [
      "EQ of 2^64 - 1",
      { op: "SCMP_CMP_EQ", value: 2n ** 64n - 1n },
      [2n ** 64n - 1n, 2n ** 32n - 1n],
      [1, 0],
    ],
    [
      "MASKED_EQ of 64 bits",
      { op: "SCMP_CMP_MASKED_EQ", value: 2n ** 64n - 2n ** 32n, valueTwo: 2n ** 40n },
      [high, 5],
      [1, 0],
    ],
  ];
  // The third argument of getppid, which takes none: only the filter looks at it.
  for (const [title, arg, values, expected] of cases)
    calls(
      title,
      profile(rule("ERRNO", { errnoRet: 95, args: [{ index: 2, ...arg }] })),
      values.map((value) => `${getppid}:0:0:${value}`),
      { expected: (expected as readonly number[]).map((n) => (n === 1 ? -95 : 0)) },
    );
  calls(
    "several arguments: all of them",
    profile(
      rule("ERRNO", {
        errnoRet: 95,
        args: [
          { index: 0, value: 1, op: "SCMP_CMP_EQ" },
          { index: 5, value: 2, op: "SCMP_CMP_EQ" },
        ],
      }),
    ),
    [`${getppid}:1:0:0:0:0:2`, `${getppid}:1:0:0:0:0:3`, `${getppid}:0:0:0:0:0:2`],
    { expected: [-95, 0, 0] },
  );
  calls(
    "one argument twice: any of them",
    profile(
      rule("ERRNO", {
        errnoRet: 95,
        args: [
          { index: 0, value: 1, op: "SCMP_CMP_EQ" },
          { index: 0, value: 2, op: "SCMP_CMP_EQ" },
        ],
      }),
    ),
    [`${getppid}:1`, `${getppid}:2`, `${getppid}:3`],
    { expected: [-95, -95, 0] },
  );
  calls(
    "two rules for one call: either",
    profile(
      {
        ...rule("ERRNO", { errnoRet: 95 }),
        names: ["personality"],
        args: [{ index: 0, value: 8, op: "SCMP_CMP_EQ" }],
      },
      {
        ...rule("ERRNO", { errnoRet: 96 }),
        names: ["personality"],
        args: [{ index: 0, value: 4294967295, op: "SCMP_CMP_EQ" }],
      },
    ),
    [`${personality}:8`, `${personality}:4294967295`],
    { expected: [-95, -96] },
  );
  for (const [title, arg] of [
    ["a seventh argument", { index: 6, value: 1, op: "SCMP_CMP_EQ" }],
    ["a comparison that is none", { index: 0, value: 1, op: "SCMP_CMP_WISH" }],
    ["a negative value", { index: 0, value: -1, op: "SCMP_CMP_EQ" }],
  ] as const)
    calls(title, profile(rule("ERRNO", { args: [arg] })), [getppid], { expected: refused });
});

onAmd64("linux.seccomp.flags", () => {
  const known = ["TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV"].map(
    (name) => `SECCOMP_FILTER_FLAG_${name}`,
  );
  for (const flags of [[], ...known.map((name) => [name])])
    compare(`${flags.join(" ") || "none"}: given to the kernel`, {
      change: (s) => {
        s.linux.seccomp = { ...profile(rule("ERRNO")), flags };
      },
      observe: (b) => {
        b.write();
        const trace = join(b.folder, "trace");
        const args = ["-f", "-o", trace, "-e", "trace=seccomp,prctl", ...b.command, "--root", b.state];
        const { status } = spawnSync("/usr/bin/strace", [...args, "run", "-b", b.folder, b.id], { env: {} });
        if (status !== 0) return refused;
        // The older call has no flags. The last one is what holds: crun tries first.
        const loads = readFileSync(trace, "utf8").matchAll(
          /SECCOMP_SET_MODE_FILTER, (\S+), \{len=|(PR_SET_SECCOMP)/g,
        );
        return Array.from(loads, ([, given = "0"]) => given).at(-1) ?? "none";
      },
    });
  calls("one that is none", { ...profile(rule("ERRNO")), flags: ["SECCOMP_FILTER_FLAG_WISH"] }, [getppid], {
    expected: refused,
  });
});

onAmd64("linux.seccomp.listenerPath, listenerMetadata", () => {
  const notify = profile({ ...rule("NOTIFY"), names: ["mkdir"] });
  calls("NOTIFY without a socket", notify, [mkdir], { expected: refused });
  calls(
    "NOTIFY with a socket that nobody listens at",
    { ...notify, listenerPath: "/run/nobody" },
    [getppid],
    {
      expected: refused,
    },
  );
  calls(
    "a socket without NOTIFY is not looked at",
    { ...profile(rule("LOG")), listenerPath: "/run/nobody" },
    [getppid],
    {
      expected: [0],
    },
  );
  calls("metadata without a socket", { ...profile(rule("LOG")), listenerMetadata: "x" }, [getppid], {
    expected: refused,
    differs: "the specification forbids it: it would reach nobody",
  });

  /** The container process state (config-linux.md). */
  interface Told {
    readonly fds: string[];
    readonly pid: number;
    readonly metadata: string;
    readonly state: { readonly id: string; readonly pid: number; readonly status: string };
  }
  compare("the agent is sent the descriptor with the state, as the container's own", {
    change: (s, b) => {
      sleeping(s);
      s.linux.seccomp = { ...notify, listenerPath: join(b.folder, "agent"), listenerMetadata: "for whom" };
    },
    observe: async (b) => {
      const source = join(import.meta.dirname, "../../fixtures/programs/seccomp-agent.c");
      const [file, log] = [join(b.folder, "seccomp-agent"), join(b.folder, "agent.log")];
      execFileSync("cc", ["-O1", "-o", file, source]);
      const agent = spawn(file, [join(b.folder, "agent")], {
        stdio: ["ignore", openSync(log, "w"), "ignore"],
      });
      const gone = once(agent, "exit");
      const lines = () => readFileSync(log, "utf8").trim().split("\n");
      try {
        await waitFor("the agent", () => lines()[0] === "ready");
        b.create();
        const created = lines().length > 1;
        b.start();
        const told = () => JSON.parse(lines().slice(1).join("\n")) as Told; // crun's has several lines
        const { fds, pid, metadata, state } = await waitFor("the state", told, { retryErrors: true });
        return {
          told: created ? "at create" : "at start",
          fds,
          metadata,
          pid: pid === b.pid() && pid === state.pid,
          id: state.id === b.id,
          status: state.status,
        };
      } finally {
        agent.kill();
        await gone;
      }
    },
    expected: {
      told: "at start",
      fds: ["seccompFd"],
      metadata: "for whom",
      pid: true,
      id: true,
      status: "creating",
    },
  });
});
