/** Work that several callers wait for: done once, given up when the last of them gives up. */
export class Shared<T> {
  readonly #controller = new AbortController();
  readonly #listeners = new Set<(n: number) => void>();
  #waiting = 0;
  /** The end of the work, whoever still waits for it. */
  readonly settled: Promise<T>;

  /** @param work starts at once; its signal aborts when nobody waits any more. */
  constructor(work: (signal: AbortSignal, report: (n: number) => void) => Promise<T>) {
    this.settled = work(this.#controller.signal, (n) => {
      for (const listener of this.#listeners) listener(n);
    });
    this.settled.catch(() => {}); // every caller has its own promise
  }

  /**
   * Waits for the work. @throws what the work throws; after `signal` aborts, its reason: at once while others wait
   * on, and as the last one when the work has ended, so that nothing is left behind it.
   */
  async join(signal: AbortSignal, onReport?: (n: number) => void): Promise<T> {
    this.#waiting++;
    if (onReport) this.#listeners.add(onReport);
    const { promise, reject } = Promise.withResolvers<never>();
    const leave = () => {
      if (this.#waiting > 1) reject(signal.reason);
      else this.cancel(signal.reason);
    };
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
    try {
      return await Promise.race([this.settled, promise]);
    } finally {
      signal.removeEventListener("abort", leave);
      if (onReport) this.#listeners.delete(onReport);
      this.#waiting--;
    }
  }

  cancel(reason: unknown): void {
    this.#controller.abort(reason);
  }
}
