import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { CgroupUsage } from "../cgroup/usage.ts";
import { readInterfaces, Stats, sumSamples } from "./stats.ts";

const usage = (over: Partial<CgroupUsage> = {}): CgroupUsage => ({
  cpuUsageNs: 0n,
  memoryUsageBytes: 100n,
  inactiveFileBytes: 30n,
  rssBytes: 40n,
  pageFaults: 5n,
  majorPageFaults: 1n,
  memoryLimitBytes: 1000n,
  swapUsageBytes: undefined,
  swapLimitBytes: undefined,
  processes: 2n,
  ...over,
});

/** A clock and a cgroup that the test moves. */
function fixture() {
  const state = { nowNs: 1_000_000_000n, usage: usage() as CgroupUsage | undefined };
  const stats = new Stats({ cgroups: { usage: () => state.usage }, nowNs: () => state.nowNs });
  const advance = (ms: number, cpuMs: number) => {
    state.nowNs += BigInt(ms) * 1_000_000n;
    if (state.usage) state.usage = usage({ cpuUsageNs: state.usage.cpuUsageNs + BigInt(cpuMs) * 1_000_000n });
    return stats.sample("/a")?.cpu.usageNanoCores;
  };
  return { state, stats, advance };
}

describe("Stats", () => {
  it("gives the rate of CPU use between samples, 0 at the first", () => {
    const { advance } = fixture();
    expect(advance(0, 500)).toBe(0n);
    expect(advance(1000, 250)).toBe(250_000_000n);
    expect(advance(10_000, 20_000)).toBe(2_000_000_000n);
  });

  it("keeps the last rate while less than 100 ms have passed, and then measures over all of it", () => {
    const { advance } = fixture();
    advance(0, 0);
    expect(advance(100, 50)).toBe(500_000_000n);
    expect(advance(99, 0)).toBe(500_000_000n);
    expect(advance(101, 100)).toBe(500_000_000n);
  });

  it.each([
    ["a counter that went back (a new cgroup of the name)", { cpuUsageNs: 1n }, 1000],
    ["a clock that was set back", { cpuUsageNs: 10_000_000_000n }, -5000],
  ])("starts again after %s", (_, over, ms) => {
    const { state, stats, advance } = fixture();
    advance(0, 5000);
    state.usage = usage(over);
    state.nowNs += BigInt(ms) * 1_000_000n;
    expect(stats.sample("/a")?.cpu.usageNanoCores).toBe(0n);
  });

  it("counts what the kernel would drop first out of the working set, and never below zero", () => {
    const { state, stats } = fixture();
    expect(stats.sample("/a")?.memory).toMatchObject({
      workingSetBytes: 70n,
      availableBytes: 930n,
      usageBytes: 100n,
    });
    state.usage = usage({ inactiveFileBytes: 500n, memoryLimitBytes: undefined });
    expect(stats.sample("/a")?.memory).toMatchObject({ workingSetBytes: 0n, availableBytes: 0n });
  });

  it("tells swap only where it is counted", () => {
    const { state, stats } = fixture();
    expect(stats.sample("/a")?.swap).toBeUndefined();
    state.usage = usage({ swapUsageBytes: 10n, swapLimitBytes: 50n });
    expect(stats.sample("/a")?.swap).toMatchObject({ usageBytes: 10n, availableBytes: 40n });
  });

  it("forgets a cgroup that is gone", () => {
    const { state, stats, advance } = fixture();
    advance(0, 0);
    state.usage = undefined;
    expect(stats.sample("/a")).toBeUndefined();
    state.usage = usage({ cpuUsageNs: 9_000_000_000n });
    expect(advance(1000, 0)).toBe(0n);
  });

  it("sums containers for a pod without a cgroup of its own", () => {
    const { stats } = fixture();
    const one = stats.sample("/a");
    const sum = sumSamples(one ? [one, one] : [], 7n);
    expect(sum).toMatchObject({
      cpu: { atNs: 7n },
      memory: { usageBytes: 200n, workingSetBytes: 140n },
      processes: 4n,
    });
    expect(sum.swap).toBeUndefined();
  });
});

describe("readInterfaces", () => {
  const startTime = (pid: number | "self") =>
    readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ")[19] ?? "";

  it("reads the counters of a process's network namespace", () => {
    expect(readInterfaces(process.pid, startTime("self"))).toBeInstanceOf(Array);
  });

  it("gives nothing for another process of the same pid, or none", () => {
    expect(readInterfaces(process.pid, "1")).toBeUndefined();
    expect(readInterfaces(2 ** 22 + 1, "1")).toBeUndefined();
  });
});
