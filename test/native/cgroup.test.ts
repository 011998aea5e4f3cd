/**
 * linux.resources field by field: what `create` writes, on the hierarchies that this machine has (v1 here, v2 in
 * hack/guest), or that it refuses. A value is what the kernel's file holds while the container waits for its start.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe } from "vitest";
import { readCgroupLayout } from "../../src/cgroup/layout.ts";
import type { Bundle } from "../integration/oci/bundle.ts";
import { removeCgroups } from "../support/host.ts";
import { type Answer, compare } from "./compare.ts";
import { ours } from "./runtimes.ts";

const layout = readCgroupLayout();

/** "8:0" of a disk of this machine. */
function disk(): { major: number; minor: number } {
  for (const name of readdirSync("/sys/block")) {
    const [major = 0, minor = 0] = readFileSync(`/sys/block/${name}/dev`, "utf8").split(":").map(Number);
    if (major !== 7 && major !== 1) return { major, minor };
  }
  throw new Error("no disk in /sys/block");
}

/** The lines, sorted, of a limit file of the bundle's cgroup; null where the kernel has none of the name. */
function read(bundle: Bundle, file: string): string | null {
  const controller = file.split(".", 1)[0] ?? "";
  const mount = layout.version === 1 ? layout.controllers.get(controller) : layout.unified;
  try {
    return readFileSync(join(mount ?? "/nowhere", bundle.cgroup, file), "utf8")
      .trim()
      .split("\n")
      .toSorted()
      .join("\n");
  } catch {
    return null;
  }
}

interface Field {
  readonly title: string;
  readonly resources: Record<string, unknown>;
  /** The files of v1 and of v2 that tell; undefined: not asked on that version. */
  readonly v1?: readonly string[];
  readonly v2?: readonly string[];
  readonly expected?: Answer;
  readonly differs?: string;
}

/** Creates with the resources: the files' contents, or "refused". */
function field({ title, resources, v1, v2, expected, differs }: Field): void {
  const files = layout.version === 1 ? v1 : v2;
  if (files === undefined) return;
  compare(title, {
    change: (s) => {
      s.process.args = ["/bin/sleep", "1000"];
      s.linux.resources = resources;
    },
    observe: (b, runtime) => {
      const { code } = b.create();
      if (code === 0) return files.map((file) => read(b, file));
      // Others leave the cgroup of a create that failed; ours is asked for what it left at the bundle's end.
      if (runtime !== ours) {
        b.oci(["delete", "--force", b.id]);
        removeCgroups(b.cgroup);
      }
      return "refused";
    },
    ...(expected === undefined ? {} : { expected }),
    ...(differs === undefined ? {} : { differs }),
  });
}

const mib = (n: number) => n << 20;

describe("cpu", () => {
  field({ title: "shares", resources: { cpu: { shares: 512 } }, v1: ["cpu.shares"], v2: ["cpu.weight"] });
  field({
    title: "shares below what the kernel takes",
    resources: { cpu: { shares: 1 } },
    v1: ["cpu.shares"],
    expected: "refused",
  });
  field({
    title: "quota and period",
    resources: { cpu: { quota: 50_000, period: 80_000 } },
    v1: ["cpu.cfs_quota_us", "cpu.cfs_period_us"],
    v2: ["cpu.max"],
    expected: layout.version === 1 ? ["50000", "80000"] : ["50000 80000"],
  });
  field({
    title: "quota -1: no limit",
    resources: { cpu: { quota: -1 } },
    v1: ["cpu.cfs_quota_us"],
    v2: ["cpu.max"],
    expected: [layout.version === 1 ? "-1" : "max 100000"],
  });
  field({
    title: "a quota that is too small",
    resources: { cpu: { quota: 1 } },
    v1: [],
    v2: [],
    expected: "refused",
  });
  field({
    title: "cpus and mems",
    resources: { cpu: { cpus: "0", mems: "0" } },
    v1: ["cpuset.cpus", "cpuset.mems"],
    v2: ["cpuset.cpus", "cpuset.mems"],
    expected: ["0", "0"],
  });
  field({
    title: "cpus that are not there",
    resources: { cpu: { cpus: "4000" } },
    v1: [],
    v2: [],
    expected: "refused",
  });
});

