/** Several logs as one: whole lines, in the order of their times. */
import type { LogEntry } from "./log-file.ts";

/** Longest line that is put together; what is longer is given in pieces. */
const maxLineBytes = 1 << 20;
const lineBreak = 0x0a;

/** Joins the parts of lines, stream by stream: lines of several logs must not run into each other. */
export async function* wholeLines(entries: AsyncIterable<LogEntry>): AsyncGenerator<LogEntry> {
  const begun = new Map<LogEntry["stream"], LogEntry>();
  for await (const entry of entries) {
    const before = begun.get(entry.stream);
    const line = before === undefined ? entry : { ...before, text: Buffer.concat([before.text, entry.text]) };
    if (line.text.at(-1) === lineBreak) {
      begun.delete(entry.stream);
      yield line;
    } else if (line.text.length >= maxLineBytes) {
      begun.delete(entry.stream);
      yield ended(line);
    } else begun.set(entry.stream, line);
  }
  for (const line of begun.values()) yield ended(line);
}

function ended(line: LogEntry): LogEntry {
  return { ...line, text: Buffer.concat([line.text, Buffer.of(lineBreak)]) };
}

/** Takes from each log in turn the line that was written first; one without a time goes with the line before it. */
export async function* byTime<S>(
  logs: readonly { readonly source: S; readonly lines: AsyncGenerator<LogEntry> }[],
): AsyncGenerator<{ readonly source: S; readonly entry: LogEntry }> {
  const heads: { source: S; lines: AsyncGenerator<LogEntry>; entry: LogEntry }[] = [];
  for (const { source, lines } of logs) {
    const { value } = await lines.next();
    if (value !== undefined) heads.push({ source, lines, entry: value });
  }
  for (;;) {
    // Times are of one format and in UTC: their texts are in their order.
    const first = heads.reduce<(typeof heads)[number] | undefined>(
      (best, head) => (best === undefined || head.entry.time < best.entry.time ? head : best),
      undefined,
    );
    if (first === undefined) return;
    yield { source: first.source, entry: first.entry };
    const { value } = await first.lines.next();
    if (value === undefined) heads.splice(heads.indexOf(first), 1);
    else first.entry = value;
  }
}
