import { expect, it } from "vitest";
import { Samples, summary } from "./sample.ts";

it("percentiles are nearest rank", () => {
  const hundred = Array.from({ length: 100 }, (_, i) => i + 1);
  expect(summary(hundred)).toEqual({ n: 100, min: 1, p50: 50, p95: 95, max: 100 });
  expect(summary([3])).toEqual({ n: 1, min: 3, p50: 3, p95: 3, max: 3 });
});

it("a failing action leaves no sample", async () => {
  const samples = new Samples();
  await expect(samples.time("x", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(samples.summaries()).toEqual({});
});
