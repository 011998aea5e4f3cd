import { describe, expect, it } from "vitest";
import { encodeMessage, encodeStreamHeader, FrameReader, maxMessageBytes, streamId } from "./frames.ts";

/** Feeds `bytes` in pieces of `size`, through one buffer that is used again and again. */
function feed(reader: FrameReader, bytes: Buffer, size: number): [number, string][] {
  const frames: [number, string][] = [];
  const shared = Buffer.alloc(size);
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    piece.copy(shared);
    const used = reader.feed(shared.subarray(0, piece.length), (tag, frame) => {
      frames.push([tag, frame.toString("utf8")]);
      return true;
    });
    expect(used).toBe(piece.length);
    shared.fill(0xff);
  }
  return frames;
}

describe("FrameReader", () => {
  const messages = Buffer.concat([{ a: 1 }, {}, { text: "ü".repeat(300) }].map((m) => encodeMessage(m)));
  const streams = Buffer.concat([
    encodeStreamHeader(streamId.stdout, 3),
    Buffer.from("out"),
    encodeStreamHeader(streamId.stdin, 0),
    encodeStreamHeader(streamId.stderr, 4),
    Buffer.from("errr"),
  ]);

  it.each([1, 2, 3, 4, 5, 6, 7, 64, 1000])("cuts the same frames out of pieces of %i bytes", (size) => {
    const reader = new FrameReader(4, maxMessageBytes);
    const texts = feed(reader, messages, size).map(([, text]) => text);
    expect(texts).toEqual(['{"a":1}', "{}", `{"text":"${"ü".repeat(300)}"}`]);
    expect(reader.pending).toBe(false);
    expect(feed(new FrameReader(5, 100), streams, size)).toEqual([
      [streamId.stdout, "out"],
      [streamId.stdin, ""],
      [streamId.stderr, "errr"],
    ]);
  });

  it.each([1, 3, 100])("stops where it is told to, in pieces of %i bytes", (size) => {
    const reader = new FrameReader(5, 100);
    let used = 0;
    let frames = 0;
    for (let at = 0; at < streams.length && frames === 0; at += size) {
      used += reader.feed(streams.subarray(at, at + size), () => {
        frames++;
        return false;
      });
    }
    expect([frames, used]).toEqual([1, 8]);
  });

  it("refuses a frame larger than the cap before it holds any of it", () => {
    const header = encodeStreamHeader(1, 101);
    expect(() => new FrameReader(5, 100).feed(header, () => true)).toThrow(/frame of 101 bytes/);
    expect(() => {
      const reader = new FrameReader(5, 100);
      for (const byte of header) reader.feed(Buffer.from([byte]), () => true);
    }).toThrow(/frame of 101 bytes/);
  });

  it("refuses to send a message larger than the protocol allows", () => {
    expect(() => encodeMessage({ a: "x".repeat(maxMessageBytes) })).toThrow(/larger than/);
  });
});
