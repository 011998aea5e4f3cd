import { describe, expect, it } from "vitest";
import { podIps } from "./result.ts";

describe("the pod's addresses", () => {
  it.each([
    [
      "IPv4 first, whatever the plugin's order",
      { ips: [{ address: "fd00::2/64" }, { address: "10.0.0.2/24" }] },
      ["10.0.0.2", "fd00::2"],
    ],
    [
      "not those of interfaces on the host",
      {
        interfaces: [{ name: "br" }, { name: "eth0", sandbox: "/run/netns/x" }],
        ips: [
          { address: "10.0.0.1/24", interface: 0 },
          { address: "10.0.0.2/24", interface: 1 },
        ],
      },
      ["10.0.0.2"],
    ],
    ["of version 0.3.1", { ips: [{ version: "4", address: "10.0.0.2/24" }] }, ["10.0.0.2"]],
    ["each once", { ips: [{ address: "10.0.0.2/24" }, { address: "10.0.0.2/16" }] }, ["10.0.0.2"]],
  ])("%s", (_, result, ips) => {
    expect(podIps(result, "result")).toEqual(ips);
  });

  it.each([
    ["no address", {}, "no address for the pod"],
    ["nonsense", { ips: [{ address: "localhost" }] }, "which is no address"],
    ["another type", { ips: "10.0.0.2" }, "ips must be an array"],
    ["a poisoned prototype", JSON.parse('{"__proto__":{"ips":[{"address":"10.0.0.2/24"}]}}'), "no address"],
  ])("with %s are an error", (_, result, words) => {
    expect(() => podIps(result, "result")).toThrow(words);
  });
});
