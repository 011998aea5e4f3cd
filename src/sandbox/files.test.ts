import { describe, expect, it } from "vitest";
import { checkHostname, hostsFile, resolvConf } from "./files.ts";

it("resolv.conf holds searches, servers and options, one line each", () => {
  const dns = {
    servers: ["10.96.0.10", "fd00::a"],
    searches: ["default.svc.cluster.local", "svc.cluster.local"],
    options: ["ndots:5", "edns0"],
  };
  expect(resolvConf(dns)).toBe(
    "search default.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\nnameserver fd00::a\noptions ndots:5 edns0\n",
  );
});

describe("resolv.conf takes no second line from a request", () => {
  it.each([
    ["a newline in a search", { servers: [], searches: ["a\nnameserver 6.6.6.6"], options: [] }],
    ["a space in a search", { servers: [], searches: ["a b"], options: [] }],
    ["a comment", { servers: [], searches: [], options: ["ndots:5#x"] }],
    ["a server that is no address", { servers: ["dns.example"], searches: [], options: [] }],
    [
      "ten thousand entries",
      { servers: [], searches: Array.from({ length: 10_000 }, () => "a"), options: [] },
    ],
    ["an empty entry", { servers: [""], searches: [], options: [] }],
  ])("%s", (_name, dns) => {
    expect(() => resolvConf(dns)).toThrow(expect.objectContaining({ kind: "invalid-argument" }));
  });
});

it("/etc/hosts names the pod by every address it has", () => {
  const text = hostsFile("web-0", ["10.88.0.5", "fd00::5"]);
  expect(text).toContain("10.88.0.5\tweb-0\n");
  expect(text).toContain("fd00::5\tweb-0\n");
  expect(text).toContain("127.0.0.1\tlocalhost\n");
});

it.each(["a b", "-a", "a\n", "a".repeat(65), "ä", "../x"])("hostname %j is refused", (hostname) => {
  expect(() => checkHostname(hostname)).toThrow(/config.hostname/);
});
