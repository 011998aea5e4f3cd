import { describe, expect, it } from "vitest";
import { endpointsOf, isLoopback, isServerAddressOf, type RegistryHosts, settingsOf } from "./endpoint.ts";

function origins(registry: string, hosts: RegistryHosts = {}) {
  return endpointsOf(registry, hosts).map(({ origin, apiPath }) => origin + apiPath);
}

describe("where a registry is asked", () => {
  it.each([
    ["docker.io", "https://registry-1.docker.io/v2/"],
    ["registry.k8s.io", "https://registry.k8s.io/v2/"],
    ["a.b:5000", "https://a.b:5000/v2/"],
    ["10.0.0.1:5000", "https://10.0.0.1:5000/v2/"],
    ["localhost:5000", "http://localhost:5000/v2/"],
    ["127.0.0.1:5000", "http://127.0.0.1:5000/v2/"],
    ["127.9.9.9", "http://127.9.9.9/v2/"],
    ["[::1]:5000", "http://[::1]:5000/v2/"],
    ["127.0.0.1.example:5000", "https://127.0.0.1.example:5000/v2/"],
    ["localhost.example", "https://localhost.example/v2/"],
  ])("%s at %s", (registry, expected) => {
    expect(origins(registry)).toEqual([expected]);
  });

  it("asks the mirrors of its host first, in order", () => {
    const hosts = {
      "docker.io": {
        mirrors: ["http://127.0.0.1:5000", "https://m.example/proxy/", "https://n.example/v2/hub"],
      },
    };
    expect(origins("docker.io", hosts)).toEqual([
      "http://127.0.0.1:5000/v2/",
      "https://m.example/v2/proxy/",
      "https://n.example/v2/hub/",
      "https://registry-1.docker.io/v2/",
    ]);
    expect(origins("quay.io", hosts)).toEqual(["https://quay.io/v2/"]);
  });

  it("uses plain http for an insecure host, after https, and for no other", () => {
    const hosts = { "a.b:5000": { insecure: true } };
    expect(endpointsOf("a.b:5000", hosts)).toMatchObject([
      { origin: "https://a.b:5000", onlyIfUnreachable: false },
      { origin: "http://a.b:5000", onlyIfUnreachable: true },
    ]);
    expect(origins("a.b:5001", hosts)).toEqual(["https://a.b:5001/v2/"]);
  });

  it("speaks TLS to a loopback address that has an authority", () => {
    expect(origins("localhost:5000", { "localhost:5000": { ca: "/ca.pem" } })).toEqual([
      "https://localhost:5000/v2/",
    ]);
    expect(origins("localhost:5000", { "localhost:5000": { ca: "" } })).toEqual([
      "http://localhost:5000/v2/",
    ]);
  });

  it.each([
    ["m.example", "is not an address"],
    ["ftp://m.example", "is neither http nor https"],
    ["https://user:word@m.example", "credentials belong in"],
    ["https://m.example/?x=y", "must be host, port and path only"],
  ])("refuses the mirror %s", (mirror, message) => {
    const asked = () => endpointsOf("docker.io", { "docker.io": { mirrors: [mirror] } });
    expect(asked).toThrow(message);
    expect(asked).not.toThrow(/word/);
  });

  it("finds settings by host, its default port written or not", () => {
    const hosts = { "a.b": { insecure: true }, "c.d:443": { insecure: true } };
    expect(settingsOf(hosts, "A.B:443")).toBe(hosts["a.b"]);
    expect(settingsOf(hosts, "c.d")).toBe(hosts["c.d:443"]);
    expect(settingsOf(hosts, "a.b:5000")).toEqual({});
    expect(settingsOf(hosts, "constructor")).toEqual({});
  });

  it.each([
    ["127.0.0.1", true],
    ["127.1.2.3:80", true],
    ["LOCALHOST", true],
    ["[::1]", true],
    ["128.0.0.1", false],
    ["127.evil.example", false],
    ["[::2]:80", false],
  ])("%s is loopback: %s", (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
  });

  it.each([
    ["", "a.b", true],
    ["a.b", "a.b", true],
    ["https://A.B/v1/", "a.b", true],
    ["a.b:5000", "a.b", false],
    ["https://index.docker.io/v1/", "docker.io", true],
    ["c.d", "a.b", false],
  ])("credentials for %s go to %s: %s", (serverAddress, registry, expected) => {
    expect(isServerAddressOf(serverAddress, registry)).toBe(expected);
  });
});
