import { hostname } from "node:os";
import { describe, expect, it } from "vitest";
import { refusal } from "./host-check.ts";

const rules = { port: 4321, names: ["node-7.example"] };

describe("a request", () => {
  it.each([
    "127.0.0.1:4321",
    "[::1]:4321",
    "localhost:4321",
    "LOCALHOST",
    "192.0.2.7:10250",
    "node-7.example:4321",
    `${hostname()}:4321`,
    // A kubelet hands on the Host that the API server called it by.
    "node-override:10250",
  ])("for Host %s is welcome", (host) => {
    expect(refusal({ host }, rules)).toBeUndefined();
  });

  it.each([
    undefined,
    "",
    "evil.example",
    "evil.example:4321",
    "127.0.0.1.evil.example:4321",
    "a b",
    "evil.example:999999",
    "x@y:1",
  ])("for Host %s is refused", (host) => {
    expect(refusal({ host }, rules)).toBeTypeOf("string");
  });

  it("with an Origin is refused, also with the right one", () => {
    expect(refusal({ host: "127.0.0.1:4321", origin: "http://127.0.0.1:4321" }, rules)).toContain("Origin");
    expect(refusal({ host: "127.0.0.1:4321", origin: "null" }, rules)).toContain("Origin");
    expect(refusal({ host: "127.0.0.1:4321", origin: "" }, rules)).toContain("Origin");
  });
});
