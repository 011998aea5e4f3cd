/**
 * Gives memory back when work is over: one full collection after a quiet time, if enough was done since the last one.
 * What a burst of pods leaves in the heap is otherwise kept until the heap grows again, which on a quiet node is never.
 * Measured in docs/decisions/0001-node-flags.md. Without work there is no timer and no processor time.
 */

/** After the last call that changed something. A collection takes 30 to 40 ms, in which nobody is served. */
const quietMs = 1_500;
/** Calls that changed something, below which a collection is not worth its time: they leave half a MiB, also forty execs. */
const minCalls = 40;
/** Below which the first one is not: it takes what the start has left, too. */
const firstCalls = 10;

type Collect = (options: { type: "major"; execution: "sync"; flavor: "last-resort" }) => void;

export class IdleCollection {
  readonly #collect: () => void;
  #calls = 0;
  #wantedCalls = firstCalls;
  #lastMs = 0;
  #waiting = false;

  /** Default: V8's, when the process was started with --expose-gc (the launcher does). */
  constructor(collect: () => void = lastResort) {
    this.#collect = collect;
  }

  /** To be told of each call that changed something, at its end. */
  worked(): void {
    this.#calls++;
    this.#lastMs = performance.now();
    if (!this.#waiting && this.#calls >= this.#wantedCalls) this.#wait(quietMs);
  }

  #wait(ms: number): void {
    this.#waiting = true;
    setTimeout(() => {
      this.#waiting = false;
      const left = this.#lastMs + quietMs - performance.now();
      if (left > 1) return this.#wait(left);
      this.#calls = 0;
      this.#wantedCalls = minCalls;
      this.#collect();
    }, ms).unref();
  }
}

function lastResort(): void {
  const { gc } = globalThis as { gc?: Collect };
  gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
}
