import { RuntimeError } from "../errors/runtime-error.ts";

/** Who waits for which container to end. */
export class Exits {
  readonly #waiting = new Map<string, Set<() => void>>();

  /** Wakes everybody who waits for this container. */
  tell(containerId: string): void {
    const waiting = this.#waiting.get(containerId);
    this.#waiting.delete(containerId);
    for (const wake of waiting ?? []) wake();
  }

  /**
   * Waits until the container has ended: true, or false after `timeoutMs`. The caller checks first
   * that it still runs, in the same turn of the event loop.
   * @throws RuntimeError `cancelled` or `deadline-exceeded` when `signal` comes first.
   */
  async wait(containerId: string, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) throw asError(signal);
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const waiting = this.#waiting.get(containerId) ?? new Set();
    this.#waiting.set(containerId, waiting);
    const wake = () => resolve(true);
    const onAbort = () => reject(asError(signal));
    // A day is longer than any grace period; larger numbers would overflow the timer and fire at once.
    const timer = setTimeout(() => resolve(false), Math.min(timeoutMs, 86_400_000));
    waiting.add(wake);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      waiting.delete(wake);
      if (waiting.size === 0 && this.#waiting.get(containerId) === waiting) this.#waiting.delete(containerId);
    }
  }
}

function asError(signal: AbortSignal): unknown {
  if (signal.reason instanceof RuntimeError) return signal.reason;
  return new RuntimeError("cancelled", "the caller went away", { cause: signal.reason });
}
