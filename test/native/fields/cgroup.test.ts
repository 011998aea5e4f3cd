/**
 * linux.resources field by field: what `create` writes, on the hierarchies that this machine has (v1 here, v2 in
 * hack/guest), or that it refuses. A value is what the kernel's file holds while the container waits for its start.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe } from "vitest";
import { readCgroupLayout } from "../../../src/cgroup/layout.ts";
import type { Bundle } from "../../integration/oci/bundle.ts";
import { where } from "../../support/where.ts";
import { type Answer, compare } from "../compare.ts";
import { sleeping } from "./field.ts";

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
  // What no v1 hierarchy has may be in the v2 tree beside them.
  const mount = layout.controllers.get(controller) ?? layout.unified;
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
    observe: (b) => {
      const { code } = b.create();
      if (code === 0) return files.map((file) => read(b, file));
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
    title: "burst",
    resources: { cpu: { quota: 50_000, period: 100_000, burst: 20_000 } },
    v1: ["cpu.cfs_burst_us"],
    v2: ["cpu.max.burst"],
    expected: ["20000"],
  });
  field({
    title: "idle",
    resources: { cpu: { idle: 1 } },
    v1: ["cpu.idle"],
    v2: ["cpu.idle"],
    expected: ["1"],
  });
  field({
    title: "idle that is neither 0 nor 1",
    resources: { cpu: { idle: 7 } },
    v1: [],
    v2: [],
    expected: "refused",
  });
  field({
    title: "realtimeRuntime and realtimePeriod",
    resources: { cpu: { realtimeRuntime: 7000, realtimePeriod: 500_000 } },
    v1: ["cpu.rt_runtime_us", "cpu.rt_period_us"],
    expected: ["7000", "500000"],
  });
  field({
    title: "cpus and mems",
    resources: { cpu: { cpus: "0", mems: "0" } },
    v1: ["cpuset.cpus", "cpuset.mems"],
    v2: ["cpuset.cpus", "cpuset.mems"],
    expected: ["0", "0"],
  });
  field({
    title: "mems that are not there",
    resources: { cpu: { mems: "40" } },
    v1: [],
    v2: [],
    expected: "refused",
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

describe("memory that old kernels and v1 know", () => {
  field({
    title: "kernel",
    resources: { memory: { kernel: mib(64) } },
    v1: [],
    v2: [],
    expected: "refused",
    ...(layout.version === 1
      ? { differs: "kernels have no such limit any more: the container would run without it" }
      : {}), // there crun refuses it as well
  });
  field({
    title: "kernel -1: no limit",
    resources: { memory: { kernel: -1 } },
    v1: [],
    v2: [],
    expected: [],
  });
  field({
    title: "kernelTCP",
    resources: { memory: { kernelTCP: mib(64) } },
    v1: ["memory.kmem.tcp.limit_in_bytes"],
    expected: [String(mib(64))],
  });
  for (const useHierarchy of [true, false])
    field({
      title: `useHierarchy ${useHierarchy}`,
      resources: { memory: { useHierarchy } },
      v1: [],
      v2: [],
      expected: useHierarchy ? [] : "refused",
    });
  for (const checkBeforeUpdate of [true, false])
    compare(`checkBeforeUpdate ${checkBeforeUpdate}: a limit below what is used`, {
      change: sleeping,
      observe: (b) => {
        b.create();
        b.start();
        const limits = { memory: { limit: 4096, swap: 4096, checkBeforeUpdate } };
        return b.oci(["update", "-r", "-", b.id], JSON.stringify(limits)).code;
      },
      ...(checkBeforeUpdate ? { expected: 1 } : {}),
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
    title: "throttleWriteBpsDevice",
    resources: { blockIO: { throttleWriteBpsDevice: [{ ...device, rate: mib(2) }] } },
    v1: ["blkio.throttle.write_bps_device"],
    v2: ["io.max"],
    expected: [
      layout.version === 1 ? `${key} ${mib(2)}` : `${key} rbps=max wbps=${mib(2)} riops=max wiops=max`,
    ],
  });
  field({
    title: "throttleReadIOPSDevice",
    resources: { blockIO: { throttleReadIOPSDevice: [{ ...device, rate: 90 }] } },
    v1: ["blkio.throttle.read_iops_device"],
    v2: ["io.max"],
    expected: [layout.version === 1 ? `${key} 90` : `${key} rbps=max wbps=max riops=90 wiops=max`],
  });
  // Weights are BFQ's, which has none for leaves, nor for a device that it does not schedule.
  for (const [title, blockIO] of [
    ["weight", { weight: 300 }],
    ["leafWeight", { leafWeight: 300 }],
    ["weightDevice: weight", { weightDevice: [{ ...device, weight: 300 }] }],
    ["weightDevice: leafWeight", { weightDevice: [{ ...device, leafWeight: 300 }] }],
  ] as const)
    field({
      title,
      resources: { blockIO },
      v1: ["blkio.bfq.weight"],
      expected: title === "weight" ? ["300"] : "refused",
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
where(layout.version === 1, "the list of devices is cgroup v1's")("devices", () => {
  const usual = ["c 136:* rwm", "c 5:0 rwm", "c 5:2 rwm", ...[3, 5, 7, 8, 9].map((n) => `c 1:${n} rwm`)];
  const list = (...more: string[]) => ["b *:* m", "c *:* m", ...usual, ...more].toSorted().join("\n");
  field({
    title: "the list of a container that asks for nothing",
    resources: {},
    v1: ["devices.list"],
    expected: [list()],
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
    expected: [list("c 10:229 rw")],
    differs: "as above: no /dev/net/tun",
  });
  field({
    title: "a list that begins with no denial",
    resources: { devices: [{ allow: true, type: "c", major: 10, minor: 229, access: "rw" }] },
    v1: ["devices.list"],
    expected: [list("c 10:229 rw")],
    differs: "as above: no /dev/net/tun",
  });
  field({
    title: "a list that allows all",
    resources: { devices: [{ allow: true, access: "rwm" }] },
    v1: ["devices.list"],
    expected: ["a *:* rwm"],
  });
});

const besides = "a controller that only the v2 tree beside the v1 hierarchies has is used there";

describe("hugepageLimits, rdma, network, unified", () => {
  field({
    title: "hugepageLimits",
    resources: { hugepageLimits: [{ pageSize: "2MB", limit: mib(4) }] },
    v1: ["hugetlb.2MB.max"],
    v2: ["hugetlb.2MB.max"],
    expected: [String(mib(4))],
    ...(layout.version === 1 ? { differs: besides } : {}),
  });
  field({
    title: "hugepageLimits of a size that there is not",
    resources: { hugepageLimits: [{ pageSize: "3MB", limit: mib(4) }] },
    v1: [],
    v2: [],
    expected: "refused",
  });
  // Neither has a controller here.
  for (const [title, resources] of [
    ["rdma: hcaHandles", { rdma: { mlx5_0: { hcaHandles: 3 } } }],
    ["rdma: hcaObjects", { rdma: { mlx5_0: { hcaObjects: 3 } } }],
    ["network: classID", { network: { classID: 1_048_577 } }],
    ["network: priorities", { network: { priorities: [{ name: "lo", priority: 3 }] } }],
  ] as const)
    field({ title, resources, v1: [], v2: [], expected: "refused" });
  field({
    title: "unified: a controller of the v2 tree beside v1",
    resources: { unified: { "hugetlb.2MB.max": String(mib(6)) } },
    v1: ["hugetlb.2MB.max"],
    expected: [String(mib(6))],
    differs: besides,
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
