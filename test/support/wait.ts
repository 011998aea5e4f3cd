/** Waiting for a condition that has no event of its own, with a deadline. */
import { setTimeout as delay } from "node:timers/promises";

/** hack/guest emulates its processor: what waits here for something to happen waits longer there. */
export const slowness = process.env.KOBAKO_GUEST === "1" ? 10 : 1;

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
  const end = performance.now() + timeoutMs * slowness;
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
    if (performance.now() >= end) throw new Error(`${what}: not within ${timeoutMs} ms`, { cause: last });
    await delay(intervalMs);
  }
}
