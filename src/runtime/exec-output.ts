/** An exec run to its end, its output in memory up to a cap: what ExecSync needs. */
import { errorKind, RuntimeError } from "../errors/runtime-error.ts";
import type { ProcessEnd, ProcessStreams } from "./handler.ts";

export interface CollectedExec {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
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
  const kept = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  let room = capBytes;
  const onAbort = () => streams.close();
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    for await (const { stream, data } of streams.output) {
      if (room > 0) kept[stream].push(data.length > room ? data.subarray(0, room) : data);
      room = Math.max(0, room - data.length);
    }
    const end = await streams.ended;
    return { stdout: Buffer.concat(kept.stdout), stderr: Buffer.concat(kept.stderr), end };
  } catch (error) {
    if (!signal.aborted) throw error;
    const kind = errorKind(signal.reason) === "deadline-exceeded" ? "deadline-exceeded" : "cancelled";
    throw new RuntimeError(kind, "exec was given up", { cause: signal.reason });
  } finally {
    signal.removeEventListener("abort", onAbort);
    streams.close();
  }
}
