/** Reads the text of /proc/net/dev. Pure. Source: proc_pid_net(5). */
import type { InterfaceCounters } from "./handler.ts";

/** The counters of each interface but loopback, in the kernel's order. */
export function parseInterfaces(procNetDev: string): InterfaceCounters[] {
  const interfaces: InterfaceCounters[] = [];
  for (const line of procNetDev.split("\n")) {
    const colon = line.indexOf(":");
    if (colon < 0) continue;
    const name = line.slice(0, colon).trim();
    if (name === "lo") continue;
    const columns = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/);
    interfaces.push({
      name,
      rxBytes: counter(columns[0]),
      rxErrors: counter(columns[2]),
      txBytes: counter(columns[8]),
      txErrors: counter(columns[10]),
    });
  }
  return interfaces;
}

function counter(column: string | undefined): bigint {
  return column !== undefined && /^\d{1,20}$/.test(column) ? BigInt(column) : 0n;
}
