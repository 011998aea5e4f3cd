import { describe, expect, it } from "vitest";
import {
  candidates,
  defaultLink,
  firstFree,
  overlap,
  parsePodCidr,
  parseRoutes,
  parseSubnet4,
  printSubnet4,
  randomUla,
} from "./subnet.ts";

const routes = [
  "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
  "wlan0\t00000000\t0102000A\t0003\t0\t0\t600\t00000000\t0\t0\t0",
  "eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0",
  "eth0\t0000500A\t00000000\t0001\t0\t0\t0\t00FCFFFF\t0\t0\t0",
  "kobako0\t0004500A\t00000000\t0001\t0\t0\t0\t00FCFFFF\t0\t0\t0",
  "",
].join("\n");

describe("IPv4 subnets", () => {
  it.each([
    ["10.80.3.7/22", "10.80.0.0/22"],
    ["192.168.255.255/30", "192.168.255.252/30"],
    ["255.0.0.1/8", "255.0.0.0/8"],
  ])("%s is %s", (text, printed) => expect(printSubnet4(parseSubnet4(text))).toBe(printed));

  it.each(["10.0.0.0", "10.0.0.0/7", "10.0.0.0/31", "10.0.0/24", "fd00::/64", "10.0.0.0/", "x/24"])(
    "%s is none",
    (text) => {
      expect(() => parseSubnet4(text)).toThrow("is no IPv4 subnet");
    },
  );

  it.each([
    ["10.0.0.0/24", "10.0.0.0/16", true],
    ["10.0.0.0/24", "10.0.1.0/24", false],
    ["200.0.0.0/8", "200.255.0.0/16", true],
  ])("%s and %s overlap: %s", (a, b, is) => expect(overlap(parseSubnet4(a), parseSubnet4(b))).toBe(is));
});

describe("choosing", () => {
  it("takes the first subnet that nothing on the host overlaps; the own bridge does not count", () => {
    const used = parseRoutes(routes, "kobako0");
    expect(used.map(printSubnet4)).toEqual(["10.80.0.0/22"]);
    expect(firstFree(candidates(""), used)).toEqual(parseSubnet4("10.80.4.0/22"));
    expect(firstFree([parseSubnet4("10.80.0.0/24")], used)).toBe(undefined);
  });

  it("starts elsewhere for another instance, with the same list", () => {
    const [a, b] = [candidates(""), candidates("-0123abcd")];
    expect(a).toHaveLength(256);
    expect(b[0]).not.toEqual(a[0]);
    expect(new Set(b.map(printSubnet4))).toEqual(new Set(a.map(printSubnet4)));
  });

  it("finds the way out by its metric", () => {
    expect(defaultLink(routes)).toBe("eth0");
    expect(defaultLink("Iface\tDestination\n")).toBe(undefined);
  });

  it("makes a unique local /64 of 40 random bits", () => {
    expect(randomUla(Uint8Array.of(0, 0xab, 0xcd, 0x0e, 0xf0))).toBe("fd00:abcd:ef0::/64");
  });
});

describe("a pod CIDR", () => {
  it.each([
    ["10.42.0.0/24", { ipv4: "10.42.0.0/24", ipv6: undefined }],
    ["10.42.0.0/24,fd00:42::/64", { ipv4: "10.42.0.0/24", ipv6: "fd00:42::/64" }],
    ["fd00:42::/64, 10.42.0.0/24", { ipv4: "10.42.0.0/24", ipv6: "fd00:42::/64" }],
  ])("%s", (text, cidrs) => expect(parsePodCidr(text)).toEqual(cidrs));

  it.each(["10.0.0.0/24,10.0.1.0/24", "", "x", "fd00::/64,fd01::/64", "10.0.0.0/24,"])(
    "%s is refused",
    (text) => {
      expect(() => parsePodCidr(text)).toThrow(expect.objectContaining({ kind: "invalid-argument" }));
    },
  );
});
