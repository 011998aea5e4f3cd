import { describe, expect, it } from "vitest";
import { DetachKeys, parseDetachKeys } from "./detach-keys.ts";

describe("detach keys", () => {
  it.each([
    ["ctrl-p,ctrl-q", [16, 17]],
    ["ctrl-],a,^", [29, 97, 94]],
    ["", []],
  ])("%s are read", (text, bytes) => {
    expect([...parseDetachKeys(text)]).toEqual(bytes);
  });

  it.each(["ctrl-", "ctrl-1", "ab", "a,,b", "ä"])("%s are none", (text) => {
    expect(() => parseDetachKeys(text)).toThrow(/--detach-keys/);
  });

  const p = "\u0010";
  const q = "\u0011";
  it.each<[string, string, readonly string[], string, boolean]>([
    ["are found", "ctrl-p,ctrl-q", [`ab${p}${q}cd`], "ab", true],
    ["are found in pieces", "ctrl-p,ctrl-q", ["ab", p, q, "cd"], "ab", true],
    ["are found behind their own beginning", "ctrl-p,ctrl-q", [p, p, q], p, true],
    ["hold nothing back that is not theirs", "ctrl-p,ctrl-q", [p, "x"], `${p}x`, false],
    ["hold their beginning back", "ctrl-p,ctrl-q", [`x${p}`], "x", false],
    ["may repeat themselves", "a,a,b", ["aaab"], "a", true],
    ["may repeat themselves in pieces", "a,b,a,c", ["aba", "bac"], "ab", true],
    ["may be none", "", [`${p}${q}`], `${p}${q}`, false],
  ])("%s", (_, keys, pieces, sent, detached) => {
    const finder = new DetachKeys(parseDetachKeys(keys));
    let out = "";
    let found = false;
    for (const piece of pieces) {
      if (found) break;
      const { bytes, detached: now } = finder.feed(Buffer.from(piece));
      out += bytes.toString();
      found = now;
    }
    expect([out, found]).toEqual([sent, detached]);
  });
});
