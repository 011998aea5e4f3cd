/**
 * What a container of a gVisor sandbox uses, as `runsc events --stats` says it: its processor time is the sandbox's
 * share of what the host counts, its memory and processes are those that the sandbox's kernel has for it.
 */
import { RuntimeError } from "../../errors/runtime-error.ts";
import type { MonitorSandbox } from "../builtin.ts";
import type { ContainerUsage } from "../handler.ts";
import { text } from "../monitor/protocol.ts";

/** `sandbox`, asked for the usage of its containers by the program: a run of it for each, one after the other. */
export function withUsage(sandbox: MonitorSandbox): MonitorSandbox {
  let last: Promise<unknown> = Promise.resolve();
  sandbox.usage = (containerId, signal) => {
    const answer = last.then(async () => {
      const said = await sandbox.request("usage", { container: containerId }, signal);
      return parseStats(text(said, "text"));
    });
    last = answer.catch(() => undefined);
    return answer;
  };
  return sandbox;
}

/** `{"type":"stats","id":"...","data":{"cpu":{"usage":{"total":1}},"memory":{"usage":{"usage":1}},"pids":{"current":1}}}`; what is 0 is left out. Pure. */
export function parseStats(json: string): ContainerUsage {
  let event: unknown;
  try {
    event = JSON.parse(json);
  } catch (cause) {
    throw new RuntimeError("internal", "the runtime's statistics are no JSON", { cause });
  }
  const data = field(event, "data");
  if (field(event, "type") !== "stats" || typeof data !== "object" || data === null)
    throw new RuntimeError("internal", "the runtime's statistics are none");
  const cpu = field(field(data, "cpu"), "usage");
  const memory = field(field(data, "memory"), "usage");
  return {
    cpuUsageNs: counter(cpu, "total"),
    memoryUsageBytes: counter(memory, "usage"),
    memoryLimitBytes: counter(memory, "limit") || undefined,
    inactiveFileBytes: 0n,
    rssBytes: 0n,
    pageFaults: 0n,
    majorPageFaults: 0n,
    swapUsageBytes: undefined,
    swapLimitBytes: undefined,
    processes: counter(field(data, "pids"), "current"),
  };
}

function field(from: unknown, key: string): unknown {
  return typeof from === "object" && from !== null ? (from as Record<string, unknown>)[key] : undefined;
}

function counter(from: unknown, key: string): bigint {
  const value = field(from, key) ?? 0;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0)
    throw new RuntimeError("internal", `the runtime's statistics have a "${key}" that is no count`);
  return BigInt(value);
}
