import { describe, expect, it } from "vitest";
import { collectExec, sayCut } from "./exec-output.ts";
import type { CollectedExec, OutputChunk, ProcessStreams } from "./handler.ts";

const end = { exitCode: 0, signal: 0, timedOut: false };

/** A process that says `chunks` and ends. */
function saying(chunks: Iterable<OutputChunk>): ProcessStreams {
  return {
    pid: 1,
    output: (async function* () {
      yield* chunks;
    })(),
    ended: Promise.resolve(end),
    writeStdin: async () => {},
    endStdin() {},
    resize() {},
    close() {},
    [Symbol.dispose]() {},
  };
}

const out = (text: string): OutputChunk => ({ stream: "stdout", data: Buffer.from(text) });
const err = (text: string): OutputChunk => ({ stream: "stderr", data: Buffer.from(text) });
const collect = (capBytes: number, ...chunks: OutputChunk[]) =>
  collectExec(saying(chunks), capBytes, new AbortController().signal);
const texts = ({ stdout, stderr }: CollectedExec) => [stdout.toString(), stderr.toString()];

describe("collected output", () => {
  it("is kept apart by stream, up to the cap of both together", async () => {
    const whole = await collect(9, out("one"), err("two"), out("six"));
    expect([...texts(whole), whole.droppedBytes]).toEqual(["onesix", "two", 0]);
    const cut = await collect(8, out("one"), err("two"), out("six"), err("more"));
    expect([...texts(cut), cut.droppedBytes]).toEqual(["onesi", "two", 5]);
  });

  it("leaves what it was given alone, though it grows", async () => {
    const first = Buffer.alloc(8, "a");
    await collect(100, { stream: "stdout", data: first.subarray(0, 4) }, out("bbbb"));
    expect(first.toString()).toBe("aaaaaaaa");
  });

  it("of pieces of every size is whole and in order", async () => {
    const pieces = Array.from({ length: 300 }, (_, i) => Buffer.alloc((i * 7919) % 9000, `${i} `));
    const chunks = pieces.map((data) => ({ stream: "stderr" as const, data }));
    const { stdout, stderr } = await collect(1 << 30, ...chunks);
    expect([stdout.length, stderr.equals(Buffer.concat(pieces))]).toEqual([0, true]);
  });

  it("is no longer wanted once the cap is reached", async () => {
    const unwanted: string[] = [];
    const chunks = [out("one"), out("two"), out("six")];
    const streams = {
      ...saying(chunks),
      discardOutput: () => unwanted.push("from here on"),
    };
    await collectExec(streams, 9, new AbortController().signal);
    expect(unwanted).toEqual([]);
    await collectExec(
      { ...saying(chunks), discardOutput: streams.discardOutput },
      8,
      new AbortController().signal,
    );
    expect(unwanted).toEqual(["from here on"]);
  });

  it("is not put together for a command that was killed for its time", async () => {
    const streams = { ...saying([out("much")]), ended: Promise.resolve({ ...end, timedOut: true }) };
    const result = await collectExec(streams, 100, new AbortController().signal);
    expect([...texts(result), result.end.timedOut]).toEqual(["", "", true]);
  });

  it("of a million single bytes becomes one piece, and not many buffers", async () => {
    const count = 1 << 20;
    const chunks = (function* () {
      for (let i = 0; i < count; i++) yield { stream: "stdout" as const, data: Buffer.of(0x78) };
    })();
    const { stdout } = await collectExec(saying(chunks), 4 * count, new AbortController().signal);
    expect(stdout.equals(Buffer.alloc(count, "x"))).toBe(true);
    expect(stdout.buffer.byteLength).toBeLessThanOrEqual(4 * count);
  });
});

describe("a cut", () => {
  const cut = async (capBytes: number, ...chunks: OutputChunk[]) =>
    sayCut(await collect(capBytes, ...chunks));

  it("is not said where nothing was cut", async () => {
    const result = await collect(100, out("a"), err("b"));
    expect(sayCut(result)).toBe(result);
  });

  it("is the last line of stderr, and takes no more room than there was", async () => {
    const result = await cut(100, err("warning"), out("x".repeat(200)));
    const notice = "\nkobako: output cut at 100 bytes\n";
    expect(texts(result)).toEqual(["x".repeat(93 - notice.length), `warning${notice}`]);
    expect(result.droppedBytes).toBe(107);
  });

  it("of stderr alone, with its own line's end", async () => {
    const notice = "\nkobako: output cut at 100 bytes\n";
    const kept = `${"x".repeat(99 - notice.length)}\n`;
    const [stdout, stderr] = texts(await cut(100, err(`${kept}${"y".repeat(100)}`)));
    expect([stdout, stderr]).toEqual(["", `${kept}${notice.slice(1)}`]);
  });

  it.each(["é", "…", "🍱"])("does not go through a character: %s", async (character) => {
    for (let shift = 0; shift < 4; shift++) {
      const [stdout = ""] = texts(await cut(100, out("a".repeat(shift) + character.repeat(100))));
      expect(stdout).not.toContain("\ufffd");
      expect(stdout.length).toBeGreaterThan(10);
    }
  });

  it("of bytes that are no characters is a cut in place", async () => {
    const { stdout } = await cut(100, { stream: "stdout", data: Buffer.alloc(200, 0xbf) });
    expect(stdout.length).toBe(100 - "\nkobako: output cut at 100 bytes\n".length);
  });
});
