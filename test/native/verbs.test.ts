import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe } from "vitest";
import type { Bundle, Spec } from "../integration/oci/bundle.ts";
import { waitFor } from "../support/wait.ts";
import { compare, plain } from "./compare.ts";

const sleeper = (s: Spec) => {
  s.process.args = ["/bin/sleep", "1000"];
};

function started(b: Bundle): void {
  b.create();
  b.start();
}

const spaces = (text: string) => text.replaceAll(/ +/g, " ");
const withoutTimes = (text: string) => text.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME");
const numbers = (text: string) => text.replaceAll(/\d+/g, "N");

describe("pause and resume", () => {
  compare("paused is a state; resume ends it; each is refused where it says nothing", {
    change: sleeper,
    observe: (b) => {
      started(b);
      const code = (verb: string) => b.oci([verb, b.id]).code;
      return [
        code("resume") !== 0,
        code("pause"),
        b.status(),
        code("pause") !== 0,
        code("resume"),
        b.status(),
      ];
    },
    expected: [true, 0, "paused", true, 0, "running"],
  });

  compare("a paused container is deleted with --force only", {
    change: sleeper,
    observe: (b) => {
      started(b);
      b.oci(["pause", b.id]);
      const plainly = b.oci(["delete", b.id]).code;
      return { plainly, forced: b.oci(["delete", "--force", b.id]).code, left: b.traces().length };
    },
    expected: { plainly: 1, forced: 0, left: 0 },
  });
});

describe("list", () => {
  compare("of no containers, as JSON", {
    observe: (b) => b.oci(["list", "-f", "json"]).stdout,
  });

  compare("as a table", {
    change: sleeper,
    observe: (b) => {
      b.create();
      return spaces(numbers(withoutTimes(plain(b.oci(["list"]).stdout, b))));
    },
  });

  compare("--quiet: ids", {
    change: sleeper,
    observe: (b) => {
      b.create();
      return plain(b.oci(["list", "-q"]).stdout, b);
    },
    expected: "ID\n",
  });

  compare("as JSON: members of a state", {
    change: sleeper,
    observe: (b) => {
      b.create();
      const [first] = JSON.parse(b.oci(["list", "--format", "json"]).stdout) as Record<string, unknown>[];
      return Object.keys(first ?? {}).sort();
    },
  });
});

describe("ps", () => {
  compare("as JSON: the processes' ids", {
    change: sleeper,
    observe: (b) => {
      started(b);
      return JSON.stringify(JSON.parse(b.oci(["ps", "-f", "json", b.id]).stdout)) === `[${b.pid()}]`;
    },
    expected: true,
  });

  compare("as a table: the processes of the container alone", {
    change: sleeper,
    observe: (b) => {
      started(b);
      const lines = b.oci(["ps", b.id]).stdout.trimEnd().split("\n");
      return { lines: lines.length, sleeps: lines[1]?.endsWith("/bin/sleep 1000") ?? false };
    },
    expected: { lines: 2, sleeps: true },
    differs: "called without PATH: runc finds no ps; crun lists ids alone",
  });
});

describe("kill", () => {
  compare("a stopped container: refused; with --all it is no error", {
    change: sleeper,
    observe: async (b) => {
      started(b);
      const killed = b.oci(["kill", b.id, "SIGKILL"]).code;
      await waitFor("stopped", () => b.status() === "stopped");
      return {
        killed,
        again: b.oci(["kill", b.id, "9"]).code,
        all: b.oci(["kill", "--all", b.id, "KILL"]).code,
      };
    },
    expected: { killed: 0, again: 1, all: 0 },
  });

  compare("a signal that there is not", {
    change: sleeper,
    observe: (b) => {
      started(b);
      return b.oci(["kill", b.id, "NOTHING"]).code;
    },
    expected: 1,
  });
});

describe("delete", () => {
  compare("an unknown container: an error, with --force none", {
    observe: (b) => [b.oci(["delete", "nobody"]).code, b.oci(["delete", "--force", "nobody"]).code],
    expected: [1, 0],
  });

  compare("a running container is refused, one that was never started is not", {
    change: sleeper,
    observe: (b) => {
      b.create();
      const created = b.oci(["delete", b.id]).code;
      started(b);
      return { created, running: b.oci(["delete", b.id]).code };
    },
    expected: { created: 0, running: 1 },
  });
});

