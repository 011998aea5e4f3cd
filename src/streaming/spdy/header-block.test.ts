import { constants, createDeflate, createInflate, deflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { Random } from "../random.fixture.ts";
import { dictionary, dictionaryAdler32 } from "./dictionary.ts";
import { HeaderDecoder, HeaderEncoder, type Headers } from "./header-block.ts";

function plain(headers: readonly (readonly [string, string])[]): Buffer {
  const u32 = (n: number) => Buffer.from([n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]);
  return Buffer.concat([
    u32(headers.length),
    ...headers.flatMap((pair) => pair.flatMap((text) => [u32(text.length), Buffer.from(text, "latin1")])),
  ]);
}

/** One zlib stream, flushed after each block: what zlib itself makes of them. */
async function compress(blocks: readonly Buffer[], level: number): Promise<Buffer[]> {
  const deflate = createDeflate({ dictionary, level });
  const frames: Buffer[] = [];
  let parts: Buffer[] = [];
  deflate.on("data", (bytes: Buffer) => parts.push(bytes));
  for (const block of blocks) {
    deflate.write(block);
    await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, () => resolve()));
    frames.push(Buffer.concat(parts));
    parts = [];
  }
  deflate.destroy();
  return frames;
}

const first = (bytes: Buffer) => deflateSync(bytes, { dictionary, finishFlush: constants.Z_SYNC_FLUSH });

describe("the dictionary", () => {
  it("is that of SPDY/3", () => {
    let [a, b] = [1, 0];
    for (const byte of dictionary) {
      a = (a + byte) % 65521;
      b = (b + a) % 65521;
    }
    expect(b * 65536 + a).toBe(dictionaryAdler32);
    expect(dictionary).toHaveLength(1423);
  });
});

describe("HeaderDecoder", () => {
  it.each([0, 1, 6, 9])("reads block after block of one zlib stream, level %i", async (level) => {
    const sent = Array.from({ length: 200 }, (_, i): [string, string][] => [
      ["streamtype", i % 2 === 0 ? "error" : "data"],
      ["port", String(8000 + (i % 7))],
      ["requestid", String(i)],
    ]);
    const decoder = new HeaderDecoder();
    const frames = await compress(sent.map(plain), level);
    expect(frames.map((frame) => [...decoder.decode(frame)])).toEqual(sent);
  });

  it("reads blocks that refer further back than deflate can: what is forgotten is never needed", async () => {
    const random = new Random(7);
    const sent = Array.from({ length: 60 }, (_, i): [string, string][] => [
      ["a", random.bytes(1000).toString("latin1")],
      ["b", String(i)],
    ]);
    const decoder = new HeaderDecoder();
    const frames = await compress(sent.map(plain), 9);
    expect(frames.map((frame) => [...decoder.decode(frame)])).toEqual(sent);
  });

  it("lowers names, as Go's clients send them in any case", () => {
    expect([...new HeaderDecoder().decode(first(plain([["StreamType", "Data"]])))]).toEqual([
      ["streamtype", "Data"],
    ]);
  });

  it.each<[string, Buffer]>([
    ["nothing", Buffer.alloc(0)],
    ["no zlib data", Buffer.from("POST / HTTP/1.1")],
    ["another dictionary", deflateSync(plain([]), { dictionary: Buffer.from("other"), finishFlush: 2 })],
    ["damage", Buffer.concat([first(plain([])).subarray(0, 6), Buffer.from([0xff, 0xff, 0xff])])],
    ["a bomb", first(Buffer.concat([plain([["a", "x".repeat(1 << 20)]])]))],
    ["too many headers", first(plain(Array.from({ length: 33 }, (_, i) => [`h${i}`, ""] as const)))],
    ["a count without headers", first(Buffer.from([0, 0, 0, 2]))],
    ["a length beyond the block", first(Buffer.from([0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x61]))],
    [
      "a name twice",
      first(
        plain([
          ["a", "1"],
          ["A", "2"],
        ]),
      ),
    ],
    ["an empty name", first(plain([["", "1"]]))],
    ["something after the headers", first(Buffer.concat([plain([["a", "1"]]), Buffer.from("x")]))],
  ])("refuses %s", (_what, block) => {
    expect(() => new HeaderDecoder().decode(block)).toThrow(/SPDY header block/);
  });
});

describe("HeaderEncoder", () => {
  it("makes one zlib stream that any inflater reads", async () => {
    const sent: Headers[] = [new Map(), new Map([["a", "1"]]), new Map(), new Map([["status", "200 OK"]])];
    const encoder = new HeaderEncoder();
    const inflate = createInflate({ dictionary });
    const read: string[] = [];
    inflate.on("data", (bytes: Buffer) => read.push(bytes.toString("latin1")));
    const decoder = new HeaderDecoder();
    for (const headers of sent) {
      const block = encoder.encode(headers);
      await new Promise<void>((resolve, reject) =>
        inflate.write(block, (error) => (error ? reject(error) : resolve())),
      );
      expect(decoder.decode(block)).toEqual(headers);
    }
    expect(read.join("")).toBe(sent.map((headers) => plain([...headers]).toString("latin1")).join(""));
  });
});
