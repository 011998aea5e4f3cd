/** The process object of config.json, field by field. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe } from "vitest";
import { type Spec, statusFields } from "../../integration/oci/bundle.ts";
import { program } from "../../support/programs.ts";
import { type Answer, compare } from "../compare.ts";
import { field, refused, set, sleeping } from "./field.ts";

const sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

describe("process.user", () => {
  field("uid, gid and additionalGids", {
    change: (s) => {
      s.process.user = { uid: 7, gid: 8, additionalGids: [9, 10] };
    },
    show: "id; grep Groups /proc/self/status",
    expected: "uid=7 gid=8 groups=9,10\nGroups:\t9 10 \n",
  });
  field("an id of -1", {
    change: (s) => {
      s.process.user = { uid: 4294967295, gid: 0 };
    },
    expected: refused,
  });
  field("umask", {
    change: (s) => {
      s.process.user.umask = 0o27;
    },
    show: "umask",
    expected: "0027\n",
  });
  compare("umask, in an exec", {
    change: (s) => {
      sleeping(s);
      s.process.user.umask = 0o27;
    },
    observe: (b) => {
      b.create();
      b.start();
      return b.exec(["/bin/sh", "-c", "umask"]).stdout;
    },
    expected: "0027\n",
  });
});

describe("process: what is run", () => {
  compare("args: empty ones and odd bytes arrive as they are", {
    change: (s) => {
      s.process.args = ["/bin/cat", "/proc/self/cmdline", "", "-", "a b\n\"'$\\é", ""];
    },
    observe: (b) => b.run().stdout.replaceAll("\0", "|"),
    expected: "/bin/cat|/proc/self/cmdline||-|a b\n\"'$\\é||",
  });
  compare("args: none", {
    change: (s) => {
      s.process.args = [];
    },
    observe: (b) => (b.run().code === 0 ? "runs" : refused),
    expected: refused,
  });
  for (const [title, path, differs] of [
    ["env: PATH finds the program", "PATH=/nowhere:/bin"],
    ["env: without PATH the usual folders are looked into", "A=b", "as execvp(3) does"],
  ] as readonly [string, string, string?][])
    compare(title, {
      change: (s) => {
        s.process.env = [path];
        s.process.args = ["readlink", "/proc/self/exe"];
      },
      observe: (b) => {
        const { code, stdout } = b.run();
        return code === 0 ? stdout : refused;
      },
      expected: "/bin/busybox\n",
      ...(differs === undefined ? {} : { differs }),
    });
  compare("env: is the whole environment, in its order", {
    change: (s) => {
      s.process.env = ["PATH=/bin", "HOME=/h", "B=2=3", "A=1", "EMPTY="];
      s.process.args = ["/bin/cat", "/proc/self/environ"];
    },
    observe: (b) => b.run().stdout.split("\0").slice(0, -1),
    expected: ["PATH=/bin", "HOME=/h", "B=2=3", "A=1", "EMPTY="],
  });
  const environments: readonly [string, readonly string[], Answer, string?][] = [
    ["a name given twice: the last one holds", ["HOME=/h", "A=1", "B=2", "A=3"], ["HOME=/h", "B=2", "A=3"]],
    ["HOME is the user's unless it is given", ["A=1"], ["A=1", "HOME=/root"]],
    [
      "a name without a value",
      ["HOME=/h", "LONELY"],
      ["HOME=/h", "LONELY"],
      "handed on as it is: execve(2) takes it, and nobody's value is filled in",
    ],
    ["a value without a name", ["HOME=/h", "=x"], ["HOME=/h", "=x"]],
  ];
  for (const [title, env, expected, differs] of environments)
    compare(`env: ${title}`, {
      change: (s, b) => {
        writeFileSync(join(b.rootfs, "etc/passwd"), "root:x:0:0::/root:/bin/sh\n");
        s.process.env = [...env];
        s.process.args = ["/bin/cat", "/proc/self/environ"];
      },
      observe: (b) => {
        const { code, stdout } = b.run();
        return code === 0 ? stdout.split("\0").slice(0, -1) : refused;
      },
      expected,
      ...(differs === undefined ? {} : { differs }),
    });
  field("cwd: a folder that is missing is made", {
    change: (s) => {
      s.process.cwd = "/made/here";
    },
    show: "readlink /proc/self/cwd; stat -c '%a %u' /made /made/here",
    expected: "/made/here\n755 0\n755 0\n",
  });
  field("cwd: not absolute", {
    change: (s) => {
      s.process.cwd = "tmp";
    },
    expected: refused,
  });
});

describe("process.capabilities", () => {
  const caps = {
    bounding: ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_MKNOD"],
    permitted: ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID"],
    effective: ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID"],
    inheritable: ["CAP_CHOWN", "CAP_KILL"],
    ambient: ["CAP_KILL"],
  };
  compare("each of the five sets is its own, in a container that waits for its start", {
    change: (s) => {
      sleeping(s);
      s.process.user = { uid: 1000, gid: 1000 };
      s.process.capabilities = caps;
    },
    observe: (b) => {
      b.create();
      const status = statusFields(readFileSync(`/proc/${b.pid()}/status`, "utf8"));
      return Object.fromEntries(sets.map((name) => [name, status[name] ?? ""]));
    },
    expected: {
      CapInh: "0000000000000021",
      CapPrm: "00000000000000e1",
      CapEff: "00000000000000a1",
      CapBnd: "00000000080000e1",
      CapAmb: "0000000000000020",
    },
  });
  field("the kernel makes of them what execve(2) says, for a user", {
    change: (s) => {
      s.process.user = { uid: 1000, gid: 1000 };
      s.process.capabilities = caps;
    },
    show: "grep Cap /proc/self/status",
    expected:
      "CapInh:\t0000000000000021\nCapPrm:\t0000000000000020\nCapEff:\t0000000000000020\n" +
      "CapBnd:\t00000000080000e1\nCapAmb:\t0000000000000020\n",
  });
  field("a name that is none is passed over", {
    change: (s) => {
      s.process.capabilities = { bounding: ["CAP_KILL", "CAP_NONE_SUCH"] };
    },
    show: "grep CapBnd /proc/self/status",
    expected: "CapBnd:\t0000000000000020\n",
  });
  field("absent: none", {
    change: (s) => {
      delete s.process.capabilities;
    },
    show: "grep Cap /proc/self/status",
  });
  for (const noNewPrivileges of [true, false])
    field(`noNewPrivileges ${noNewPrivileges}`, {
      change: (s) => {
        s.process.noNewPrivileges = noNewPrivileges;
      },
      show: "grep NoNewPrivs /proc/self/status",
      expected: `NoNewPrivs:\t${noNewPrivileges ? 1 : 0}\n`,
    });
});

describe("process.rlimits", () => {
  const names = {
    AS: "Max address space",
    CORE: "Max core file size",
    CPU: "Max cpu time",
    DATA: "Max data size",
    FSIZE: "Max file size",
    LOCKS: "Max file locks",
    MEMLOCK: "Max locked memory",
    MSGQUEUE: "Max msgqueue size",
    NICE: "Max nice priority",
    NOFILE: "Max open files",
    NPROC: "Max processes",
    RSS: "Max resident set",
    RTPRIO: "Max realtime priority",
    RTTIME: "Max realtime timeout",
    SIGPENDING: "Max pending signals",
    STACK: "Max stack size",
  };
  const lines = readFileSync("/proc/self/limits", "utf8").split("\n");
  const limitOf = (text: readonly string[], title: string) =>
    (text.find((line) => line.startsWith(title)) ?? "").slice(title.length).trim().split(/ +/, 2);
  // Each its own pair, below what this machine gives: not every root may raise a limit.
  const wanted = Object.entries(names).map(([name, title], i) => {
    const most = Number(limitOf(lines, title)[1]?.replace("unlimited", "Infinity"));
    const [soft, hard] = [name === "STACK" ? 2 ** 22 : 2 ** 40 + i, 2 ** 40 + 100 + i];
    return { type: `RLIMIT_${name}`, soft: Math.min(soft, Math.floor(most / 2)), hard: Math.min(hard, most) };
  });
  field("all sixteen types, soft and hard", {
    change: (s) => {
      s.process.rlimits = wanted;
    },
    show: "cat /proc/self/limits",
    answer: (out) =>
      Object.fromEntries(
        Object.entries(names).map(([name, title]): [string, Answer] => [
          `RLIMIT_${name}`,
          limitOf(out.split("\n"), title).join(" "),
        ]),
      ),
    expected: Object.fromEntries(wanted.map(({ type, soft, hard }) => [type, `${soft} ${hard}`])),
  });
  field("2^64 - 1 is no limit", {
    change: (s) => {
      const all = 18446744073709551615n;
      set(s.process, { rlimits: [{ type: "RLIMIT_CORE", soft: all, hard: all }] });
    },
    show: "grep core /proc/self/limits | tr -s ' '",
    expected: "Max core file size unlimited unlimited bytes \n",
  });
  const broken: readonly [string, readonly { type: string; soft: number; hard: number }[]][] = [
    ["a type that is none", [{ type: "RLIMIT_WISH", soft: 1, hard: 1 }]],
    [
      "the same type twice",
      [
        { type: "RLIMIT_CORE", soft: 1, hard: 1 },
        { type: "RLIMIT_CORE", soft: 2, hard: 2 },
      ],
    ],
    ["soft above hard", [{ type: "RLIMIT_CORE", soft: 2, hard: 1 }]],
    ["one above the kernel's", [{ type: "RLIMIT_NOFILE", soft: 900_000_000, hard: 900_000_000 }]],
  ];
  for (const [title, rlimits] of broken)
    field(title, { change: (s) => set(s.process, { rlimits }), expected: refused });
});

describe("process: labels and the OOM killer", () => {
  field("oomScoreAdj", {
    change: (s) => {
      s.process.oomScoreAdj = 321;
    },
    show: "cat /proc/self/oom_score_adj",
    expected: "321\n",
  });
  field("oomScoreAdj lower than the caller may", {
    // As a kubelet asks it of a node that is a container itself.
    before: ["/usr/bin/setpriv", "--bounding-set=-sys_resource"],
    change: (s) => {
      s.process.oomScoreAdj = -7;
    },
    show: "cat /proc/self/oom_score_adj",
    expected: "0\n",
    differs: "a warning: a node inside of a container could run no pod of the kubelet's own otherwise",
  });
  field("oomScoreAdj out of range", {
    change: (s) => {
      s.process.oomScoreAdj = 1001;
    },
    expected: refused,
  });
  field("apparmorProfile without AppArmor in the kernel", {
    change: (s) => {
      s.process.apparmorProfile = "kobako-no-such-profile";
    },
    expected: refused,
  });
  field("selinuxLabel without SELinux in the kernel", {
    change: (s) => {
      s.process.selinuxLabel = "system_u:system_r:container_t:s0";
    },
    expected: refused,
  });
});

describe("process.scheduler", () => {
  const cases: readonly [string, Record<string, unknown>, Answer][] = [
    ["SCHED_OTHER and nice", { policy: "SCHED_OTHER", nice: 5 }, "policy 0 flags 0 nice 5 priority 0"],
    ["SCHED_BATCH and nice", { policy: "SCHED_BATCH", nice: -3 }, "policy 3 flags 0 nice -3 priority 0"],
    ["SCHED_IDLE", { policy: "SCHED_IDLE" }, "policy 5 flags 0 nice 0 priority 0"],
    [
      "SCHED_FIFO, priority and a flag",
      { policy: "SCHED_FIFO", priority: 7, flags: ["SCHED_FLAG_RESET_ON_FORK"] },
      "policy 1 flags 1 nice 0 priority 7",
    ],
    ["SCHED_RR and priority", { policy: "SCHED_RR", priority: 9 }, "policy 2 flags 0 nice 0 priority 9"],
    [
      "SCHED_DEADLINE: runtime, deadline, period",
      { policy: "SCHED_DEADLINE", runtime: 2_000_000, deadline: 5_000_000, period: 8_000_000 },
      "policy 6 flags 0 nice 0 priority 0 runtime 2000000 deadline 5000000 period 8000000",
    ],
    ["a policy that is none", { policy: "SCHED_WISH" }, refused],
    ["a flag that is none", { policy: "SCHED_OTHER", flags: ["SCHED_FLAG_WISH"] }, refused],
    ["a nice value that is none", { policy: "SCHED_OTHER", nice: 20 }, refused],
    ["a priority that the policy has not", { policy: "SCHED_OTHER", priority: 3 }, refused],
  ];
  for (const [title, scheduler, expected] of cases)
    asked(title, "scheduler", expected, (s) => {
      set(s.process, { scheduler });
      // Where a cgroup has no share of real time (v1, CONFIG_RT_GROUP_SCHED) no process of it may be real time.
      s.linux.resources = { cpu: { realtimePeriod: 1_000_000, realtimeRuntime: 10_000 } };
    });
});

describe("process.ioPriority", () => {
  const cases: readonly [string, Record<string, unknown>, Answer][] = [
    ["real time", { class: "IOPRIO_CLASS_RT", priority: 2 }, "class 1 priority 2"],
    ["best effort", { class: "IOPRIO_CLASS_BE", priority: 6 }, "class 2 priority 6"],
    ["idle", { class: "IOPRIO_CLASS_IDLE", priority: 0 }, "class 3 priority 0"],
    ["a class that is none", { class: "IOPRIO_CLASS_WISH", priority: 1 }, refused],
    ["a priority that is none", { class: "IOPRIO_CLASS_BE", priority: 8 }, refused],
  ];
  for (const [title, ioPriority, expected] of cases)
    asked(title, "io", expected, (s) => set(s.process, { ioPriority }));
});

describe("linux.memoryPolicy", () => {
  const cases: readonly [string, Record<string, unknown>, Answer][] = [
    ["MPOL_BIND to nodes", { mode: "MPOL_BIND", nodes: "0" }, "mode 2 nodes 1"],
    [
      "MPOL_PREFERRED with a flag",
      { mode: "MPOL_PREFERRED", nodes: "0", flags: ["MPOL_F_STATIC_NODES"] },
      "mode 8001 nodes 1",
    ],
    [
      "MPOL_INTERLEAVE with a flag",
      { mode: "MPOL_INTERLEAVE", nodes: "0-0", flags: ["MPOL_F_RELATIVE_NODES"] },
      "mode 4003 nodes 1",
    ],
    ["MPOL_LOCAL", { mode: "MPOL_LOCAL" }, "mode 4 nodes 0"],
    ["MPOL_DEFAULT", { mode: "MPOL_DEFAULT" }, "mode 0 nodes 0"],
    ["a mode that is none", { mode: "MPOL_WISH", nodes: "0" }, refused],
    ["a flag that is none", { mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_WISH"] }, refused],
    ["a node that is not there", { mode: "MPOL_BIND", nodes: "900" }, refused],
    ["MPOL_BIND without nodes", { mode: "MPOL_BIND" }, refused],
  ];
  for (const [title, memoryPolicy, expected] of cases)
    asked(title, "memory", expected, (s) => set(s.linux, { memoryPolicy }));
});

/** The program itself is asked of the kernel: what a shell starts need not have inherited all. */
function asked(title: string, what: string, expected: Answer, change: (s: Spec) => void): void {
  compare(title, {
    change: (s, b) => {
      writeFileSync(join(b.rootfs, "bin/attributes"), program("attributes"), { mode: 0o755 });
      s.process.args = ["/bin/attributes", what];
      change(s);
    },
    observe: (b) => {
      const { code, stdout } = b.run();
      return code === 0 ? stdout.trim() : refused;
    },
    expected,
  });
}