describe("update", () => {
  const file = (controller: string, name: string) => (b: Bundle) =>
    readFileSync(join("/sys/fs/cgroup", controller, b.cgroup, name), "utf8").trim();
  const cases: readonly [string, readonly string[], (b: Bundle) => string][] = [
    ["--memory", ["--memory", "64m"], file("memory", "memory.limit_in_bytes")],
    ["--memory-reservation", ["--memory-reservation", "32M"], file("memory", "memory.soft_limit_in_bytes")],
    ["--cpu-share", ["--cpu-share", "512"], file("cpu", "cpu.shares")],
    ["--cpu-quota", ["--cpu-quota", "50000"], file("cpu", "cpu.cfs_quota_us")],
    ["--cpu-period", ["--cpu-period", "50000"], file("cpu", "cpu.cfs_period_us")],
    ["--cpuset-cpus", ["--cpuset-cpus", "0"], file("cpuset", "cpuset.cpus")],
    ["--pids-limit", ["--pids-limit", "33"], file("pids", "pids.max")],
  ];
  for (const [title, options, read] of cases)
    compare(title, {
      change: sleeper,
      observe: (b) => {
        started(b);
        return { code: b.oci(["update", ...options, b.id]).code, value: read(b) };
      },
    });

  compare("--resources -: from stdin", {
    change: sleeper,
    observe: (b) => {
      started(b);
      const { code } = b.oci(["update", "-r", "-", b.id], JSON.stringify({ cpu: { shares: 300 } }));
      return { code, value: file("cpu", "cpu.shares")(b) };
    },
    expected: { code: 0, value: "300" },
  });
});

describe("events --stats", () => {
  compare("members of the statistics", {
    change: sleeper,
    observe: (b) => {
      started(b);
      const { stdout } = b.oci(["events", "--stats", b.id]);
      if (stdout === "") return null; // crun has no such command
      const event = JSON.parse(stdout) as {
        type: string;
        id: string;
        data: Record<string, Record<string, unknown>>;
      };
      const { memory, cpu, cpuset, pids } = event.data;
      const keys = (o: unknown) => Object.keys(o as object).sort();
      return {
        type: event.type,
        id: plain(event.id, b),
        data: keys(event.data),
        memory: keys(memory),
        raw: keys(memory?.raw).length > 10,
        usage: keys(memory?.usage),
        cpu: keys(cpu?.usage),
        cpuset: cpuset === undefined ? null : keys(cpuset),
        pids: (pids?.current as number) >= 1,
      };
    },
  });
});

describe("spec", () => {
  for (const options of [[], ["--rootless"]])
    compare(`${options.join(" ")} writes config.json with these members`, {
      observe: (b) => {
        const { code } = b.oci(["spec", "-b", b.folder, ...options]);
        const spec = JSON.parse(readFileSync(join(b.folder, "config.json"), "utf8")) as Spec;
        return {
          code,
          again: b.oci(["spec", "-b", b.folder]).code,
          top: Object.keys(spec).sort(),
          linux: Object.keys(spec.linux).sort(),
          mounts: spec.mounts.map(({ destination }) => destination),
        };
      },
    });
});

describe("command line", () => {
  const cases: readonly [string, readonly string[]][] = [
    ["an unknown command", ["nothing"]],
    ["an unknown option", ["state", "--nothing", "x"]],
    ["no id", ["state"]],
    ["an argument too many", ["state", "a", "b"]],
    ["help", ["--help"]],
  ];
  for (const [title, args] of cases) compare(`${title}: exit code`, { observe: (b) => b.oci(args).code });

  compare("--rootless with a value that is none", {
    observe: (b) => {
      b.create();
      return ["true", "perhaps"].map((v) => b.oci(["state", b.id], "", [`--rootless=${v}`]).code);
    },
    expected: [0, 1],
    differs: "runc and crun take any value where they do not look at it; a mistyped one is refused",
  });

  compare("--log and --log-format json: members of a line", {
    observe: (b) => {
      const log = join(b.folder, "log");
      b.oci(["state", "nobody"], "", ["--log", log, "--log-format", "json"]);
      const [line = "{}"] = readFileSync(log, "utf8").trim().split("\n");
      const entry = JSON.parse(line) as Record<string, string>;
      return { members: Object.keys(entry).sort(), level: entry.level ?? "" };
    },
  });
});
