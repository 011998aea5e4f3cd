/**
 * Joins callers who ask for the same work: it runs once, each caller may leave, and the last to leave ends it.
 */
import { setMaxListeners } from "node:events";
import type { OnProgress, PullProgress } from "./progress.ts";

interface Entry<T> {
  readonly promise: Promise<T>;
  readonly controller: AbortController;
  readonly listeners: Set<OnProgress>;
  /** The last report of each layer, told to who joins late. */
  readonly reports: Map<string, PullProgress>;
  callers: number;
}

export class Joins<T> {
  readonly #underWay = new Map<string, Entry<T>>();

  /**
   * @param key of the work: equal work, equal key.
   * @param signal of this caller alone; when it aborts, this call throws its reason at once.
   * @param work gets a signal of its own, aborted when no caller is left.
   */
  async join(
    key: string,
    onProgress: OnProgress | undefined,
    work: (report: OnProgress, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    signal.throwIfAborted();
    const entry = this.#underWay.get(key) ?? this.#begin(key, work);
    entry.callers++;
    if (onProgress) {
      for (const report of entry.reports.values()) onProgress(report);
      entry.listeners.add(onProgress);
    }
    const left = Promise.withResolvers<never>();
    const leave = () => left.reject(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    try {
      return await Promise.race([entry.promise, left.promise]);
    } finally {
      signal.removeEventListener("abort", leave);
      if (onProgress) entry.listeners.delete(onProgress);
      if (--entry.callers === 0) this.#end(key, entry, signal);
    }
  }

  #begin(key: string, work: (report: OnProgress, signal: AbortSignal) => Promise<T>): Entry<T> {
    const controller = new AbortController();
    setMaxListeners(0, controller.signal); // one per layer and connection
    const listeners = new Set<OnProgress>();
    const reports = new Map<string, PullProgress>();
    const report: OnProgress = (progress) => {
      reports.set(progress.digest, progress);
      for (const listener of listeners) listener(progress);
    };
    const promise = work(report, controller.signal);
    promise.catch(() => undefined); // the last caller may have left
    const entry: Entry<T> = { promise, controller, listeners, reports, callers: 0 };
    this.#underWay.set(key, entry);
    return entry;
  }

  #end(key: string, entry: Entry<T>, signal: AbortSignal): void {
    // Taken out before the abort: who comes now starts anew and does not join what is being ended.
    if (this.#underWay.get(key) === entry) this.#underWay.delete(key);
    entry.controller.abort(signal.reason);
  }
}
