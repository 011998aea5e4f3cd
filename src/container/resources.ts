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
