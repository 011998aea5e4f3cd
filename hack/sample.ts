/** Numbers from repeated measurements. */

export interface Summary {
  readonly n: number;
  readonly min: number;
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
}

/** Nearest-rank percentiles; of nothing, all are NaN. */
export function summary(samples: readonly number[]): Summary {
  const sorted = samples.toSorted((a, b) => a - b);
  const rank = (p: number) => sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] ?? Number.NaN;
  return {
    n: sorted.length,
    min: sorted[0] ?? Number.NaN,
    p50: rank(0.5),
    p95: rank(0.95),
    max: sorted.at(-1) ?? Number.NaN,
  };
}

/** Collects samples by name, in milliseconds. */
export class Samples {
  readonly #byName = new Map<string, number[]>();

  /** Times `action` under `name`; a failure is not a sample. */
  async time<T>(name: string, action: () => Promise<T>): Promise<T> {
    const begun = performance.now();
    const value = await action();
    this.add(name, performance.now() - begun);
    return value;
  }

  add(name: string, value: number): void {
    const list = this.#byName.get(name);
    if (list) list.push(value);
    else this.#byName.set(name, [value]);
  }

  summaries(): Record<string, Summary> {
    return Object.fromEntries([...this.#byName].map(([name, values]) => [name, summary(values)]));
  }
}
