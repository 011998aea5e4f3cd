import { describe, expect, it } from "vitest";
import { RuntimeError } from "../errors/runtime-error.ts";
import { tokenPattern, Tokens } from "./token.ts";

describe("Tokens", () => {
  it("a token is good once", () => {
    const tokens = new Tokens<string>();
    const token = tokens.issue("exec");
    expect(tokens.take(token)).toBe("exec");
    expect(tokens.take(token)).toBeUndefined();
  });

  it("a token is good for a minute of a clock that nobody sets", () => {
    let now = 0;
    const tokens = new Tokens<string>({ nowMs: () => now });
    const [early, late] = [tokens.issue("early"), tokens.issue("late")];
    now = 59_999;
    expect(tokens.take(early)).toBe("early");
    now = 60_000;
    expect(tokens.take(late)).toBeUndefined();
    expect(tokens.size).toBe(0);
  });

  it("a thousand wait for their use; one more is refused, until one is used or expires", () => {
    let now = 0;
    const tokens = new Tokens<number>({ nowMs: () => now });
    const issued = Array.from({ length: 1000 }, (_, i) => tokens.issue(i));
    expect(() => tokens.issue(1000)).toThrow(RuntimeError);
    expect(tokens.take(issued[500] ?? "")).toBe(500);
    tokens.issue(1000);
    expect(() => tokens.issue(1001)).toThrow(/try again/);
    now = 60_000;
    tokens.issue(1001);
    expect(tokens.size).toBe(1);
  });

  it("a token has 128 random bits: ten thousand share nothing", () => {
    const tokens = new Tokens<number>({ capacity: 10_000 });
    const issued = Array.from({ length: 10_000 }, (_, i) => tokens.issue(i));
    expect(new Set(issued).size).toBe(10_000);
    const ones = new Array<number>(128).fill(0);
    for (const token of issued) {
      expect(token).toMatch(tokenPattern);
      const bytes = Buffer.from(token, "base64url");
      expect(bytes).toHaveLength(16);
      for (let bit = 0; bit < 128; bit++)
        ones[bit] = (ones[bit] ?? 0) + (((bytes[bit >> 3] ?? 0) >> (bit & 7)) & 1);
    }
    // Each bit is a coin: 10 000 throws leave 5000 by 50 in one of three cases, by 300 never.
    for (const count of ones) expect(Math.abs(count - 5000)).toBeLessThan(300);
  });

  it("what is almost a token is none", () => {
    const tokens = new Tokens<string>();
    const token = tokens.issue("exec");
    for (const wrong of [
      "",
      "x",
      token.slice(1),
      `${token}A`,
      token.toLowerCase(),
      "A".repeat(22),
      "é".repeat(22),
    ])
      expect(wrong === token ? undefined : tokens.take(wrong)).toBeUndefined();
    expect(tokens.take(token)).toBe("exec");
  });
});
