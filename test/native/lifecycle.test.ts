import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Bundle } from "../integration/oci/bundle.ts";
import { waitFor } from "../support/wait.ts";
import { compare, plain, terminalLines } from "./compare.ts";
import { ours } from "./runtimes.ts";

const sleeper = ["/bin/sleep", "1000"];

interface State {
  readonly ociVersion: string;
  readonly id: string;
  readonly pid: number;
  readonly status: string;
  readonly bundle: string;
  readonly rootfs: string;
  readonly created: string;
  readonly owner: string;
  readonly annotations?: Record<string, string>;
}

describe("state", () => {
  for (const status of ["created", "running", "stopped"] as const)
    compare(`of a ${status} container: members and values`, {
      change: (s) => {
        s.process.args = sleeper;
        s.annotations = { "org.example.key": "value" };
      },
      observe: async (b) => {
        b.create();
        if (status !== "created") b.start();
        if (status === "stopped") {
          b.oci(["kill", b.id, "KILL"]);
          await waitFor("stopped", () => b.status() === "stopped");
        }
        const { code, stdout, stderr } = b.oci(["state", b.id]);
        const state = JSON.parse(stdout) as State;
        return {
          code,
          stderr,
          id: plain(state.id, b),
          status: state.status,
          bundle: plain(state.bundle, b),
          rootfs: plain(state.rootfs, b),
          owner: state.owner,
          annotations: state.annotations ?? null,
          hasPid: state.pid > 0,
          createdIsTime: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z$/.test(state.created),
        };
      },
    });

  compare("of an unknown container: exit code", {
    observe: (b) => b.oci(["state", "nobody"]).code,
    expected: 1,
  });
});

describe("run", () => {
  compare("gives the exit status of the process", {
    change: (s) => {
      s.process.args = ["/bin/sh", "-c", "exit 7"];
    },
    observe: (b) => b.run().code,
    expected: 7,
  });

  compare("a program that is not there: exit code", {
    change: (s) => {
      s.process.args = ["/bin/nobody"];
    },
    observe: (b) => ({ code: b.run().code, left: b.traces().length }),
    expected: { code: 1, left: 0 },
  });

  compare("--keep: the container stays, stopped, until it is deleted; without, it goes", {
    change: (s) => {
      s.process.args = ["/bin/sh", "-c", "exit 7"];
    },
    observe: (b) => {
      b.write();
      const kept = b.oci(["run", "--keep", "-b", b.folder, b.id]).code;
      const status = kept === 7 ? b.status() : "";
      const again = b.oci(["run", "-b", b.folder, b.id]).code;
      const deleted = b.oci(["delete", b.id]).code;
      return { kept, status, again, deleted, without: b.run().code, left: b.traces().length };
    },
    expected: { kept: 7, status: "stopped", again: 1, deleted: 0, without: 7, left: 0 },
  });

  compare("--detach and --pid-file: the program runs, its pid is in the file", {
    change: (s) => {
      s.process.args = sleeper;
    },
    observe: (b) => {
      b.write();
      const args = ["run", "--detach", "--pid-file", "pid", "-b", b.folder, b.id];
      const { code } = b.through('exec "$@" </dev/null >/dev/null 2>&1', args);
      return { code, status: b.status(), pid: readFileSync(join(b.folder, "pid"), "utf8") === `${b.pid()}` };
    },
    expected: { code: 0, status: "running", pid: true },
  });

  for (const signal of ["TERM", "USR1"] as const)
    compare(`SIG${signal} to run is the process's`, {
      change: (s) => {
        const line = `trap 'exit 9' ${signal}; touch /ready; while :; do sleep 0.05; done`;
        s.process.args = ["/bin/sh", "-c", line];
      },
      observe: async (b) => {
        b.write();
        const [file = "", ...before] = b.command;
        const args = [...before, "--root", b.state, "run", "-b", b.folder, b.id];
        const child = spawn(file, args, { env: {}, stdio: "ignore" });
        const over = once(child, "exit");
        await waitFor("ready", () => existsSync(join(b.rootfs, "ready")));
        child.kill(`SIG${signal}`);
        const [code] = (await over) as [number];
        return { code, left: b.traces().length };
      },
      expected: { code: 9, left: 0 },
    });

  /** In a terminal of 17 lines and 91 columns. */
  const inTerminal = (b: Bundle) => {
    b.write();
    const words = [...b.command, "--root", b.state, "run", "-b", b.folder, b.id];
    const quoted = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
    const lines = `#!/bin/sh\nstty rows 17 cols 91\nexec ${quoted}\n`;
    writeFileSync(join(b.folder, "call"), lines, { mode: 0o755 });
    const { code, stdout } = b.through("exec script -qec ./call /dev/null </dev/null", []);
    return { code, lines: terminalLines(stdout) };
  };

  compare("a terminal of its own: its bytes come through the caller", {
    change: (s) => {
      s.process.terminal = true;
      s.process.args = ["/bin/sh", "-c", "tty; exit 3"];
    },
    observe: inTerminal,
  });

  // Not compared: runc gives the size while the program runs, if at all, and crun none.
  it("a terminal of its own has the caller's size from the beginning", async () => {
    await using bundle = new Bundle((s, b) => {
      s.process.terminal = true;
      s.process.args = ["/bin/stty", "size"];
      symlinkSync("busybox", join(b.rootfs, "bin/stty"));
    }, ours.command);
    expect(inTerminal(bundle)).toEqual({ code: 0, lines: ["17 91"] });
  });
});

