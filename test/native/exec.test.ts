import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe } from "vitest";
import type { Bundle, Spec } from "../integration/oci/bundle.ts";
import { program } from "../support/programs.ts";
import { waitFor } from "../support/wait.ts";
import { compare, terminalLines } from "./compare.ts";

const sleeper = (s: Spec) => {
  s.process.args = ["/bin/sleep", "1000"];
};

function started(b: Bundle): void {
  b.create();
  b.start();
}

describe("exec", () => {
  const questions: readonly [string, readonly string[], readonly string[]][] = [
    ["gives the exit status of the process", [], ["/bin/sh", "-c", "exit 9"]],
    ["a program that is not there", [], ["/bin/nobody"]],
    ["--cwd", ["--cwd", "/tmp"], ["/bin/sh", "-c", "pwd"]],
    ["--env", ["--env", "A=1", "-e", "B=2"], ["/bin/sh", "-c", "echo $A$B"]],
    ["--user UID", ["--user", "7"], ["/bin/id"]],
    ["--user UID:GID and --additional-gids", ["-u", "7:8", "-g", "9", "-g=10"], ["/bin/id"]],
    ["--cap", ["--cap", "CAP_SYS_ADMIN"], ["/bin/grep", "CapBnd", "/proc/self/status"]],
    ["--no-new-privs", ["--no-new-privs"], ["/bin/grep", "NoNewPrivs", "/proc/self/status"]],
    ["--no-new-privs=false", ["--no-new-privs=false"], ["/bin/grep", "NoNewPrivs", "/proc/self/status"]],
    [
      "--env of a name that the container has: the last one counts",
      ["-e", "PATH=/x"],
      ["/bin/sh", "-c", "echo $PATH"],
    ],
    ["--cwd that is not there", ["--cwd", "/made/here"], ["/bin/sh", "-c", "pwd"]],
    ["--cwd that is no folder", ["--cwd", "/bin/busybox"], ["/bin/true"]],
    ["--user that is no number", ["--user", "nobody"], ["/bin/id"]],
    ["a program that is no file", [], ["/bin"]],
    ["a program that may not be executed", [], ["/plain"]],
    ["--apparmor without AppArmor in the kernel", ["--apparmor", "nobody-s"], ["/bin/true"]],
    ["--process-label without SELinux in the kernel", ["--process-label", "u:r:t:s0"], ["/bin/true"]],
    ["ended by a signal", [], ["/bin/sh", "-c", "kill -9 $$"]],
    ["nothing to run", [], []],
    ["options of the program are the program's", [], ["/bin/echo", "-n", "--user", "x"]],
  ];
  for (const [title, options, args] of questions)
    compare(title, {
      change: (s, b) => {
        sleeper(s);
        writeFileSync(join(b.rootfs, "plain"), "x", { mode: 0o644 });
      },
      observe: (b) => {
        started(b);
        const { code, stdout } = b.exec(args, options);
        return { code, stdout: /usage/i.test(stdout) ? "(usage)" : stdout };
      },
    });

  compare("--process FILE", {
    change: sleeper,
    observe: (b) => {
      started(b);
      const file = join(b.folder, "process.json");
      const process = {
        args: ["/bin/sh", "-c", "id; pwd"],
        cwd: "/tmp",
        user: { uid: 5, gid: 6 },
        env: ["PATH=/bin"],
      };
      writeFileSync(file, JSON.stringify(process));
      const { code, stdout } = b.oci(["exec", "-p", file, b.id]);
      return { code, stdout };
    },
    expected: { code: 0, stdout: "uid=5 gid=6\n/tmp\n" },
  });

  compare("--process FILE: what it leaves out", {
    change: (s) => {
      sleeper(s);
      s.process.user = { uid: 3, gid: 4, additionalGids: [5] };
      s.process.cwd = "/tmp";
      s.process.env = ["PATH=/bin", "A=container"];
      s.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 77, hard: 88 }];
      s.process.oomScoreAdj = 300;
      s.process.user.umask = 0o27;
    },
    observe: (b) => {
      started(b);
      const file = join(b.folder, "process.json");
      const show =
        'id; echo "A=$A"; ulimit -n; cat /proc/self/oom_score_adj; umask; grep -E "^(NoNewPrivs|CapBnd)" /proc/self/status';
      writeFileSync(file, JSON.stringify({ args: ["/bin/sh", "-c", show], cwd: "/", env: ["PATH=/bin"] }));
      const { code, stdout } = b.oci(["exec", "-p", file, b.id]);
      return { code, lines: stdout.trimEnd().split("\n") };
    },
    differs: "limits and no_new_privs that the file does not name are the container's, not the caller's",
  });

  compare("--additional-gids alone", {
    change: sleeper,
    observe: (b) => {
      started(b);
      const { code, stdout } = b.exec(["/bin/id", "-G"], ["--additional-gids", "9"]);
      return { code, stdout };
    },
    expected: { code: 0, stdout: "0 9\n" },
    differs: "runc sets each group twice, crun knows another option",
  });

  compare("--process FILE with more capabilities than the container has", {
    change: sleeper,
    observe: (b) => {
      started(b);
      const file = join(b.folder, "process.json");
      const admin = ["CAP_SYS_ADMIN"];
      const capabilities = { bounding: admin, permitted: admin, effective: admin };
      const args = ["/bin/grep", "-E", "^Cap(Inh|Prm|Eff|Bnd|Amb)", "/proc/self/status"];
      writeFileSync(file, JSON.stringify({ args, cwd: "/", capabilities }));
      const { code, stdout } = b.oci(["exec", "-p", file, b.id]);
      return { code, sets: stdout.trimEnd().split("\n") };
    },
  });

  for (const [title, options] of [
    ["--detach and --pid-file: it goes on, its pid is in the file", ["-d"]],
    ["--pid-file without --detach: its pid is there while it is waited for", []],
  ] as const)
    compare(title, {
      change: sleeper,
      observe: async (b) => {
        started(b);
        const line = '"$@" >out 2>&1';
        const pidFile = join(b.folder, "pid");
        const script = "read x </gate; echo $x >/said; exit 7";
        spawnSync("mkfifo", [join(b.rootfs, "gate")]);
        const args = ["exec", ...options, "--pid-file", pidFile, b.id, "/bin/sh", "-c", script];
        const child = spawn("/bin/sh", ["-c", line, "sh", ...b.command, "--root", b.state, ...args], {
          cwd: b.folder,
          env: { PATH: "/usr/bin:/bin" },
          stdio: "ignore",
        });
        const over = once(child, "exit");
        if (options[0] === "-d") await over;
        await waitFor("the pid file", () => existsSync(pidFile) && readFileSync(pidFile, "utf8") !== "");
        const pid = Number(readFileSync(pidFile, "utf8"));
        // Its arguments are there a moment after the execve(2) that the verb has waited for.
        const alive = await waitFor("the program", () =>
          readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("read x"),
        );
        writeFileSync(join(b.rootfs, "gate"), "done\n");
        await waitFor("its end", () => existsSync(join(b.rootfs, "said")));
        const [code] = (await over) as [number];
        return { code, alive, newline: readFileSync(pidFile, "utf8").endsWith("\n") };
      },
    });

  const tty = "tty; test -t 0 && test -t 1 && test -t 2 && echo terminal";
  const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;
  compare("--tty: a terminal of the container's, its bytes and its exit status come through the caller", {
    change: sleeper,
    observe: (b) => {
      started(b);
      const words = [...b.command, "--root", b.state, "exec", "-t", b.id, "/bin/sh", "-c", `${tty}; exit 3`];
      writeFileSync(join(b.folder, "call"), `#!/bin/sh\nexec ${words.map(quoted).join(" ")}\n`, {
        mode: 0o755,
      });
      const { code, stdout } = b.through("exec script -qec ./call /dev/null </dev/null", []);
      return { code, lines: terminalLines(stdout) };
    },
    expected: { code: 3, lines: ["/dev/pts/0", "terminal"] },
  });

  compare("--tty --detach without --console-socket is refused", {
    change: sleeper,
    observe: (b) => {
      started(b);
      return b.exec(["/bin/true"], ["-t", "-d"]).code !== 0;
    },
  });

  compare("--console-socket without a terminal is refused", {
    change: sleeper,
    observe: (b) => {
      started(b);
      return b.exec(["/bin/true"], ["--console-socket", "/not/there"]).code !== 0;
    },
  });

  compare("--tty --console-socket: the master end is sent there", {
    change: sleeper,
    observe: (b) => {
      started(b);
      const helper = join(b.folder, "with-console");
      writeFileSync(helper, program("with-console"), { mode: 0o755 });
      const socket = join(b.folder, "console.sock");
      const args = ["exec", "-t", "-d", "--console-socket", socket, b.id, "/bin/sh", "-c", tty];
      const { code, stdout } = b.through(`exec ${helper} ${socket} "$@"`, args);
      return { code, lines: stdout.replaceAll("\r", "").trimEnd().split("\n") };
    },
  });

  compare("--cgroup: an existing group below the container's", {
    change: sleeper,
    observe: (b) => {
      started(b);
      const made = `/sys/fs/cgroup/pids${b.cgroup}/below`;
      mkdirSync(made);
      const show = ["/bin/grep", "pids", "/proc/self/cgroup"];
      const one = b.exec(show, ["--cgroup", "pids:/below"]);
      const none = b.exec(show, ["--cgroup", "pids:/nothing"]);
      const out = b.exec(show, ["--cgroup", "pids:/../.."]);
      rmdirSync(made);
      return {
        code: one.code,
        group: one.stdout.trim().replace(/^\d+/, "N"),
        none: none.code !== 0,
        out: out.code !== 0 || out.stdout.trim().endsWith(":/"),
      };
    },
  });

  compare("--ignore-paused: it runs when the container is resumed", {
    change: sleeper,
    observe: async (b) => {
      started(b);
      b.oci(["pause", b.id]);
      const args = ["--root", b.state, "exec", "--ignore-paused", b.id, "/bin/touch", "/ran"];
      const [file = "", ...before] = b.command;
      const child = spawn(file, [...before, ...args], { env: {}, stdio: "ignore" });
      const over = once(child, "exit");
      const processes = () => readFileSync(`/sys/fs/cgroup/freezer${b.cgroup}/cgroup.procs`, "utf8").trim();
      const inTime = { timeoutMs: 3_000 };
      const waits = await waitFor("a second process", () => processes().includes("\n"), inTime).catch(
        () => false,
      );
      const early = existsSync(join(b.rootfs, "ran"));
      b.oci(["resume", b.id]);
      const [code] = (await over) as [number];
      return { waits: waits !== false, early, code, ran: existsSync(join(b.rootfs, "ran")) };
    },
  });

  compare("--preserve-fds of a descriptor that is not open: exit code", {
    change: sleeper,
    observe: (b) => {
      started(b);
      return b.exec(["/bin/true"], ["--preserve-fds", "3"]).code;
    },
    expected: 255,
    differs: "the others count their own descriptors as the caller's",
  });

  compare("in a paused container is refused", {
    change: sleeper,
    observe: (b) => {
      started(b);
      b.oci(["pause", b.id]);
      const code = b.exec(["/bin/true"]).code;
      b.oci(["resume", b.id]);
      return { refused: code !== 0, after: b.exec(["/bin/true"]).code };
    },
    expected: { refused: true, after: 0 },
  });

  compare("in a stopped container is refused", {
    change: (s) => {
      s.process.args = ["/bin/true"];
    },
    observe: (b) => {
      b.write();
      b.create();
      b.oci(["kill", b.id, "KILL"]);
      return b.exec(["/bin/true"]).code !== 0;
    },
    expected: true,
  });
});
