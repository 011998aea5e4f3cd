import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HostNetwork } from "./host.ts";
import { printSubnet4 } from "./subnet.ts";

let folder: string;
const write = (key: string, value: string) => {
  const path = join(folder, "sysctl", key);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, value);
};
const read = (key: string) => readFileSync(join(folder, "sysctl", key), "utf8");
const host = (instance: string) =>
  new HostNetwork(instance, { shared: join(folder, "shared"), sysctl: join(folder, "sysctl") });

/** The file that says that a claim is still meant. */
const record = () => {
  const path = join(folder, "subnet.json");
  writeFileSync(path, "{}");
  return path;
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kobako-host-"));
  write("net/ipv4/ip_forward", "0\n");
  write("net/ipv6/conf/all/forwarding", "0\n");
  write("net/ipv6/conf/all/accept_ra", "1\n");
  write("net/ipv6/conf/eth0/accept_ra", "1\n");
  write("net/ipv6/conf/wlan0/accept_ra", "0\n");
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("instances of one host", () => {
  it("see each other's subnets while the other's record is there", () => {
    const file = record();
    host("-aa").claim("10.80.0.0/22", file);
    expect(host("").othersSubnets().map(printSubnet4)).toEqual(["10.80.0.0/22"]);
    expect(host("-aa").othersSubnets()).toEqual([]);
    rmSync(file);
    expect(host("").othersSubnets()).toEqual([]);
  });

  it("let the host forward, keep its own IPv6 route, and the last one restores what was before", () => {
    const [a, b] = [host(""), host("-bb")];
    a.claim("10.80.0.0/22", record());
    a.enableForwarding(true);
    expect([read("net/ipv4/ip_forward"), read("net/ipv6/conf/all/forwarding")]).toEqual(["1", "1"]);
    expect([read("net/ipv6/conf/eth0/accept_ra"), read("net/ipv6/conf/wlan0/accept_ra")]).toEqual([
      "2",
      "0\n",
    ]);
    b.claim("10.80.4.0/22", record());
    b.enableForwarding(true);
    a.release();
    expect(read("net/ipv4/ip_forward")).toBe("1");
    b.release();
    expect([read("net/ipv4/ip_forward"), read("net/ipv6/conf/all/forwarding")]).toEqual(["0", "0"]);
    expect(read("net/ipv6/conf/eth0/accept_ra")).toBe("1");
    expect(existsSync(join(folder, "shared"))).toBe(false);
    b.release();
  });

  it("do not count an instance whose root was deleted by hand", () => {
    host("-dead").claim("10.80.0.0/22", join(folder, "gone.json"));
    const a = host("");
    a.enableForwarding(false);
    a.release();
    expect(read("net/ipv4/ip_forward")).toBe("0");
    expect(existsSync(join(folder, "shared"))).toBe(false);
  });

  it("leave alone what somebody else had switched on", () => {
    write("net/ipv4/ip_forward", "1\n");
    const a = host("");
    a.claim("10.80.0.0/22", record());
    a.enableForwarding(false);
    a.release();
    expect(read("net/ipv4/ip_forward")).toBe("1\n");
    expect(read("net/ipv6/conf/all/forwarding")).toBe("0\n");
  });
});
