/** An exec run to its end, its output in memory up to a cap: what ExecSync needs. */
import { errorKind, RuntimeError } from "../errors/runtime-error.ts";
import type { ProcessEnd, ProcessStreams } from "./handler.ts";

export interface CollectedExec {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** Output beyond the cap, that was read and is in neither; 0 when all is there. */
  readonly droppedBytes: number;
  readonly end: ProcessEnd;
}

/**
 * Reads `streams` to the end and closes them. Output beyond `capBytes` (both streams together) is
 * read and dropped, so that the process goes on as it would.
 * @throws RuntimeError `cancelled` or `deadline-exceeded` by `signal` (the exec is killed), `unavailable`.
 */
export async function collectExec(
  streams: ProcessStreams,
  capBytes: number,
  signal: AbortSignal,
): Promise<CollectedExec> {
  const kept = { stdout: new Kept(capBytes), stderr: new Kept(capBytes) };
  let room = capBytes;
  let droppedBytes = 0;
  const onAbort = () => streams.close();
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    for await (const { stream, data } of streams.output) {
      const taken = Math.min(room, data.length);
      if (taken > 0) kept[stream].add(data.subarray(0, taken));
      room -= taken;
      droppedBytes += data.length - taken;
    }
    const end = await streams.ended;
    return { stdout: kept.stdout.bytes(), stderr: kept.stderr.bytes(), droppedBytes, end };
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

/** Bytes in one piece, whatever the pieces they came in: a process may write them one by one. */
class Kept {
  readonly #capBytes: number;
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;

  constructor(capBytes: number) {
    this.#capBytes = capBytes;
  }

  add(data: Buffer): void {
    const length = this.#length + data.length;
    if (this.#length === 0) {
      this.#buffer = data;
    } else {
      if (length > this.#buffer.length) {
        const larger = Buffer.allocUnsafe(
          Math.max(length, Math.min(2 * this.#buffer.length, this.#capBytes)),
        );
        this.#buffer.copy(larger, 0, 0, this.#length);
        this.#buffer = larger;
      }
      data.copy(this.#buffer, this.#length);
    }
    this.#length = length;
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}