describe("memory", () => {
  field({
    title: "limit",
    resources: { memory: { limit: mib(64) } },
    v1: ["memory.limit_in_bytes"],
    v2: ["memory.max"],
    expected: [String(mib(64))],
  });
  field({
    title: "limit and swap: memory and swap together",
    resources: { memory: { limit: mib(64), swap: mib(96) } },
    v1: ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"],
    v2: ["memory.max", "memory.swap.max"],
    expected: [String(mib(64)), String(mib(layout.version === 1 ? 96 : 32))],
  });
  field({
    title: "swap below the limit",
    resources: { memory: { limit: mib(64), swap: mib(32) } },
    v1: [],
    v2: [],
    expected: "refused",
  });
  field({
    title: "reservation",
    resources: { memory: { limit: mib(64), reservation: mib(32) } },
    v1: ["memory.soft_limit_in_bytes"],
    v2: ["memory.low"],
    expected: [String(mib(32))],
  });
  field({
    title: "swappiness",
    resources: { memory: { swappiness: 10 } },
    v1: ["memory.swappiness"],
    v2: [],
    expected: layout.version === 1 ? ["10"] : "refused",
  });
  field({
    title: "disableOOMKiller",
    resources: { memory: { disableOOMKiller: true } },
    v1: ["memory.oom_control"],
  });
});

describe("pids", () => {
  field({
    title: "limit",
    resources: { pids: { limit: 55 } },
    v1: ["pids.max"],
    v2: ["pids.max"],
    expected: ["55"],
  });
  field({
    title: "limit -1",
    resources: { pids: { limit: -1 } },
    v1: ["pids.max"],
    v2: ["pids.max"],
    expected: ["max"],
  });
});

describe("blockIO", () => {
  const device = disk();
  const key = `${device.major}:${device.minor}`;
  field({
    title: "throttleReadBpsDevice",
    resources: { blockIO: { throttleReadBpsDevice: [{ ...device, rate: mib(1) }] } },
    v1: ["blkio.throttle.read_bps_device"],
    v2: ["io.max"],
    expected: [
      layout.version === 1 ? `${key} ${mib(1)}` : `${key} rbps=${mib(1)} wbps=max riops=max wiops=max`,
    ],
  });
  field({
    title: "throttleWriteIOPSDevice",
    resources: { blockIO: { throttleWriteIOPSDevice: [{ ...device, rate: 100 }] } },
    v1: ["blkio.throttle.write_iops_device"],
    v2: ["io.max"],
    expected: [layout.version === 1 ? `${key} 100` : `${key} rbps=max wbps=max riops=max wiops=100`],
  });
  field({
    title: "a throttle for a device that is not there",
    resources: { blockIO: { throttleReadBpsDevice: [{ major: 4000, minor: 77, rate: 5 }] } },
    v1: [],
    v2: [],
    expected: "refused",
  });
});

// v2 has a program and no list: what it does is asked in test/guest and test/integration/oci.
describe.runIf(layout.version === 1)("devices", () => {
  field({
    title: "the list of a container that asks for nothing",
    resources: {},
    v1: ["devices.list"],
    differs: "the default devices of the specification; both others allow /dev/net/tun (10:200) besides",
  });
  field({
    title: "a rule for one device",
    resources: {
      devices: [
        { allow: false, access: "rwm" },
        { allow: true, type: "c", major: 10, minor: 229, access: "rw" },
      ],
    },
    v1: ["devices.list"],
    differs: "as above: no /dev/net/tun",
  });
});

describe("hugepageLimits, rdma, network, unified", () => {
  field({
    title: "hugepageLimits",
    resources: { hugepageLimits: [{ pageSize: "2MB", limit: mib(4) }] },
    v2: ["hugetlb.2MB.max"],
    expected: [String(mib(4))],
  });
  field({
    title: "unified without a v2 tree that has the controller",
    resources: { unified: { "memory.high": "1000000" } },
    v1: [],
    expected: "refused",
  });
  field({
    title: "unified: memory.high and memory.oom.group",
    resources: { unified: { "memory.high": "8388608", "memory.oom.group": "1" } },
    v2: ["memory.high", "memory.oom.group"],
    expected: ["8388608", "1"],
  });
  field({
    title: "unified: a controller that is not there",
    resources: { unified: { "fpga.max": "1" } },
    v2: [],
    expected: "refused",
  });
  field({
    title: "unified: a path",
    resources: { unified: { "a/b.max": "1" } },
    v2: [],
    expected: "refused",
  });
});
