import { describe, expect, it } from "vitest";
import type { LogEntry } from "./log-file.ts";
import { byTime, wholeLines } from "./log-merge.ts";

const entry = (time: string, text: string, stream: LogEntry["stream"] = "stdout"): LogEntry => ({
  time,
  stream,
  text: Buffer.from(text),
});

async function* from(...entries: LogEntry[]): AsyncGenerator<LogEntry> {
  yield* entries;
}

async function texts(entries: AsyncIterable<LogEntry>): Promise<string[]> {
  const all: string[] = [];
  for await (const { text } of entries) all.push(text.toString());
  return all;
}

describe("several logs", () => {
  it("are made of whole lines, whatever comes between their parts", async () => {
    const lines = wholeLines(
      from(
        entry("1", "a"),
        entry("1", "E", "stderr"),
        entry("2", "b\n"),
        entry("3", "F\n", "stderr"),
        entry("4", "end"),
      ),
    );
    expect(await texts(lines)).toEqual(["ab\n", "EF\n", "end\n"]);
  });

  it("give a line without end in pieces", async () => {
    const piece = "x".repeat(1 << 19);
    const lines = wholeLines(from(entry("1", piece), entry("2", piece), entry("3", "y\n")));
    expect((await texts(lines)).map((text) => text.length)).toEqual([(1 << 20) + 1, 2]);
  });

  it("are one in the order of their times; a line without a time stays behind its neighbour", async () => {
    const merged: string[] = [];
    const logs = [
      {
        source: "a",
        lines: from(
          entry("2026-01-01T00:00:01.000000000Z", "1"),
          entry("", "torn"),
          entry("2026-01-01T00:00:04.000000000Z", "4"),
        ),
      },
      {
        source: "b",
        lines: from(
          entry("2026-01-01T00:00:02.000000000Z", "2"),
          entry("2026-01-01T00:00:03.000000000Z", "3"),
        ),
      },
      { source: "c", lines: from() },
    ];
    for await (const { source, entry: one } of byTime(logs)) merged.push(source + one.text.toString());
    expect(merged).toEqual(["a1", "atorn", "b2", "b3", "a4"]);
  });
});
