import { describe, expect, it } from "vitest";
import type { ContainerResources } from "../config.ts";
import { planResources } from "./resources.ts";
import { noLimits } from "./spec.fixture.ts";

const v2 = { cgroupVersion: 2, hugetlb: true, swap: true } as const;
const plan = (change: Partial<ContainerResources>, host: Parameters<typeof planResources>[1] = v2) =>
  planResources({ ...noLimits, ...change }, host);
const kind = (expected: string) => expect.objectContaining({ kind: expected });

describe("planResources", () => {
  it("leaves out what is not set", () => {
    expect(plan({})).toEqual({ resources: {}, warnings: [] });
    expect(planResources(undefined, v2)).toEqual({ resources: {}, warnings: [] });
  });

  it("translates CPU limits", () => {
    const cpu = {
      cpuPeriodUs: 100_000n,
      cpuQuotaUs: 50_000n,
      cpuShares: 512n,
      cpusetCpus: "0-3,7",
      cpusetMems: "0",
    };
    expect(plan(cpu).resources.cpu).toEqual({
      period: 100_000,
      quota: 50_000,
      shares: 512,
      cpus: "0-3,7",
      mems: "0",
    });
    expect(plan({ cpuQuotaUs: -1n }).resources.cpu).toEqual({ quota: -1 });
  });

  it.each([
    [
      "no swap beyond the memory limit by default",
      { memoryLimitBytes: 100n },
      true,
      { limit: 100, swap: 100 },
    ],
    [
      "the swap limit asked for",
      { memoryLimitBytes: 100n, memorySwapLimitBytes: 300n },
      true,
      { limit: 100, swap: 300 },
    ],
    ["unlimited swap", { memoryLimitBytes: 100n, memorySwapLimitBytes: -1n }, true, { limit: 100, swap: -1 }],
    [
      "no swap limit where the kernel counts no swap",
      { memoryLimitBytes: 100n, memorySwapLimitBytes: 300n },
      false,
      { limit: 100 },
    ],
    ["no limit", { memoryLimitBytes: -1n }, true, { limit: -1, swap: -1 }],
    [
      "no limit, for more than any machine has",
      { memoryLimitBytes: 2n ** 63n - 4096n },
      false,
      { limit: -1 },
    ],
  ])("sets %s", (_, change, swap, expected) => {
    expect(plan(change, { ...v2, swap }).resources.memory).toEqual(expected);
  });

  it("refuses a swap limit below the memory limit", () => {
    expect(() => plan({ memoryLimitBytes: 100n, memorySwapLimitBytes: 50n })).toThrow(
      kind("invalid-argument"),
    );
  });

  const pages = (limitBytes: bigint, pageSize = "2MB") => ({ hugepageLimits: [{ pageSize, limitBytes }] });
  it("sets huge page limits where the kernel can, and says so where it can't", () => {
    expect(plan(pages(4n)).resources.hugepageLimits).toEqual([{ pageSize: "2MB", limit: 4 }]);
    const without = { ...v2, hugetlb: false };
    expect(plan(pages(4n), without)).toEqual({ resources: {}, warnings: [expect.stringMatching(/2MB/)] });
    // A kubelet sends 0 for each page size of the CPU.
    expect(plan(pages(0n), without)).toEqual({ resources: {}, warnings: [] });
  });

  it.each(["2", "MB", "../2MB", "2mb", "02MB", "2MB/x"])("refuses the page size %j", (size) => {
    expect(() => plan(pages(1n, size))).toThrow(kind("invalid-argument"));
  });

  it("passes unified keys on v2, and refuses them on v1", () => {
    const unified = { "memory.oom.group": "1", "io.max": "8:0 rbps=1" };
    expect(plan({ unified }).resources.unified).toEqual(unified);
    expect(() => plan({ unified }, { ...v2, cgroupVersion: 1 })).toThrow(kind("failed-precondition"));
    for (const key of ["../memory.max", "memory/max", "cgroup", "", "memory.max\n", "Memory.max"]) {
      expect(() => plan({ unified: { [key]: "1" } })).toThrow(kind("invalid-argument"));
    }
    expect(() => plan({ unified: { "memory.max": "1\0" } })).toThrow(kind("invalid-argument"));
  });

  it.each<[string, Partial<ContainerResources>]>([
    ["a negative period", { cpuPeriodUs: -1n }],
    ["a period of more than a second", { cpuPeriodUs: 1_000_001n }],
    ["a negative quota that is not -1", { cpuQuotaUs: -2n }],
    ["negative shares", { cpuShares: -5n }],
    ["negative memory", { memoryLimitBytes: -2n }],
    ["negative swap", { memorySwapLimitBytes: -7n }],
    ["more than a list of CPUs", { cpusetCpus: "0-3;rm" }],
    ["CPUs that are no numbers", { cpusetCpus: "a" }],
    ["a line break", { cpusetMems: "0\n1" }],
  ])("refuses %s", (_, change) => {
    expect(() => plan(change)).toThrow(kind("invalid-argument"));
  });
});
