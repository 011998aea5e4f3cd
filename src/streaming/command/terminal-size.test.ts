import { describe, expect, it } from "vitest";
import { InputBudget } from "../inbox.ts";
import { Random } from "../random.fixture.ts";
import { applySizes, type TerminalSize, TerminalSizeParser } from "./terminal-size.ts";

describe("TerminalSizeParser", () => {
  const text = '{"Width":80,"Height":24}\n{"height":25,"width":81}{"Width":0,"Height":65535}';
  const sizes = [
    { width: 80, height: 24 },
    { width: 81, height: 25 },
    { width: 0, height: 65535 },
  ];

  it.each([1, 2, 3, 7, 1000])("reads sizes in pieces of %i bytes", (size) => {
    const parser = new TerminalSizeParser();
    const read: TerminalSize[] = [];
    for (let at = 0; at < text.length; at += size)
      read.push(...parser.feed(Buffer.from(text.slice(at, at + size))));
    expect(read).toEqual(sizes);
  });

  it("leaves out what is no size, and reads on", () => {
    const parser = new TerminalSizeParser();
    const odd = [
      '{"Width":-1,"Height":2}',
      '{"Width":1.5,"Height":2}',
      '{"Width":70000,"Height":2}',
      '{"Width":"1"}',
      "{}",
      "}}",
    ];
    for (const part of odd) expect(parser.feed(Buffer.from(part))).toEqual([]);
    expect(parser.feed(Buffer.from(`{"Width":${"1".repeat(1 << 20)}`))).toEqual([]);
    expect(parser.feed(Buffer.from('}{"Width":1,"Height":2}'))).toEqual([{ width: 1, height: 2 }]);
  });

  it("survives ten thousand pieces of noise", () => {
    const random = new Random(3);
    const parser = new TerminalSizeParser();
    const alphabet = Buffer.from('{}"Widthegr:,0123456789[]\n');
    for (let i = 0; i < 10_000; i++) {
      const piece = Buffer.from(
        Array.from({ length: random.number(60) }, () => alphabet[random.number(alphabet.length)] ?? 0),
      );
      for (const { width, height } of parser.feed(piece))
        expect(width + height).toBeLessThanOrEqual(2 * 65535);
    }
  });
});

describe("applySizes", () => {
  it("hands a flood of sizes on as its first and its last", async () => {
    const inbox = new InputBudget({ streamBytes: 1e9, connectionBytes: 1e9 }, () => {}).inbox();
    const applied: TerminalSize[] = [];
    const last = Promise.withResolvers<void>();
    const done = applySizes(inbox, (size) => {
      applied.push(size);
      if (size.width === 9999) last.resolve();
    });
    for (let i = 0; i < 10_000; i++) inbox.push(Buffer.from(`{"Width":${i},"Height":1}`));
    await last.promise;
    expect(applied.length).toBeLessThan(500);
    inbox.end();
    await done;
  });
});
