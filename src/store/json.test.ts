import { expect, it } from "vitest";
import { fromJson, toJson } from "./json.ts";

it.each([
  ["a 64-bit integer", 18446744073709551615n],
  ["bytes", new Uint8Array([0, 255, 10])],
  ["nested values", { a: [1n, { b: "x" }], c: null }],
  ["a label that looks like our own mark", { labels: { $n: "not a number" }, other: { $b: 1, $n: 2 } }],
  ["a mark within a mark", { labels: { $o: { $n: "1" } } }],
])("what was written is read again: %s", (_name, value) => {
  expect(fromJson(toJson(value))).toEqual(value);
});

it("the key __proto__ is data", () => {
  const value = fromJson<Record<string, unknown>>(
    toJson(JSON.parse('{"__proto__": {"admin": true}, "a": 1}')),
  );
  expect(Object.keys(value)).toEqual(["__proto__", "a"]);
  expect(({} as Record<string, unknown>).admin).toBeUndefined();
});
