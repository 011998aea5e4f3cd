/** How often and how many: small for hack/test, full for hack/soak (KOBAKO_SOAK=1). */
import { slowness } from "./slowness.ts";

export const soak = process.env.KOBAKO_SOAK === "1";

/** `small` in hack/test, `full` in hack/soak. */
export function scale(small: number, full: number): number {
  return soak ? full : small;
}

/** How often a thing is done again: as `scale`, but a quarter of `small` on a machine that is many times as slow. */
export function rounds(small: number, full: number): number {
  return soak ? full : Math.ceil(slowness < 5 ? small : small / 4);
}

/**
 * A repeatable source of chance. The seed is KOBAKO_SEED or the time; a test prints it with its failure,
 * so that the same walk can be had again.
 */
export class Dice {
  readonly seed: number;
  #state: number;

  constructor(seed = Number(process.env.KOBAKO_SEED ?? Date.now() % 1_000_000)) {
    this.seed = seed;
    this.#state = seed >>> 0;
  }

  /** In [0, 1). mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.next() * items.length)];
    if (item === undefined) throw new Error("pick from an empty list");
    return item;
  }
}
