import { expect, it } from "vitest";
import { YoungCollection } from "./young-collection.ts";

it("collects once every 4 MiB of flow", () => {
  let collections = 0;
  const young = new YoungCollection(() => collections++);
  for (let i = 0; i < 63; i++) young.flowed(64 << 10);
  expect(collections).toBe(0);
  young.flowed(64 << 10);
  expect(collections).toBe(1);
  for (let i = 0; i < 64; i++) young.flowed(64 << 10);
  expect(collections).toBe(2);
});
