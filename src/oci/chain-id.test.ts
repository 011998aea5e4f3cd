import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { chainId } from "./chain-id.ts";

it("the chain id of one layer is its diff id, of more the digest of 'chain id, space, diff id'", () => {
  const [a, b, c] = ["a", "b", "c"].map((x) => `sha256:${x.repeat(64)}`) as [string, string, string];
  const of = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;
  expect(chainId([a])).toBe(a);
  expect(chainId([a, b, c])).toBe(of(`${of(`${a} ${b}`)} ${c}`));
});
