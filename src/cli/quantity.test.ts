import { describe, expect, it } from "vitest";
import { parseQuantity } from "./quantity.ts";

describe("a quantity", () => {
  it.each([
    ["500m", 1000n, 500n],
    ["0.5", 1000n, 500n],
    ["2", 1000n, 2000n],
    [2, 1000n, 2000n],
    ["1u", 1000n, 1n],
    ["64Mi", 1n, 67108864n],
    ["1.5Gi", 1n, 1610612736n],
    ["128M", 1n, 128000000n],
    ["1e3", 1n, 1000n],
    ["25e-1", 1n, 3n],
    ["0", 1n, 0n],
  ])("%s", (text, perUnit, expected) => {
    expect(parseQuantity(text, perUnit, "memory") === expected).toBe(true);
  });

  it.each(["", "x", "-1", "1 Gi", "1gi", "Gi", "1e999", "0x10", "1.", "1.5.5"])("not %j", (text) => {
    expect(() => parseQuantity(text, 1n, "resources.limits.memory")).toThrow(/^resources.limits.memory: /);
  });
});
