/**
 * What containers wrote: scanned when somebody asks, never while they wait, and the more a scan costs the rarer.
 * One helper process at a time scans all folders that are due.
 */
import type { Log } from "../log/log.ts";
import { answerNumber, runHelper } from "../process/file-helper.ts";

export interface Usage {
  readonly usedBytes: number;
  readonly inodesUsed: number;
}

interface Known {
  usage: Usage;
  /** Monotonic; when the next scan may start. */
  dueAtMs: number;
}

/** The least time between two scans of one folder. */
const minAgeMs = 10_000;
/** Scanning takes at most this share of the time. */
const maxShare = 1 / 50;
const scanLimitMs = 60_000;
/** Of folders in one run, so that its time is a measure of each. */
const batchSize = 16;
/** A new upper folder: one inode, one block. */
const fresh: Usage = { usedBytes: 4096, inodesUsed: 1 };

export class UsageScans {
  readonly #binary: string;
  readonly #log: Log;
  readonly #known = new Map<string, Known>();
  readonly #wanted = new Set<string>();
  readonly #closing = new AbortController();
  #scanning: Promise<void> | undefined;

  constructor(o: { unpackBinary: string; log: Log }) {
    this.#binary = o.unpackBinary;
    this.#log = o.log;
  }

  /** A folder that was just made. */
  seed(path: string): void {
    this.#known.set(path, { usage: fresh, dueAtMs: 0 });
  }

  forget(path: string): void {
    this.#known.delete(path);
    this.#wanted.delete(path);
  }

  /** The value of the last scan, at once; a folder never scanned (after a restart) is waited for. */
  async get(path: string): Promise<Usage> {
    const known = this.#known.get(path);
    if (!known || known.dueAtMs <= performance.now()) {
      this.#wanted.add(path);
      this.#scanning ??= this.#scanAll().finally(() => {
        this.#scanning = undefined;
      });
    }
    if (!known) while (this.#wanted.has(path) && this.#scanning) await this.#scanning;
    return this.#known.get(path)?.usage ?? fresh;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#scanning;
  }

  async #scanAll(): Promise<void> {
    await Promise.resolve(); // so that callers of one tick come into one run
    while (this.#wanted.size > 0 && !this.#closing.signal.aborted) {
      const paths = [...this.#wanted].slice(0, batchSize);
      const startedMs = performance.now();
      const usages = (await this.#scan(paths)) ?? (await this.#scanOneByOne(paths));
      const eachMs = (performance.now() - startedMs) / paths.length;
      const dueAtMs = performance.now() + Math.max(minAgeMs, eachMs / maxShare);
      for (const [i, path] of paths.entries()) {
        if (!this.#wanted.delete(path)) continue; // forgotten meanwhile
        this.#known.set(path, { usage: usages[i] ?? this.#known.get(path)?.usage ?? fresh, dueAtMs });
      }
    }
  }

  /** One folder that can't be scanned, or is gone, must not hide the others. */
  async #scanOneByOne(paths: readonly string[]): Promise<(Usage | undefined)[]> {
    const usages: (Usage | undefined)[] = [];
    for (const path of paths) usages.push((await this.#scan([path]))?.[0]);
    return usages;
  }

  /** undefined when it failed: the old values stay. */
  async #scan(paths: readonly string[]): Promise<Usage[] | undefined> {
    try {
      const answers = await runHelper(
        this.#binary,
        ["--usage", ...paths],
        { timeoutMs: scanLimitMs },
        this.#closing.signal,
      );
      return answers.map((answer) => ({
        usedBytes: answerNumber(answer, "used_bytes"),
        inodesUsed: answerNumber(answer, "inodes"),
      }));
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#log.debug({ error, paths }, "scan of writable layers failed");
      return undefined;
    }
  }
}
