import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Bundle, type Spec } from "../integration/oci/bundle.ts";
import { waitFor } from "../support/wait.ts";
import { type Answer, compare, plain } from "./compare.ts";
import { ours, type Runtime, runc } from "./runtimes.ts";

const sleeper = (s: Spec) => {
  s.process.args = ["/bin/sleep", "1000"];
};

function started(b: Bundle): void {
  b.create();
  b.start();
}

/** undefined: it has ended. */
function commandName(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trimEnd();
  } catch {
    return undefined;
  }
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

  compare("--quiet: ids, also with --format json", {
    change: sleeper,
    observe: async (b, runtime) => {
      b.create();
      await using other = new Bundle((s) => {
        s.ociVersion = "1.0.2";
        sleeper(s);
      }, runtime.command);
      other.write();
      b.through('exec "$@" </dev/null >/dev/null 2>&1', ["create", "-b", other.folder, `z-${b.id}`]);
      const ids = (text: string) => plain(text, b).trimEnd().split("\n").toSorted();
      const quiet = ids(b.oci(["list", "-q"]).stdout);
      const { stdout } = b.oci(["list", "-q", "-f", "json"]);
      b.oci(["delete", "--force", `z-${b.id}`]);
      return { quiet, both: stdout.startsWith("[") ? "JSON" : ids(stdout) };
    },
  });

  compare("in a folder that is not there: exit code", {
    observe: (b) => b.oci(["list"], "", ["--root", join(b.folder, "not/there")]).code,
  });

  compare("in an unknown format: exit code", {
    observe: (b) => {
      b.create();
      return b.oci(["list", "--format", "xml"]).code;
    },
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

/** Whether something comes to be that need not, in the time that a runtime gets for it. */
async function soon(what: string, probe: () => boolean): Promise<boolean> {
  return await waitFor(what, probe, { timeoutMs: 3_000 }).catch(() => false);
}

/** All processes of a container, by its pids cgroup. */
function processes(b: Bundle): number[] {
  const text = readFileSync(join("/sys/fs/cgroup/pids", b.cgroup, "cgroup.procs"), "utf8");
  return text.split("\n").filter(Boolean).map(Number);
}

/** A shell that has started two more processes. */
async function three(b: Bundle): Promise<void> {
  started(b);
  await waitFor("three processes", () => processes(b).length === 3);
}

const family = (s: Spec) => {
  s.process.args = ["/bin/sh", "-c", "sleep 1000 & sleep 1000; true"];
};

describe("ps", () => {
  compare("as JSON: the processes' ids, of execs too", {
    change: family,
    observe: async (b) => {
      await three(b);
      b.through('exec "$@" </dev/null >/dev/null 2>&1', ["exec", "-d", b.id, "/bin/sleep", "1000"]);
      const told = JSON.parse(b.oci(["ps", "--format", "json", b.id]).stdout) as number[];
      return { count: told.length, same: String(told.toSorted()) === String(processes(b).toSorted()) };
    },
    expected: { count: 4, same: true },
  });

  compare("as JSON of a stopped container", {
    change: sleeper,
    observe: async (b) => {
      started(b);
      b.oci(["kill", b.id, "KILL"]);
      await waitFor("stopped", () => b.status() === "stopped");
      const { code, stdout } = b.oci(["ps", "-f", "json", b.id]);
      return { code, stdout };
    },
  });

  compare("options of ps are given to it", {
    change: sleeper,
    observe: (b) => {
      started(b);
      const { code, stdout } = b.through('exec "$@"', ["ps", b.id, "-e", "-o", "pid,comm"]);
      return { code, text: spaces(numbers(stdout)) };
    },
  });

  compare("of an unknown container, in an unknown format: exit codes", {
    change: sleeper,
    observe: (b) => {
      started(b);
      return [b.oci(["ps", "nobody"]).code, b.oci(["ps", "-f", "xml", b.id]).code];
    },
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

  compare("--all: every process of the container, the others only with their init", {
    change: (s, b) => {
      symlinkSync("busybox", join(b.rootfs, "bin/mkfifo"));
      const line = "trap : TERM; mkfifo /gate; sleep 1000 & sleep 1000 & while :; do read x </gate; done";
      s.process.args = ["/bin/sh", "-c", line];
    },
    observe: async (b) => {
      started(b);
      // Some of those that were there may be gone by now.
      const sleeps = () => processes(b).filter((pid) => commandName(pid) === "sleep").length;
      await waitFor("two", () => sleeps() === 2);
      const one = b.oci(["kill", b.id, "TERM"]).code;
      const after = sleeps();
      const all = b.oci(["kill", "-a", b.id, "TERM"]).code;
      const ended = await soon("the two to end", () => sleeps() === 0);
      return { one, after, all, ended, status: b.status() };
    },
    expected: { one: 0, after: 2, all: 0, ended: true, status: "running" },
  });

  compare("KILL without a PID namespace of its own ends every process", {
    change: (s) => {
      family(s);
      s.linux.namespaces = s.linux.namespaces.filter(({ type }) => type !== "pid");
    },
    observe: async (b) => {
      await three(b);
      const { code } = b.oci(["kill", b.id, "KILL"]);
      const ended = await soon("their end", () => processes(b).length === 0);
      b.oci(["kill", "--all", b.id, "KILL"]);
      return { code, ended };
    },
    expected: { code: 0, ended: true },
  });

  compare("without a signal: TERM; by number, by name in any case, with and without SIG", {
    change: (s) => {
      const traps = "trap 'echo term >>/got' TERM; trap 'echo usr1 >>/got' USR1; trap 'echo hup >>/got' HUP";
      s.process.args = ["/bin/sh", "-c", `${traps}; touch /ready; while :; do sleep 0.05; done`];
    },
    observe: async (b) => {
      started(b);
      await waitFor("ready", () => existsSync(join(b.rootfs, "ready")));
      const got = () => {
        const file = join(b.rootfs, "got");
        return existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n") : [];
      };
      const codes: (number | null)[] = [];
      for (const signal of [[], ["USR1"], ["SIGHUP"], ["sigusr1"], ["15"]]) {
        const before = got().length;
        const { code } = b.oci(["kill", b.id, ...signal]);
        codes.push(code);
        if (code === 0) await soon("its mark", () => got().length > before);
      }
      return { codes, got: got() };
    },
    expected: { codes: [0, 0, 0, 0, 0], got: ["term", "usr1", "hup", "usr1", "term"] },
  });

  compare("a created container by KILL: stopped, and can be deleted", {
    change: sleeper,
    observe: async (b) => {
      b.create();
      const { code } = b.oci(["kill", b.id, "KILL"]);
      await waitFor("stopped", () => b.status() === "stopped");
      return { code, deleted: b.oci(["delete", b.id]).code };
    },
    expected: { code: 0, deleted: 0 },
  });

  compare("a paused container by KILL ends", {
    change: sleeper,
    observe: async (b) => {
      started(b);
      b.oci(["pause", b.id]);
      const { code } = b.oci(["kill", b.id, "KILL"]);
      return { code, ended: await soon("stopped", () => b.status() === "stopped") };
    },
    expected: { code: 0, ended: true },
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

  compare("--rootless: what it writes runs for the user who asked for it", {
    observe: (b, runtime) => {
      if (runtime.name === "crun") return "not asked: here it is started with root's rights";
      const user = 'exec setpriv --reuid 4711 --regid 4712 --clear-groups "$@"';
      execFileSync("chown", ["-R", "4711:4712", b.folder]);
      const made = b.through(user, ["spec", "--rootless"]);
      const spec = JSON.parse(readFileSync(join(b.folder, "config.json"), "utf8")) as Spec & {
        linux: Record<"uidMappings" | "gidMappings", unknown>;
      };
      const { uidMappings, gidMappings } = spec.linux;
      spec.process.terminal = false;
      spec.process.args = [
        "/bin/sh",
        "-c",
        "id -u; id -g; hostname >/dev/null; touch /dev/shm/x && echo well",
      ];
      writeFileSync(join(b.folder, "config.json"), JSON.stringify(spec));
      const { code, stdout } = b.through(user, ["run", b.id]);
      return { made: made.code, uidMappings, gidMappings, code, stdout } as Answer;
    },
    expected: {
      made: 0,
      uidMappings: [{ containerID: 0, hostID: 4711, size: 1 }],
      gidMappings: [{ containerID: 0, hostID: 4712, size: 1 }],
      code: 0,
      stdout: "0\n0\nwell\n",
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

describe("features", () => {
  /** The places of all members, as `linux.cgroup.v1`. */
  const places = (value: unknown, at = ""): string[] =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.entries(value).flatMap(([name, inner]) => places(inner, at === "" ? name : `${at}.${name}`))
      : [at];

  it("tells all that runc tells", async () => {
    const features = async (runtime: Runtime) => {
      await using b = new Bundle(() => {}, runtime.command);
      return JSON.parse(b.oci(["features"]).stdout) as object;
    };
    const own = await features(ours);
    const others = await features(runc);
    const told = (document: object) => places(document).filter((place) => !place.startsWith("annotations."));
    expect(told(own)).toEqual(expect.arrayContaining(told(others)));
    expect(own).toMatchObject({
      potentiallyUnsafeConfigAnnotations: ["org.systemd.property."],
      linux: {
        netDevices: { enabled: true },
        memoryPolicy: { modes: expect.arrayContaining(["MPOL_BIND"]) },
      },
    });
  });
});
