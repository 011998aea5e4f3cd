import { RuntimeError } from "../errors/runtime-error.ts";
import type { ContainerResources } from "./config.ts";

/**
 * The limits in force after `change`: what it sets, and of the rest what was there. Pure.
 * Source: CRI UpdateContainerResources: unset (zero) fields keep their value.
 */
export function mergeResources(
  before: ContainerResources | undefined,
  change: ContainerResources,
): ContainerResources {
  if (before === undefined) return change;
  return {
    cpuPeriodUs: change.cpuPeriodUs || before.cpuPeriodUs,
    cpuQuotaUs: change.cpuQuotaUs || before.cpuQuotaUs,
    cpuShares: change.cpuShares || before.cpuShares,
    memoryLimitBytes: change.memoryLimitBytes || before.memoryLimitBytes,
    // Belongs to the process, not to the cgroup: an update does not change it.
    oomScoreAdj: before.oomScoreAdj,
    cpusetCpus: change.cpusetCpus || before.cpusetCpus,
    cpusetMems: change.cpusetMems || before.cpusetMems,
    hugepageLimits: change.hugepageLimits.length > 0 ? change.hugepageLimits : before.hugepageLimits,
    unified: { ...before.unified, ...change.unified },
    memorySwapLimitBytes: change.memorySwapLimitBytes || before.memorySwapLimitBytes,
  };
}

/** What the kernel said of a limit, as the asker's mistake where it is one. Pure. */
export function refusedLimit(error: unknown): unknown {
  if (!(error instanceof RuntimeError) || error.kind !== "internal") return error;
  const more = { subject: { ...error.subject }, cause: error };
  switch (error.subject.errno) {
    case "EBUSY":
      return new RuntimeError("failed-precondition", "the container uses more than the new limit", more);
    case "EINVAL":
    case "ERANGE":
    case "EACCES":
      return new RuntimeError("invalid-argument", "the kernel does not take this limit", more);
    default:
      return error;
  }
}