describe("log", () => {
  const json = (text: string) =>
    text
      .trimEnd()
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, string>);
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

  compare(
    "--log FILE --log-format json: a failed create is the last line, an error with the program's name",
    {
      change: (s) => {
        s.process.args = ["/bin/nobody"];
      },
      observe: (b) => {
        b.write();
        const log = join(b.folder, "log");
        const global = ["--log", log, "--log-format", "json"];
        const { code } = b.oci(["create", "-b", b.folder, b.id], "", global);
        const last = json(readFileSync(log, "utf8")).at(-1) ?? {};
        return {
          code,
          members: Object.keys(last).sort(),
          level: last.level ?? "",
          named: last.msg?.includes("/bin/nobody") ?? false,
          time: isTime.test(last.time ?? ""),
        };
      },
      expected: { code: 1, members: ["level", "msg", "time"], level: "error", named: true, time: true },
    },
  );

  compare("--log is appended to; text lines have time, level and msg", {
    observe: (b) => {
      const log = join(b.folder, "log");
      writeFileSync(log, "what was there\n");
      b.oci(["state", "nobody"], "", ["--log", log]);
      const lines = readFileSync(log, "utf8").trimEnd().split("\n");
      return { first: lines[0] ?? "", form: /^time="?\S+"? level=error msg=".*"$/.test(lines.at(-1) ?? "") };
    },
  });

  for (const options of [[], ["--debug"]])
    compare(`${options.join(" ")} create that succeeds: levels in the log`, {
      change: (s) => {
        s.process.args = sleeper;
      },
      observe: (b) => {
        b.write();
        const global = ["--log", "log", "--log-format", "json", ...options];
        const line = `exec </dev/null >/dev/null 2>&1; shift ${b.command.length + 2}; exec "$@"`;
        const args = ["create", "-b", b.folder, b.id];
        b.through(line, [...b.command, "--root", b.state, ...global, ...args]);
        const file = join(b.folder, "log");
        const levels = existsSync(file)
          ? json(readFileSync(file, "utf8")).map(({ level }) => level ?? "")
          : [];
        return { status: b.status(), levels: [...new Set(levels)] };
      },
      expected: { status: "created", levels: options.length > 0 ? ["debug"] : [] },
    });

  compare("--log that can't be opened, --log-format that is none: exit codes", {
    observe: (b) => [
      b.oci(["state", "nobody"], "", ["--log", "/not/there/log"]).code,
      b.oci(["list"], "", ["--log-format", "xml"]).code,
    ],
    expected: [1, 1],
  });
});
