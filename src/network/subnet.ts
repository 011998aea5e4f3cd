/**
 * Which addresses the embedded network uses. Pure: what the host has in use is handed in.
 * IPv4 networks are pairs of 32-bit numbers; everything is compared as numbers.
 */
import { createHash } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import { RuntimeError } from "../errors/runtime-error.ts";

export interface Subnet4 {
  readonly address: number;
  readonly prefix: number;
}

function mask(prefix: number): number {
  return prefix === 0 ? 0 : (~0 << (32 - prefix)) >>> 0;
}

export function parseAddress4(text: string): number {
  return text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function printSubnet4(subnet: Subnet4): string {
  const bytes = [24, 16, 8, 0].map((shift) => (subnet.address >>> shift) & 255);
  return `${bytes.join(".")}/${subnet.prefix}`;
}

/** "10.0.0.0/22"; host bits are cut off. @throws RuntimeError `invalid-argument`. */
export function parseSubnet4(text: string): Subnet4 {
  const [host = "", length = ""] = text.split("/");
  const prefix = /^\d{1,2}$/.test(length) ? Number(length) : -1;
  if (!isIPv4(host) || prefix < 8 || prefix > 30) {
    throw new RuntimeError(
      "invalid-argument",
      `${JSON.stringify(text)} is no IPv4 subnet of a length from 8 to 30`,
    );
  }
  return { address: (parseAddress4(host) & mask(prefix)) >>> 0, prefix };
}

export function overlap(a: Subnet4, b: Subnet4): boolean {
  const common = mask(Math.min(a.prefix, b.prefix));
  return (a.address & common) >>> 0 === (b.address & common) >>> 0;
}

/**
 * The subnets tried when none are configured: the 256 /22 of 10.80.0.0/14 (podman has 10.88, cri-o
 * 10.85, k3s 10.42, flannel 10.244, Docker 172.17, Services often 10.96), 1022 pods each. Another
 * instance starts somewhere else in the list, so that two which start at once seldom want the same.
 */
export function candidates(instance: string): Subnet4[] {
  const all = Array.from({ length: 256 }, (_, i) => ({ address: 0x0a500000 + i * 1024, prefix: 22 }));
  const start = instance === "" ? 0 : createHash("sha256").update(instance).digest().readUInt8(0);
  return [...all.slice(start), ...all.slice(0, start)];
}

/** The first candidate that overlaps with nothing in use. */
export function firstFree(list: readonly Subnet4[], used: readonly Subnet4[]): Subnet4 | undefined {
  return list.find((candidate) => !used.some((other) => overlap(candidate, other)));
}

/** Networks in /proc/net/route, those of the link `own` and the default route apart. */
export function parseRoutes(text: string, own: string): Subnet4[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [link, destination = "", , , , , , routeMask = ""] = line.split("\t");
      if (link === own || !/^[0-9A-F]{8}$/.test(destination) || !/^[0-9A-F]{8}$/.test(routeMask)) return [];
      const bits = Buffer.from(routeMask, "hex").reverse().readUInt32BE(); // as the CPU has it: little-endian
      const prefix = bits.toString(2).replaceAll("0", "").length;
      if (prefix === 0) return [];
      return [{ address: Buffer.from(destination, "hex").reverse().readUInt32BE(), prefix }];
    });
}

/** The link of the default route with the lowest metric, or undefined. */
export function defaultLink(text: string): string | undefined {
  const routes = text
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t"))
    .filter(
      ([link, destination, , , , , , routeMask]) =>
        link && destination === "00000000" && routeMask === "00000000",
    )
    .sort((a, b) => Number(a[6]) - Number(b[6]));
  return routes[0]?.[0];
}

/** A random unique local /64 (RFC 4193): fd, 40 random bits, subnet 0. */
export function randomUla(random: Uint8Array): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = random;
  const hex = (n: number) => n.toString(16);
  return `fd${hex(a).padStart(2, "0")}:${hex(b * 256 + c)}:${hex(d * 256 + e)}::/64`;
}

export interface PodCidrs {
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
}

/**
 * A kubelet's pod CIDR: one subnet, or one of each family with a comma between.
 * @throws RuntimeError `invalid-argument`.
 */
export function parsePodCidr(text: string): PodCidrs {
  let ipv4: string | undefined;
  let ipv6: string | undefined;
  for (const part of text.split(",").map((s) => s.trim())) {
    const [host = "", length = ""] = part.split("/");
    if (isIPv6(host) && /^\d{1,3}$/.test(length) && Number(length) >= 16 && Number(length) <= 126 && !ipv6)
      ipv6 = part;
    else if (!ipv4 && isIPv4(host)) ipv4 = printSubnet4(parseSubnet4(part));
    else
      throw new RuntimeError(
        "invalid-argument",
        `pod CIDR ${JSON.stringify(text)}: one subnet per family is expected`,
      );
  }
  return { ipv4, ipv6 };
}
