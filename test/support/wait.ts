/** Waiting for a condition that has no event of its own, with a deadline. */
import { setTimeout as delay } from "node:timers/promises";
import { within } from "./slowness.ts";

/**
 * Calls `probe` until it returns something other than undefined or false; returns that.
 * A throw of `probe` ends the wait unless `retryErrors` is set, then the last one is the cause of the time-out.
 */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  o: { timeoutMs?: number; intervalMs?: number; retryErrors?: boolean } = {},
): Promise<T> {
  const { timeoutMs = 10_000, intervalMs = 20, retryErrors = false } = o;
  const end = performance.now() + within(timeoutMs);
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
      last = undefined;
    } catch (error) {
      if (!retryErrors) throw error;
      last = error;
    }
    if (performance.now() >= end)
      throw new Error(`${what}: not within ${within(timeoutMs)} ms`, { cause: last });
    await delay(intervalMs);
  }
}
