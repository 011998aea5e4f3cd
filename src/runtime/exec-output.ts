/** An exec run to its end, its output in memory up to a cap: what ExecSync needs. */
import { errorKind, RuntimeError } from "../errors/runtime-error.ts";
import { youngCollection } from "../process/young-collection.ts";
import type { CollectedExec, OutputChunk, ProcessEnd, ProcessStreams } from "./handler.ts";

const nothing = Buffer.alloc(0);
/** From this size on a piece of output is kept as it came. */
const largeBytes = 4 << 10;
const maxBlockBytes = 256 << 10;

/** What is kept of a command's output: at most `capBytes` of both streams together. */
export class OutputCollector {
  readonly #kept = { stdout: new Kept(), stderr: new Kept() };
  #room: number;
  #droppedBytes = 0;

  constructor(capBytes: number) {
    this.#room = capBytes;
  }

  /** Whether nothing more is kept. */
  get full(): boolean {
    return this.#room === 0;
  }

  get droppedBytes(): number {
    return this.#droppedBytes;
  }

  /** Takes the next piece; what is kept of it is not copied. */
  add(stream: OutputChunk["stream"], data: Buffer): void {
    youngCollection.flowed(data.length);
    const taken = Math.min(this.#room, data.length);
    if (taken > 0) this.#kept[stream].add(data.subarray(0, taken));
    this.#room -= taken;
    this.#droppedBytes += data.length - taken;
  }

  /** Of a command that was killed for its time there is no output: ten that wrote for ever would need as much again. */
  collected(end: ProcessEnd): CollectedExec {
    if (end.timedOut) return { stdout: nothing, stderr: nothing, droppedBytes: 0, end };
    return {
      stdout: this.#kept.stdout.bytes(),
      stderr: this.#kept.stderr.bytes(),
      droppedBytes: this.#droppedBytes,
      end,
    };
  }
}

/**
 * Reads `streams` to the end and closes them. Output beyond `capBytes` (both streams together) is
 * read and dropped, so that the process goes on as it would. Of one that was killed for its time there is none.
 * @throws RuntimeError `cancelled` or `deadline-exceeded` by `signal` (the exec is killed), `unavailable`.
 */
export async function collectExec(
  streams: ProcessStreams,
  capBytes: number,
  signal: AbortSignal,
): Promise<CollectedExec> {
  const collector = new OutputCollector(capBytes);
  const onAbort = () => streams.close();
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    for await (const { stream, data } of streams.output) {
      collector.add(stream, data);
      if (collector.droppedBytes > 0) streams.discardOutput?.();
    }
    return collector.collected(await streams.ended);
  } catch (error) {
    if (!signal.aborted) throw error;
    const kind = errorKind(signal.reason) === "deadline-exceeded" ? "deadline-exceeded" : "cancelled";
    throw new RuntimeError(kind, "exec was given up", { cause: signal.reason });
  } finally {
    signal.removeEventListener("abort", onAbort);
    streams.close();
  }
}

/**
 * Says in the last line of stderr that output was dropped, where it was: the line takes the place of the end of the
 * longer stream, so that both together are no longer than before. Neither ends within a character of UTF-8.
 */
export function sayCut(result: CollectedExec): CollectedExec {
  if (result.droppedBytes === 0) return result;
  const limit = result.stdout.length + result.stderr.length;
  // With a line's end before it, in case that what is kept of stderr has none.
  const notice = Buffer.from(`\nkobako: output cut at ${limit} bytes\n`);
  const shorten = (bytes: Buffer, by: number) =>
    wholeCharacters(bytes.subarray(0, Math.max(0, bytes.length - by)));
  const fromStdout = result.stdout.length >= result.stderr.length;
  const stdout = shorten(result.stdout, fromStdout ? notice.length : 0);
  const stderr = shorten(result.stderr, fromStdout ? 0 : notice.length);
  const atLineStart = stderr.length === 0 || stderr.at(-1) === 0x0a;
  return { ...result, stdout, stderr: Buffer.concat([stderr, atLineStart ? notice.subarray(1) : notice]) };
}

/** `bytes` without the beginning of a UTF-8 sequence at its end; what is no UTF-8 stays as it is. */
function wholeCharacters(bytes: Buffer): Buffer {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return size > back ? bytes.subarray(0, bytes.length - back) : bytes;
  }
  return bytes;
}

/**
 * Bytes that come in pieces of any size: a process may write them one by one. Large pieces are kept as they are, small
 * ones are copied together, and nothing is copied again while it grows: ten commands that never stop writing hold
 * what they may hold, and not twice that.
 */
class Kept {
  readonly #pieces: Buffer[] = [];
  /** What small pieces are copied into; the last of the pieces is the part of it that is used. */
  #block: Buffer | undefined;
  #used = 0;
  #length = 0;

  add(data: Buffer): void {
    this.#length += data.length;
    // The first one is often all there is.
    if (this.#pieces.length === 0 || data.length >= largeBytes) {
      this.#pieces.push(data);
      this.#block = undefined;
      return;
    }
    if (this.#block === undefined || this.#block.length - this.#used < data.length) {
      this.#block = Buffer.allocUnsafeSlow(Math.max(largeBytes, Math.min(this.#length, maxBlockBytes)));
      this.#used = 0;
      this.#pieces.push(this.#block.subarray(0, 0));
    }
    data.copy(this.#block, this.#used);
    this.#used += data.length;
    this.#pieces[this.#pieces.length - 1] = this.#block.subarray(0, this.#used);
  }

  bytes(): Buffer {
    const [first = nothing] = this.#pieces;
    return this.#pieces.length > 1 ? Buffer.concat(this.#pieces, this.#length) : first;
  }
}
