import { describe, expect, it } from "vitest";
import { Random } from "../random.fixture.ts";
import { clientFrame } from "./frame.fixture.ts";
import { closeFrame, FrameParser, frameHeader, opcode, unmask } from "./frame.ts";

function parse(bytes: Buffer, size = bytes.length): { messages: string[]; controls: [number, string][] } {
  const messages: string[] = [];
  const controls: [number, string][] = [];
  let text = "";
  const parser = new FrameParser({
    message: (piece, first, last) => {
      text = (first ? "" : text) + piece.toString();
      if (last) messages.push(text);
    },
    control: (code, payload) => controls.push([code, payload.toString()]),
  });
  for (let at = 0; at < bytes.length; at += size) parser.feed(Buffer.from(bytes.subarray(at, at + size)));
  return { messages, controls };
}

describe("unmask", () => {
  it("takes the mask off wherever a piece begins, in memory and in the mask", () => {
    const random = new Random(1);
    for (let i = 0; i < 2000; i++) {
      const [offset, length, maskAt] = [random.number(8), random.number(40), random.number(4)];
      const key = random.bytes(4);
      const memory = random.bytes(offset + length + 8);
      const piece = memory.subarray(offset, offset + length);
      const expected = Buffer.from(piece.map((byte, j) => byte ^ (key[(maskAt + j) & 3] ?? 0)));
      const around = [Buffer.from(memory.subarray(0, offset)), Buffer.from(memory.subarray(offset + length))];
      expect(unmask(piece, key, 0, maskAt)).toBe((maskAt + length) & 3);
      expect(piece.equals(expected)).toBe(true);
      expect(Buffer.concat([around[0] ?? piece, expected, around[1] ?? piece]).equals(memory)).toBe(true);
    }
  });
});

describe("FrameParser", () => {
  const long = "x".repeat(70_000);
  const sent = Buffer.concat([
    clientFrame(opcode.binary, Buffer.from("one")),
    clientFrame(opcode.ping, Buffer.from("ping")),
    clientFrame(opcode.text, Buffer.from("t"), false),
    clientFrame(opcode.continuation, Buffer.alloc(0), false),
    clientFrame(opcode.pong, Buffer.alloc(0)),
    clientFrame(opcode.continuation, Buffer.from("wo"), true),
    clientFrame(opcode.binary, Buffer.alloc(0)),
    clientFrame(opcode.binary, Buffer.from("y".repeat(300))),
    clientFrame(opcode.binary, Buffer.from(long)),
    clientFrame(opcode.close, Buffer.from([3, 232])),
  ]);

  it.each([1, 2, 3, 5, 7, 13, 1000, 65_536, 1e6])("finds the same messages in pieces of %i bytes", (size) => {
    const { messages, controls } = parse(sent, size);
    expect(messages).toEqual(["one", "two", "", "y".repeat(300), long]);
    expect(controls.map(([code]) => code)).toEqual([opcode.ping, opcode.pong, opcode.close]);
  });

  const fragments = Buffer.concat([
    clientFrame(opcode.binary, Buffer.from("a"), false),
    ...Array.from({ length: 5000 }, () => clientFrame(opcode.continuation, Buffer.alloc(0), false)),
  ]);
  const unmasked = Buffer.concat([frameHeader(opcode.binary, 1), Buffer.from("x")]);
  const reserved = clientFrame(opcode.binary, Buffer.from("x"));
  reserved[0] = 0xc2;
  const endless = clientFrame(opcode.binary, Buffer.alloc(70_000)).subarray(0, 14);
  endless.writeUInt32BE(1, 2);

  it.each<[string, Buffer]>([
    ["a frame without mask", unmasked],
    ["a compressed frame", reserved],
    ["a frame that never ends", endless],
    ["a flood of fragments", fragments],
    ["an unknown opcode", clientFrame(3, Buffer.alloc(0))],
    ["an unknown control opcode", clientFrame(11, Buffer.alloc(0))],
    ["a continuation of nothing", clientFrame(opcode.continuation, Buffer.alloc(0))],
    [
      "a message within another",
      Buffer.concat([
        clientFrame(opcode.binary, Buffer.from("a"), false),
        clientFrame(opcode.binary, Buffer.from("b")),
      ]),
    ],
    ["a ping in fragments", clientFrame(opcode.ping, Buffer.alloc(0), false)],
    ["a ping of 126 bytes", clientFrame(opcode.ping, Buffer.alloc(126))],
  ])("refuses %s", (_what, bytes) => {
    expect(() => parse(bytes)).toThrow(/WebSocket/);
  });

  it("cuts the reason of a close to what fits", () => {
    expect(closeFrame(1002, "x".repeat(500))).toHaveLength(2 + 125);
  });
});
