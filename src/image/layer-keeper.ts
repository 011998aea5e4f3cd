/**
 * Which layers may go. A layer is kept while an image has it, while a pull holds it, and for a while after nobody
 * does: the pull that failed on a bad link comes back, and what it had is not fetched twice.
 */
import type { LayerStore } from "../content/layer-store.ts";

export class LayerKeeper {
  readonly #layers: Pick<LayerStore, "list" | "remove">;
  readonly #referenced: () => Iterable<string>;
  readonly #graceMs: number;
  readonly #held = new Map<string, number>();
  /** Since when a layer has been seen without an owner; monotonic. */
  readonly #orphanSinceMs = new Map<string, number>();

  /** @param o.referenced the keys of the layers of all images. */
  constructor(o: {
    layers: Pick<LayerStore, "list" | "remove">;
    referenced: () => Iterable<string>;
    graceMs: number;
  }) {
    this.#layers = o.layers;
    this.#referenced = o.referenced;
    this.#graceMs = o.graceMs;
  }

  /** Keeps layers from being collected until the result is disposed of. */
  hold(): Disposable & { readonly keys: ReadonlySet<string>; add(keys: readonly string[]): void } {
    const keys = new Set<string>();
    return {
      keys,
      add: (more) => {
        for (const key of more) {
          if (keys.has(key)) continue;
          keys.add(key);
          this.#held.set(key, (this.#held.get(key) ?? 0) + 1);
        }
      },
      [Symbol.dispose]: () => {
        for (const key of keys) {
          const count = (this.#held.get(key) ?? 1) - 1;
          if (count === 0) this.#held.delete(key);
          else this.#held.set(key, count);
        }
        keys.clear();
      },
    };
  }

  /**
   * Removes layers that nobody has: those in `now` at once, others when their time is over.
   * @returns how many milliseconds until the next orphan is due; undefined when there is none.
   */
  async collect(now: ReadonlySet<string>): Promise<number | undefined> {
    const nowMs = performance.now();
    const due: string[] = [];
    let nextMs: number | undefined;
    const orphans = this.#orphans();
    for (const key of this.#orphanSinceMs.keys()) if (!orphans.has(key)) this.#orphanSinceMs.delete(key);
    for (const key of orphans) {
      const since = this.#orphanSinceMs.get(key) ?? nowMs;
      const leftMs = since + this.#graceMs - nowMs;
      if (leftMs <= 0 || now.has(key)) {
        this.#orphanSinceMs.delete(key);
        due.push(key);
      } else {
        this.#orphanSinceMs.set(key, since);
        nextMs = Math.min(nextMs ?? leftMs, leftMs);
      }
    }
    if (due.length > 0) await this.#layers.remove(due);
    return nextMs;
  }

  #orphans(): ReadonlySet<string> {
    const orphans = new Set(this.#layers.list().map(({ key }) => key));
    for (const key of this.#referenced()) orphans.delete(key);
    for (const key of this.#held.keys()) orphans.delete(key);
    return orphans;
  }
}
