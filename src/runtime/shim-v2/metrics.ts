/** What a shim counts, whichever of the known forms it has. Pure. */
import type { ContainerUsage } from "../handler.ts";
import { type Any, isAny, MetricsV1, MetricsV2, typeUrl } from "../../ttrpc/message.ts";

/** Above this a limit is none: the kernel's own "no limit", and Go's. */
const noLimit = 1n << 62n;

/** Undefined: nothing, or of a form that is not known. @throws DecodeError for bytes that are not of the form they say. */
export function parseUsage(stats: Any | undefined): ContainerUsage | undefined {
  if (stats === undefined) return undefined;
  if (isAny(stats, typeUrl.metricsV1)) {
    const { cpu, memory, pids } = MetricsV1.decode(stats.value);
    return {
      cpuUsageNs: cpu?.usage?.total ?? 0n,
      memoryUsageBytes: memory?.usage?.usage ?? 0n,
      memoryLimitBytes: limit(memory?.usage?.limit),
      inactiveFileBytes: memory?.totalInactiveFile || memory?.inactiveFile || 0n,
      rssBytes: memory?.totalRss || memory?.rss || 0n,
      pageFaults: memory?.totalPgFault ?? 0n,
      majorPageFaults: memory?.totalPgMajFault ?? 0n,
      swapUsageBytes: memory?.swap === undefined ? undefined : less(memory.swap.usage, memory.usage?.usage),
      swapLimitBytes: limit(memory?.swap?.limit),
      processes: pids?.current,
    };
  }
  if (isAny(stats, typeUrl.metricsV2)) {
    const { cpu, memory, pids } = MetricsV2.decode(stats.value);
    return {
      cpuUsageNs: (cpu?.usageUsec ?? 0n) * 1000n,
      memoryUsageBytes: memory?.usage ?? 0n,
      memoryLimitBytes: limit(memory?.usageLimit),
      inactiveFileBytes: memory?.inactiveFile ?? 0n,
      rssBytes: memory?.anon ?? 0n,
      pageFaults: memory?.pgfault ?? 0n,
      majorPageFaults: memory?.pgmajfault ?? 0n,
      swapUsageBytes: memory?.swapUsage,
      swapLimitBytes: limit(memory?.swapLimit),
      processes: pids?.current,
    };
  }
  return undefined;
}

function limit(bytes: bigint | undefined): bigint | undefined {
  return bytes === undefined || bytes === 0n || bytes >= noLimit ? undefined : bytes;
}

/** v1 counts memory and swap together. */
function less(both: bigint, memory = 0n): bigint {
  return both > memory ? both - memory : 0n;
}
