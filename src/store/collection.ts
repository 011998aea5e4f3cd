import { RuntimeError } from "../errors/runtime-error.ts";
import type { Store, Table } from "./store.ts";

/**
 * The values of one table, in memory for every reader and on disk for the next daemon.
 * Values are immutable: a reader keeps what it got; a writer puts a new one.
 */
export class Collection<T extends { readonly id: string }> {
  readonly #values = new Map<string, T>();
  readonly #store: Store;
  readonly #table: Table<T>;

  constructor(store: Store, table: Table<T>) {
    this.#store = store;
    this.#table = table;
  }

  /** Reads the table. Rows that can't be read are told to `bad` and stay on disk. */
  load(bad: (id: string, error: unknown) => void): void {
    for (const value of this.#table.all(bad)) this.#values.set(value.id, value);
  }

  get size(): number {
    return this.#values.size;
  }

  values(): MapIterator<T> {
    return this.#values.values();
  }

  /** The value with exactly this id. */
  find(id: string): T | undefined {
    return this.#values.get(id);
  }

  /**
   * The value whose id is, or alone begins with, `prefix`, as people type it.
   * @throws RuntimeError `invalid-argument` when several begin with it.
   */
  findByPrefix(prefix: string): T | undefined {
    const exact = this.#values.get(prefix);
    if (exact !== undefined || prefix.length >= 64 || prefix === "") return exact;
    let found: T | undefined;
    for (const [id, value] of this.#values) {
      if (!id.startsWith(prefix)) continue;
      if (found !== undefined) {
        throw new RuntimeError("invalid-argument", `id "${prefix}" is ambiguous: give more of it`);
      }
      found = value;
    }
    return found;
  }

  /** Writes to disk, then to memory. @throws RuntimeError `resource-exhausted` when the disk is full. */
  put(value: T): T {
    this.#store.transaction(() => this.#table.put(value));
    this.#values.set(value.id, value);
    return value;
  }

  /**
   * Puts in memory even when the disk refuses: what the kernel has done is true, whatever can be
   * written. The next `put` of this value, or the reconciliation at start, catches up.
   */
  putFact(value: T, report: (error: unknown) => void): T {
    try {
      this.put(value);
    } catch (error) {
      this.#values.set(value.id, value);
      report(error);
    }
    return value;
  }

  remove(id: string): void {
    this.#store.transaction(() => this.#table.remove(id));
    this.#values.delete(id);
  }
}
