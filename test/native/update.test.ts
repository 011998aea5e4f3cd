import { readFileSync, writeFileSync } from "node:fs";
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

/** Files of a container's v1 cgroups, as `controller/name`. */
function files(b: Bundle, ...names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.map((name) => {
      const [controller = "", file = ""] = name.split("/");
      try {
        return [name, readFileSync(join("/sys/fs/cgroup", controller, b.cgroup, file), "utf8").trim()];
      } catch (error) {
        return [name, (error as NodeJS.ErrnoException).code ?? ""]; // the kernel has no such file
      }
    }),
  );
}

const memory = ["memory/memory.limit_in_bytes", "memory/memory.memsw.limit_in_bytes"];
const cfs = ["cpu/cpu.cfs_period_us", "cpu/cpu.cfs_quota_us"];

/** Title, options, files that they change. */
const cases: readonly [string, readonly string[], readonly string[]][] = [
  ["--memory", ["--memory", "64m"], memory],
  ["--memory in bytes", ["--memory=67108864"], memory],
  ["--memory with a unit in capitals and iB", ["--memory", "64MiB"], memory],
  ["--memory and --memory-swap", ["--memory", "64m", "--memory-swap", "128m"], memory],
  ["--memory-swap below --memory is refused", ["--memory", "64m", "--memory-swap", "32m"], []],
  ["--memory -1: no limit", ["--memory", "-1"], memory],
  ["--memory that is no size", ["--memory", "lots"], memory],
  ["--memory-reservation", ["--memory-reservation", "32M"], ["memory/memory.soft_limit_in_bytes"]],
  ["--kernel-memory is ignored", ["--kernel-memory", "32M"], memory],
  ["--kernel-memory-tcp is ignored", ["--kernel-memory-tcp", "32M"], memory],
  ["--cpu-share", ["--cpu-share", "512"], ["cpu/cpu.shares"]],
  ["--cpu-share 0 changes nothing", ["--cpu-share", "0"], ["cpu/cpu.shares"]],
  ["--cpu-quota", ["--cpu-quota", "50000"], cfs],
  ["--cpu-quota -1: no limit", ["--cpu-quota", "-1"], cfs],
  ["--cpu-period", ["--cpu-period", "50000"], cfs],
  ["--cpu-period and --cpu-quota", ["--cpu-period", "40000", "--cpu-quota", "20000"], cfs],
  ["--cpu-burst", ["--cpu-quota", "50000", "--cpu-burst", "10000"], ["cpu/cpu.cfs_burst_us"]],
  ["--cpu-idle", ["--cpu-idle", "1"], ["cpu/cpu.idle"]],
  ["--cpu-rt-period", ["--cpu-rt-period", "900000"], ["cpu/cpu.rt_period_us"]],
  ["--cpu-rt-runtime", ["--cpu-rt-runtime", "1000"], ["cpu/cpu.rt_runtime_us"]],
  ["--cpuset-cpus", ["--cpuset-cpus", "0"], ["cpuset/cpuset.cpus"]],
  ["--cpuset-cpus that are not there", ["--cpuset-cpus", "4000"], ["cpuset/cpuset.cpus"]],
  ["--cpuset-mems", ["--cpuset-mems", "0"], ["cpuset/cpuset.mems"]],
  ["--blkio-weight", ["--blkio-weight", "300"], ["blkio/blkio.weight", "blkio/blkio.bfq.weight"]],
  ["--blkio-weight 0 changes nothing", ["--blkio-weight", "0"], ["blkio/blkio.weight"]],
  ["--blkio-weight out of range", ["--blkio-weight", "5000"], []],
  ["--pids-limit", ["--pids-limit", "33"], ["pids/pids.max"]],
  ["--pids-limit -1: no limit", ["--pids-limit", "-1"], ["pids/pids.max"]],
  ["--l3-cache-schema", ["--l3-cache-schema", "L3:0=f"], []],
  ["--mem-bw-schema", ["--mem-bw-schema", "MB:0=50"], []],
  ["nothing", [], memory],
  ["an empty value is none", ["--memory", "", "--pids-limit", "33"], ["pids/pids.max"]],
];

describe("update", () => {
  for (const [title, options, changed] of cases)
    compare(title, {
      change: sleeper,
      observe: (b) => {
        started(b);
        const { code } = b.oci(["update", ...options, b.id]);
        return { failed: code !== 0, ...files(b, ...changed) };
      },
    });

  const everything = {
    memory: { limit: 64 << 20, reservation: 32 << 20 },
    cpu: { shares: 300, quota: 20000, period: 40000, cpus: "0", mems: "0" },
    pids: { limit: 44 },
  };
  const seen = [...memory, ...cfs, "cpu/cpu.shares", "cpuset/cpuset.cpus", "pids/pids.max"];
  for (const [title, from] of [
    ["--resources FILE", "file"],
    ["--resources -: from stdin", "-"],
  ])
    compare(title ?? "", {
      change: sleeper,
      observe: (b) => {
        started(b);
        const text = JSON.stringify(everything);
        const path = join(b.folder, "resources.json");
        writeFileSync(path, text);
        const file = from === "-" ? "-" : path;
        const { code } = b.oci(["update", "-r", file, b.id], text);
        return { code, ...files(b, ...seen) };
      },
    });

  for (const [title, text] of [
    ["that is no JSON", "{"],
    ["with a member of a wrong type", '{"memory":{"limit":"x"}}'],
  ])
    compare(`--resources ${title}`, {
      change: sleeper,
      observe: (b) => {
        started(b);
        return b.oci(["update", "-r", "-", b.id], text).code !== 0;
      },
      expected: true,
    });

  compare("of a container that is created, paused, stopped, unknown", {
    change: sleeper,
    observe: (b) => {
      const update = () => b.oci(["update", "--pids-limit", "33", b.id]).code !== 0;
      const answers = [update()];
      b.create();
      answers.push(update());
      b.start();
      b.oci(["pause", b.id]);
      answers.push(update());
      return answers;
    },
    expected: [true, false, false],
  });
});
