/** When to ask a registry again. Pure but for the wait itself. */
import { setTimeout as sleep } from "node:timers/promises";

/** The clock of a client; tests give small numbers. Milliseconds unless the name says bytes. */
export interface RegistryTiming {
  /** To a connection, TLS included. */
  readonly connectMs: number;
  /** Of waiting for the other side, within which `minProgressBytes` must come. Waiting for our own disk does not count. */
  readonly noProgressMs: number;
  readonly minProgressBytes: number;
  /** First pause, doubled each time. */
  readonly backoffMs: number;
  readonly backoffCapMs: number;
  /** Longest pause that a Retry-After header is granted. */
  readonly retryAfterCapMs: number;
  /** Tries of one request, and of a blob without news. */
  readonly attempts: number;
  /** Tries while nothing answers at all. */
  readonly connectAttempts: number;
}

export const defaultTiming: RegistryTiming = {
  connectMs: 15_000,
  noProgressMs: 60_000,
  minProgressBytes: 4096,
  backoffMs: 250,
  backoffCapMs: 10_000,
  retryAfterCapMs: 30_000,
  attempts: 5,
  connectAttempts: 2,
};

/**
 * The pause before try `failures` + 1, with a jitter of half of it so that nodes do not march in step.
 * @param random in [0, 1).
 */
export function backoffMs(timing: RegistryTiming, failures: number, random = Math.random()): number {
  const full = Math.min(timing.backoffCapMs, timing.backoffMs * 2 ** Math.min(failures - 1, 20));
  return Math.round(full / 2 + (full / 2) * random);
}

/**
 * A Retry-After header in milliseconds: seconds or an HTTP date; undefined when it is neither.
 * Source: RFC 9110 10.2.3.
 */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,15}$/.test(header)) return Number(header) * 1000;
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} [\d:]{8} GMT$/.test(header)) return undefined;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

/** @throws the signal's reason. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
