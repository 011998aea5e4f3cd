/**
 * SIGTERM and SIGINT end a benchmark where it waits, starts a pod or times a program: as any failure does, so that its
 * daemons, pods and cgroups go with it. A second one ends it at once.
 */
import { setTimeout as delay } from "node:timers/promises";

const asked = new AbortController();
for (const name of ["SIGTERM", "SIGINT"] as const)
  process.once(name, () => asked.abort(new Error(`ended by ${name}`)));

export const interruption: AbortSignal = asked.signal;

/** @throws what interrupted it. */
export async function pause(ms: number): Promise<void> {
  await delay(ms, undefined, { signal: interruption }).catch(() => interruption.throwIfAborted());
}