describe("process.execCPUAffinity", () => {
  const cpus = (out: string) => /Cpus_allowed_list:\s*(\S+)/.exec(out)?.[1] ?? refused;
  const cases: readonly [string, Record<string, unknown>, Answer?][] = [
    ["final: where an exec runs", { initial: "1", final: "0" }, "0"],
    ["initial alone: until it runs", { initial: "0" }, "0-1"],
    ["initial: a CPU that is not there", { initial: "1000", final: "0" }, refused],
    ["final: a CPU that is not there", { final: "1000" }, refused],
  ];
  for (const [title, execCPUAffinity, expected] of cases)
    compare(title, {
      change: (s) => {
        sleeping(s);
        set(s.process, { execCPUAffinity });
        s.linux.resources = { cpu: { cpus: "0-1" } };
      },
      observe: (b) => {
        if (b.create().code !== 0) return refused;
        b.start();
        return cpus(b.exec(["/bin/cat", "/proc/self/status"]).stdout);
      },
      ...(expected === undefined ? {} : { expected }),
    });
  field("a list that is none", {
    change: (s) => set(s.process, { execCPUAffinity: { initial: "all" } }),
    expected: refused,
  });
});

describe("process.terminal", () => {
  compare("consoleSize, and the user's own terminal", {
    change: (s, b) => {
      set(s.process, { terminal: true, consoleSize: { width: 91, height: 17 } });
      s.process.user = { uid: 1000, gid: 1000 };
      const line =
        "tty; stat -c %u $(tty); busybox stty size; echo x >/dev/tty; test -c /dev/console && echo console";
      s.process.args = ["/bin/sh", "-c", line];
      writeFileSync(join(b.folder, "with-console"), program("with-console"), { mode: 0o755 });
    },
    observe: (b) => {
      b.write();
      const socket = join(b.folder, "s");
      const args = ["--root", b.state, "run", "--detach", "-b", b.folder, "--console-socket", socket, b.id];
      const r = spawnSync(join(b.folder, "with-console"), [socket, ...b.command, ...args], {
        encoding: "utf8",
        env: {},
        timeout: 20_000,
      });
      return { code: r.status, output: r.stdout.replaceAll("\r", "") };
    },
    expected: { code: 0, output: "/dev/pts/0\n1000\n17 91\nx\nconsole\n" },
  });
  compare("without a terminal there is no /dev/console", {
    observe: (b) => b.sh("test -e /dev/console && echo there || echo none").stdout,
    expected: "none\n",
  });
});
