/**
 * What containers and pods use, as numbers with units.
 * Enters: cgroup paths and pids. Leaves: samples; the rate of CPU use comes from the sample before.
 * Keeps: two numbers per cgroup that was asked about. Works only when asked: nothing is polled.
 */
import { readFileSync } from "node:fs";
import type { CgroupUsage } from "../cgroup/usage.ts";
import type { InterfaceCounters } from "../runtime/handler.ts";
import { parseInterfaces } from "../runtime/net-dev.ts";

export interface CpuSample {
  readonly atNs: bigint;
  /** Since the cgroup was made. */
  readonly usageCoreNs: bigint;
  /** Billionths of a core, between the last two samples; 0n at the first. */
  readonly usageNanoCores: bigint;
}

export interface MemorySample {
  readonly atNs: bigint;
  readonly usageBytes: bigint;
  /** Usage without what the kernel would drop first: what the kubelet evicts by. */
  readonly workingSetBytes: bigint;
  /** To the limit; 0n without one. */
  readonly availableBytes: bigint;
  readonly rssBytes: bigint;
  readonly pageFaults: bigint;
  readonly majorPageFaults: bigint;
}

export interface SwapSample {
  readonly atNs: bigint;
  readonly usageBytes: bigint;
  readonly availableBytes: bigint;
}

/** Of a container, or of a pod's own cgroup. */
export interface UsageSample {
  readonly cpu: CpuSample;
  readonly memory: MemorySample;
  /** undefined: the kernel does not count swap. */
  readonly swap: SwapSample | undefined;
  readonly processes: bigint | undefined;
}

/** The only thing needed of the cgroup room. */
export interface UsageReader {
  usage(path: string): CgroupUsage | undefined;
}

interface Rate {
  atNs: bigint;
  usageNs: bigint;
  nanoCores: bigint;
}

/** Over less time a rate says more about the clock than about the container. */
const minIntervalNs = 100_000_000n;

export class Stats {
  readonly #cgroups: UsageReader;
  readonly #nowNs: () => bigint;
  readonly #rates = new Map<string, Rate>();

  constructor(options: { cgroups: UsageReader; nowNs: () => bigint }) {
    this.#cgroups = options.cgroups;
    this.#nowNs = options.nowNs;
  }

  /** A sample of the cgroup now, undefined when it is gone. */
  sample(cgroup: string): UsageSample | undefined {
    return this.sampleOf(cgroup, this.#cgroups.usage(cgroup));
  }

  /** The same of numbers that somebody else has counted, under a name of their own. */
  sampleOf(cgroup: string, usage: CgroupUsage | undefined): UsageSample | undefined {
    if (!usage) {
      this.#rates.delete(cgroup);
      return undefined;
    }
    const atNs = this.#nowNs();
    return {
      cpu: {
        atNs,
        usageCoreNs: usage.cpuUsageNs,
        usageNanoCores: this.#nanoCores(cgroup, atNs, usage.cpuUsageNs),
      },
      memory: memorySample(atNs, usage),
      swap: swapSample(atNs, usage),
      processes: usage.processes,
    };
  }

  /** Forgets the rate of a cgroup that is removed. */
  forget(cgroup: string): void {
    this.#rates.delete(cgroup);
  }

  #nanoCores(cgroup: string, atNs: bigint, usageNs: bigint): bigint {
    const last = this.#rates.get(cgroup);
    if (!last || usageNs < last.usageNs || atNs < last.atNs) {
      // The first, another cgroup of the same name, or the clock was set back.
      this.#rates.set(cgroup, { atNs, usageNs, nanoCores: 0n });
      return 0n;
    }
    const elapsedNs = atNs - last.atNs;
    if (elapsedNs < minIntervalNs) return last.nanoCores;
    const nanoCores = ((usageNs - last.usageNs) * 1_000_000_000n) / elapsedNs;
    this.#rates.set(cgroup, { atNs, usageNs, nanoCores });
    return nanoCores;
  }
}

/** The sum of a pod's containers, for a pod without a cgroup of its own. `atNs`: the newest. */
export function sumSamples(samples: readonly UsageSample[], nowNs: bigint): UsageSample {
  const sum = (of: (sample: UsageSample) => bigint) =>
    samples.reduce((total, sample) => total + of(sample), 0n);
  const swaps = samples.map(({ swap }) => swap).filter((swap) => swap !== undefined);
  return {
    cpu: {
      atNs: nowNs,
      usageCoreNs: sum(({ cpu }) => cpu.usageCoreNs),
      usageNanoCores: sum(({ cpu }) => cpu.usageNanoCores),
    },
    memory: {
      atNs: nowNs,
      usageBytes: sum(({ memory }) => memory.usageBytes),
      workingSetBytes: sum(({ memory }) => memory.workingSetBytes),
      availableBytes: sum(({ memory }) => memory.availableBytes),
      rssBytes: sum(({ memory }) => memory.rssBytes),
      pageFaults: sum(({ memory }) => memory.pageFaults),
      majorPageFaults: sum(({ memory }) => memory.majorPageFaults),
    },
    swap:
      swaps.length === 0
        ? undefined
        : {
            atNs: nowNs,
            usageBytes: swaps.reduce((total, { usageBytes }) => total + usageBytes, 0n),
            availableBytes: swaps.reduce((total, { availableBytes }) => total + availableBytes, 0n),
          },
    processes: sum(({ processes }) => processes ?? 0n),
  };
}

/**
 * Interface counters of the network namespace of a process, without asking the monitor: one read.
 * `startTime` proves that the pid is still the process meant; undefined when it is not, or is gone.
 */
export function readInterfaces(pid: number, startTime: string): InterfaceCounters[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/net/dev`, "utf8");
    // After the read: had the pid changed hands before it, the start time is another one.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    if (startTimeOf(stat) !== startTime) return undefined;
    return parseInterfaces(text);
  } catch {
    return undefined;
  }
}

/** Field 22 of /proc/<pid>/stat. The name in field 2 may hold spaces and parentheses: count after the last one. */
function startTimeOf(stat: string): string | undefined {
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}

function memorySample(atNs: bigint, usage: CgroupUsage): MemorySample {
  const { memoryUsageBytes, inactiveFileBytes, memoryLimitBytes } = usage;
  const workingSetBytes = lessButNotBelowZero(memoryUsageBytes, inactiveFileBytes);
  return {
    atNs,
    usageBytes: memoryUsageBytes,
    workingSetBytes,
    availableBytes:
      memoryLimitBytes === undefined ? 0n : lessButNotBelowZero(memoryLimitBytes, workingSetBytes),
    rssBytes: usage.rssBytes,
    pageFaults: usage.pageFaults,
    majorPageFaults: usage.majorPageFaults,
  };
}

function swapSample(atNs: bigint, { swapUsageBytes, swapLimitBytes }: CgroupUsage): SwapSample | undefined {
  if (swapUsageBytes === undefined) return undefined;
  return {
    atNs,
    usageBytes: swapUsageBytes,
    availableBytes: swapLimitBytes === undefined ? 0n : lessButNotBelowZero(swapLimitBytes, swapUsageBytes),
  };
}

function lessButNotBelowZero(from: bigint, less: bigint): bigint {
  return from > less ? from - less : 0n;
}
