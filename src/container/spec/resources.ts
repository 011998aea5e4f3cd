/** The limits of a container's cgroup. Pure. Serves creation and update. */
import { RuntimeError } from "../../errors/runtime-error.ts";
import type { OciResources } from "../../oci/runtime-spec.ts";
import type { ContainerResources } from "../config.ts";
import type { HostFacts } from "./facts.ts";

export interface ResourcePlan {
  readonly resources: OciResources;
  /** What was asked for and has no controller here, for the log. */
  readonly warnings: readonly string[];
}

type Limits = Pick<HostFacts, "cgroupVersion" | "hugetlb" | "swap">;

/**
 * Translates CRI's limits; what is 0 or "" is left out, so that an update keeps it.
 * With a memory limit and no swap limit the two are equal: a container does not swap by default.
 * @throws RuntimeError `invalid-argument` for a value out of range, `failed-precondition` for
 * `unified` keys on cgroup v1.
 */
export function planResources(request: ContainerResources | undefined, host: Limits): ResourcePlan {
  if (!request) return { resources: {}, warnings: [] };
  const warnings: string[] = [];
  const cpu = {
    ...some("shares", inRange("cpu_shares", request.cpuShares, 0n, 1n << 40n)),
    ...some("period", inRange("cpu_period", request.cpuPeriodUs, 0n, 1_000_000n)),
    ...some("quota", inRange("cpu_quota", request.cpuQuotaUs, -1n, 1n << 52n)),
    ...(request.cpusetCpus === "" ? {} : { cpus: cpuList("cpuset_cpus", request.cpusetCpus) }),
    ...(request.cpusetMems === "" ? {} : { mems: cpuList("cpuset_mems", request.cpusetMems) }),
  };
  const memory = memoryLimits(request, host);
  const hugepageLimits = hugepages(request, host, warnings);
  const unified = unifiedKeys(request.unified, host);
  return {
    resources: {
      ...(Object.keys(cpu).length > 0 ? { cpu } : {}),
      ...(Object.keys(memory).length > 0 ? { memory } : {}),
      ...(hugepageLimits.length > 0 ? { hugepageLimits } : {}),
      ...(unified ? { unified } : {}),
    },
    warnings,
  };
}

/** @throws RuntimeError `invalid-argument` outside -1000 to 1000. Source: proc_pid_oom_score_adj(5). */
export function oomScoreAdj(request: ContainerResources | undefined): number {
  return inRange("oom_score_adj", request?.oomScoreAdj ?? 0n, -1000n, 1000n);
}

function memoryLimits(request: ContainerResources, host: Limits): { limit?: number; swap?: number } {
  const limit = bytes("memory_limit_in_bytes", request.memoryLimitBytes);
  const swap = bytes("memory_swap_limit_in_bytes", request.memorySwapLimitBytes);
  if (swap > 0 && limit > 0 && swap < limit) {
    throw new RuntimeError(
      "invalid-argument",
      `memory_swap_limit_in_bytes ${swap} is below memory_limit_in_bytes ${limit}: it counts memory and swap together`,
    );
  }
  if (!host.swap) return some("limit", limit);
  return { ...some("limit", limit), ...some("swap", swap === 0 ? limit : swap) };
}

function hugepages(request: ContainerResources, host: Limits, warnings: string[]) {
  const limits = request.hugepageLimits.map(({ pageSize, limitBytes }) => {
    if (!/^[1-9][0-9]{0,6}[KMG]B$/.test(pageSize)) {
      throw new RuntimeError(
        "invalid-argument",
        `hugepage_limits: "${pageSize}" is no page size, expected one like "2MB"`,
      );
    }
    return { pageSize, limit: bytes(`hugepage limit of ${pageSize}`, limitBytes) };
  });
  if (host.hugetlb) return limits;
  // A kubelet sends a limit for every page size of the CPU, also where nothing could enforce one.
  const asked = limits.filter(({ limit }) => limit > 0).map(({ pageSize }) => pageSize);
  if (asked.length > 0)
    warnings.push(`hugepage limits of ${asked.join(", ")} are not enforced: no hugetlb controller`);
  return [];
}

function unifiedKeys(
  unified: Readonly<Record<string, string>>,
  host: Limits,
): Record<string, string> | undefined {
  const entries = Object.entries(unified);
  if (entries.length === 0) return undefined;
  if (host.cgroupVersion === 1) {
    throw new RuntimeError(
      "failed-precondition",
      `unified limits (${entries[0]?.[0]}) need cgroup v2, this host has v1`,
    );
  }
  for (const [key, value] of entries) {
    if (!/^[a-z]+(\.[A-Za-z0-9_]+)+$/.test(key)) {
      throw new RuntimeError("invalid-argument", `unified: "${key}" is no name of a cgroup file`);
    }
    if (value.includes("\0") || value.length > 4096) {
      throw new RuntimeError("invalid-argument", `unified: the value of "${key}" can't be written`);
    }
  }
  return Object.fromEntries(entries);
}

/** 0: not set; negative: no limit, which is -1. What no machine has memory for is no limit either. */
function bytes(field: string, value: bigint): number {
  if (value < -1n) throw new RuntimeError("invalid-argument", `${field} is ${value}, expected bytes or -1`);
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? -1 : Number(value);
}

function inRange(field: string, value: bigint, low: bigint, high: bigint): number {
  if (value < low || value > high) {
    throw new RuntimeError("invalid-argument", `${field} is ${value}, expected ${low} to ${high}`);
  }
  return Number(value);
}

/** A list like "0-3,7". Source: cpuset(7), list format. */
function cpuList(field: string, text: string): string {
  if (!/^\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*$/.test(text)) {
    throw new RuntimeError("invalid-argument", `${field} is "${text}", expected a list like "0-3,7"`);
  }
  return text;
}

function some<K extends string>(key: K, value: number): { [P in K]?: number } {
  return value === 0 ? {} : ({ [key]: value } as { [P in K]?: number });
}
