import { describe, expect, it } from "vitest";
import { RegistryError } from "./failure.ts";
import { backoffMs, defaultTiming, parseRetryAfter } from "./retry.ts";
import { pauseAfter } from "./session.ts";

describe("Retry-After", () => {
  const nowMs = Date.parse("2026-01-01T00:00:00Z");

  it.each([
    ["2", 2000],
    ["86400", 86_400_000],
    ["Thu, 01 Jan 2026 00:00:30 GMT", 30_000],
    ["Wed, 31 Dec 2025 23:00:00 GMT", 0],
    ["-1", undefined],
    ["1.5", undefined],
    ["soon", undefined],
    ["2026-01-01", undefined],
    ["9".repeat(400), undefined],
    ["", undefined],
    [undefined, undefined],
  ])("%s is %s ms", (header, expected) => {
    expect(parseRetryAfter(header, nowMs)).toBe(expected);
  });
});

describe("the pause before the next try", () => {
  it("doubles up to its cap, with a jitter of half of it", () => {
    expect([1, 2, 3, 4].map((failures) => backoffMs(defaultTiming, failures, 0.5))).toEqual([
      188, 375, 750, 1500,
    ]);
    expect(backoffMs(defaultTiming, 100, 0)).toBe(5000);
    expect(backoffMs(defaultTiming, 100, 1)).toBe(10_000);
  });

  it("is what the registry asks for, but never longer than the cap", () => {
    const asked = (retryAfterMs: number) =>
      new RegistryError("unavailable", "x", { retry: "later", retryAfterMs });
    expect(pauseAfter(asked(2000), 1, defaultTiming)).toBe(2000);
    expect(pauseAfter(asked(86_400_000), 1, defaultTiming)).toBe(defaultTiming.retryAfterCapMs);
  });

  it("ends: after the tries, at once for an answer that stays, soon when nothing answers", () => {
    const failing = (retry: "no" | "connect" | "later") => new RegistryError("unavailable", "x", { retry });
    const tries = (error: unknown) =>
      [1, 2, 3, 4, 5, 6].filter((n) => pauseAfter(error, n, defaultTiming) !== undefined).length;
    expect(tries(failing("later"))).toBe(4);
    expect(tries(failing("connect"))).toBe(1);
    expect(tries(failing("no"))).toBe(0);
    expect(tries(new Error("x"))).toBe(0);
  });
});
