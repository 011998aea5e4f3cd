import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe } from "vitest";
import type { Bundle, Spec } from "../integration/oci/bundle.ts";
import { compare } from "./compare.ts";

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
    ["options of the program are the program's", [], ["/bin/echo", "-n", "--user", "x"]],
  ];
  for (const [title, options, args] of questions)
    compare(title, {
      change: sleeper,
      observe: (b) => {
        started(b);
        const { code, stdout } = b.exec(args, options);
        return { code, stdout };
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
