import { describe, expect, it } from "vitest";
import * as frames from "./frame.ts";

type Seen = ["control", number, number, string] | ["data", number, string, boolean];

function parse(bytes: Buffer, size = bytes.length): Seen[] {
  const seen: Seen[] = [];
  const parser = new frames.FrameParser({
    control: (type, flags, payload) => seen.push(["control", type, flags, payload.toString("hex")]),
    data: (id, piece, fin) => {
      const before = seen.at(-1);
      if (before?.[0] === "data" && before[1] === id && !before[3]) {
        before[2] += piece.toString();
        before[3] = fin;
      } else seen.push(["data", id, piece.toString(), fin]);
    },
  });
  for (let at = 0; at < bytes.length; at += size) parser.feed(bytes.subarray(at, at + size));
  return seen;
}

const { frameType } = frames;

describe("FrameParser", () => {
  const sent = Buffer.concat([
    frames.synStream(1, Buffer.from("headers")),
    frames.dataHeader(1, 5, false),
    Buffer.from("hello"),
    frames.ping(7),
    frames.rstStream(3, frames.rstStatus.cancel),
    frames.initialWindow(65536),
    frames.windowUpdate(1, 100),
    frames.dataHeader(1, 0, true),
    frames.goAway(1, 0),
  ]);

  it.each([1, 2, 3, 5, 7, 8, 9, 64, 1000])("finds the same frames in pieces of %i bytes", (size) => {
    expect(parse(sent, size)).toEqual([
      ["control", frameType.synStream, 0, `00000001000000000000${Buffer.from("headers").toString("hex")}`],
      ["data", 1, "hello", false],
      ["control", frameType.ping, 0, "00000007"],
      ["control", frameType.rstStream, 0, "0000000300000005"],
      ["control", frameType.settings, 0, "000000010000000700010000"],
      ["control", frameType.windowUpdate, 0, "0000000100000064"],
      ["data", 1, "", true],
      ["control", frameType.goAway, 0, "0000000100000000"],
    ]);
  });

  it("hands on a data frame of 16 MiB as it comes", () => {
    let longest = 0;
    let total = 0;
    const parser = new frames.FrameParser({
      control: () => {},
      data: (_id, piece) => {
        longest = Math.max(longest, piece.length);
        total += piece.length;
      },
    });
    parser.feed(frames.dataHeader(1, 0xffffff, true));
    const piece = Buffer.alloc(1 << 16);
    while (total < 0xffffff) parser.feed(piece.subarray(0, Math.min(piece.length, 0xffffff - total)));
    expect(longest).toBe(1 << 16);
  });

  it("passes over frames of unknown types", () => {
    const unknown = Buffer.from([0x80, 3, 0, 0x0a, 0, 0, 0, 3, 1, 2, 3]);
    expect(parse(Buffer.concat([unknown, frames.ping(1)]), 1)).toEqual([
      ["control", frameType.ping, 0, "00000001"],
    ]);
  });

  it("takes large control frames byte by byte at the cost of small ones", () => {
    const parser = new frames.FrameParser({ control: () => {}, data: () => {} });
    /** Least CPU time of several rounds of 64 KiB in frames of `size` bytes. */
    const cost = (size: number) => {
      const sent = Buffer.concat(
        Array.from({ length: 65_536 / size }, () => frames.synStream(1, Buffer.alloc(size - 18))),
      );
      const rounds = Array.from({ length: 5 }, () => {
        const before = process.cpuUsage();
        for (let at = 0; at < sent.length; at++) parser.feed(sent.subarray(at, at + 1));
        return process.cpuUsage(before).user;
      });
      return Math.min(...rounds);
    };
    const small = cost(64);
    const large = cost(16_384);
    expect(large).toBeLessThan(4 * small);
  });

  const header = (version: number, type: number, length: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt16BE(0x8000 | version, 0);
    bytes.writeUInt16BE(type, 2);
    bytes.writeUInt32BE(length, 4);
    return bytes;
  };

  it.each<[string, Buffer]>([
    ["another version", header(2, frameType.ping, 4)],
    ["a header frame of more than 16 KiB", header(3, frameType.synStream, 20_000)],
    ["a header frame that is too short", header(3, frameType.synStream, 9)],
    ["a ping of 5 bytes", header(3, frameType.ping, 5)],
    ["endless settings", header(3, frameType.settings, 1 << 20)],
    ["an unknown frame of 16 MiB", header(3, 0x7777, 0xffffff)],
    ["data for stream 0", frames.dataHeader(0, 1, false)],
    ["an HTTP request", Buffer.from("POST /exec/ HTTP/1.1\r\n").fill(0x80, 0, 1)],
  ])("refuses %s at its header", (_what, bytes) => {
    expect(() => parse(bytes)).toThrow(/SPDY/);
  });
});
