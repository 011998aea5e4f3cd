/**
 * Gives memory back when work is over: one full collection after a quiet time, if enough was left behind since the last one.
 * What a burst of pods leaves in the heap is otherwise kept until the heap grows again, which on a quiet node is never.
 * Measured in docs/decisions/0001-node-flags.md. Without work there is no timer and no processor time.
 */
import { getHeapStatistics } from "node:v8";

/** After the last call that changed something. A collection takes 30 to 40 ms, in which nobody is served. */
const quietMs = 1_500;
/** Calls that changed something, below which nobody looks. */
const minCalls = 10;
/** Of the heap, below which a collection is not worth its time: a dozen pods leave that, or some seventy execs. */
const minGrowthBytes = 1 << 20;

export interface Heap {
  usedBytes(): number;
  collect(): void;
}

export class IdleCollection {
  readonly #heap: Heap;
  /** After the last collection. The first one takes what the start has left. */
  #keptBytes = 0;
  #calls = 0;
  #lastMs = 0;
  #waiting = false;

  constructor(heap: Heap = v8Heap) {
    this.#heap = heap;
  }

  /** To be told of each call that changed something, at its end. */
  worked(): void {
    this.#calls++;
    this.#lastMs = performance.now();
    if (!this.#waiting && this.#calls >= minCalls) this.#wait(quietMs);
  }

  #wait(ms: number): void {
    this.#waiting = true;
    setTimeout(() => {
      this.#waiting = false;
      const left = this.#lastMs + quietMs - performance.now();
      if (left > 1) return this.#wait(left);
      this.#calls = 0;
      if (this.#heap.usedBytes() < this.#keptBytes + minGrowthBytes) return;
      this.#heap.collect();
      this.#keptBytes = this.#heap.usedBytes();
    }, ms).unref();
  }
}

type Collect = (options: { type: "major"; execution: "sync"; flavor: "last-resort" }) => void;

const v8Heap: Heap = {
  usedBytes: () => getHeapStatistics().used_heap_size,
  /** There when the process was started with --expose-gc (the launcher does). */
  collect() {
    const { gc } = globalThis as { gc?: Collect };
    gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
  },
};
