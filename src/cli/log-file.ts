/**
 * Reads a container's log file in the CRI's format, and follows it over rotation.
 *
 * Enters: a path. Leaves: entries in order. A line of the format is `TIME STREAM TAG TEXT`; tag P means that the
 * text goes on in the next entry of that stream. What is not of the format is given as it is: better shown than lost.
 */
import { type FSWatcher, watch } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";

export interface LogEntry {
  /** As written, RFC 3339 with nanoseconds; "" for a line that is not of the format. */
  readonly time: string;
  readonly stream: "stdout" | "stderr";
  /** With its line break, unless the rest of the line follows. */
  readonly text: Buffer;
}

export interface LogOptions {
  /** Begin so many whole lines before the end. */
  readonly tailLines?: number | undefined;
  /** Leave out what is older, milliseconds since 1970. */
  readonly sinceMs?: number | undefined;
  /** Go on at the end of the file until `ended` says so. Asked now and then. */
  readonly follow?: { readonly ended: () => Promise<boolean> } | undefined;
}

const blockBytes = 64 << 10;
/** Longer than any line that a runtime writes (16 KiB of text): what is longer is given in pieces. */
const maxLineBytes = 1 << 20;
/** How long a change can stay unseen where the filesystem gives no notice, and how often `ended` is asked. */
const lookAgainMs = 1_000;
const lineBreak = 0x0a;

/** @throws the error of open(2) when there is no file */
export async function* readLog(path: string, o: LogOptions, signal: AbortSignal): AsyncGenerator<LogEntry> {
  // Watched before the first read: what is written in between is seen too.
  using watcher = o.follow ? new Watcher(path) : undefined;
  let file = await open(path, "r");
  try {
    let position = o.tailLines === undefined ? 0 : await tailOffset(file, o.tailLines);
    let rest: Buffer = Buffer.alloc(0);
    let lastLook = false;
    for (;;) {
      for (;;) {
        const block = Buffer.allocUnsafe(blockBytes);
        const { bytesRead } = await file.read(block, 0, blockBytes, position);
        if (bytesRead === 0) break;
        position += bytesRead;
        const lines = new Lines(rest, block.subarray(0, bytesRead));
        for (const line of lines) {
          const entry = parseLine(line);
          if (isWanted(entry, o.sinceMs)) yield entry;
        }
        rest = lines.rest;
        signal.throwIfAborted();
      }
      if (!o.follow || !watcher) break;
      const next = await replacement(file, path, position);
      if (next) {
        await file.close();
        file = next;
        position = 0;
        continue;
      }
      if (lastLook) break;
      // Asked before the last read: what was written before the end is read after it.
      lastLook = await o.follow.ended();
      if (!lastLook) await watcher.change(lookAgainMs, signal);
    }
    // A writer that was killed leaves a line without end.
    if (rest.length > 0) yield parseLine(rest);
  } finally {
    await file.close();
  }
}

function isWanted(entry: LogEntry, sinceMs: number | undefined): boolean {
  return sinceMs === undefined || entry.time === "" || Date.parse(entry.time) >= sinceMs;
}

/** The file that now has the name, when it is another one or was emptied and begins anew. */
async function replacement(
  file: FileHandle,
  path: string,
  position: number,
): Promise<FileHandle | undefined> {
  const [ours, now] = await Promise.all([file.stat(), stat(path).catch(() => undefined)]);
  // Moved away and not made anew yet.
  if (!now) return undefined;
  if (now.ino === ours.ino && now.dev === ours.dev && now.size >= position) return undefined;
  // The last lines of the old file first.
  if (ours.size > position && now.ino !== ours.ino) return undefined;
  return await open(path, "r").catch(() => undefined);
}

/** Splits into lines, each with its break; what has none is in `rest` afterwards. */
class Lines {
  rest: Buffer;

  constructor(before: Buffer, block: Buffer) {
    this.rest = before.length > 0 ? Buffer.concat([before, block]) : block;
  }

  *[Symbol.iterator](): Generator<Buffer> {
    for (;;) {
      const end = this.rest.indexOf(lineBreak);
      if (end < 0 && this.rest.length <= maxLineBytes) return;
      const cut = end < 0 ? this.rest.length : end + 1;
      const line = this.rest.subarray(0, cut);
      this.rest = this.rest.subarray(cut);
      yield line;
    }
  }
}

const head = /^(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)) (stdout|stderr) ([FP])(?::[^ ]*)? /;

/** One line, with its break when it has one. */
export function parseLine(line: Buffer): LogEntry {
  const match = head.exec(line.toString("latin1", 0, 96));
  if (!match) return { time: "", stream: "stdout", text: line };
  const [start = "", time = "", stream, tag] = match;
  const isPartial = tag === "P" && line.at(-1) === lineBreak;
  return {
    time,
    stream: stream === "stderr" ? "stderr" : "stdout",
    text: line.subarray(start.length, isPartial ? -1 : undefined),
  };
}

/** Where the last `lines` whole lines begin; parts of one line count together. */
async function tailOffset(file: FileHandle, lines: number): Promise<number> {
  const { size } = await file.stat();
  let wanted = lines;
  let end = size;
  // The beginning of the line that `end` cuts in two, to tell its tag by.
  let carried: Buffer = Buffer.alloc(0);
  while (end > 0) {
    const start = Math.max(0, end - blockBytes);
    const block = Buffer.allocUnsafe(end - start);
    await file.read(block, 0, block.length, start);
    const bytes = carried.length > 0 ? Buffer.concat([block, carried]) : block;
    let lineEnd = bytes.length;
    for (;;) {
      const lineBegin = lineEnd <= 0 ? -1 : bytes.lastIndexOf(lineBreak, lineEnd - 2) + 1;
      // Not known yet where it begins: the block before tells.
      if (lineBegin <= 0) break;
      const isPart = head.exec(bytes.toString("latin1", lineBegin, lineBegin + 96))?.[3] === "P";
      if (!isPart && wanted-- === 0) return start + lineEnd;
      lineEnd = lineBegin;
    }
    carried = bytes.subarray(0, Math.min(lineEnd, maxLineBytes));
    end = start;
  }
  const isPart = head.exec(carried.toString("latin1", 0, 96))?.[3] === "P";
  return wanted === 0 && carried.length > 0 && !isPart ? carried.length : 0;
}

/** Tells when a file or its name may have changed. */
class Watcher implements Disposable {
  readonly #watcher: FSWatcher | undefined;
  #changed = true;
  #wake = () => {};

  constructor(path: string) {
    try {
      // The folder: the name is what rotation changes.
      this.#watcher = watch(dirname(path), (_, name) => {
        if (name !== null && name !== basename(path)) return;
        this.#changed = true;
        this.#wake();
      });
      this.#watcher.on("error", () => {});
    } catch {
      // No watches left on this node, or a filesystem without: the clock alone then.
      this.#watcher = undefined;
    }
  }

  /** Resolves at a change since the last call, or after `ms`. */
  async change(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#changed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        const done = () => {
          clearTimeout(timer);
          resolve();
        };
        this.#wake = done;
        signal.addEventListener("abort", done, { once: true });
      });
    }
    this.#changed = false;
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
  }
}
