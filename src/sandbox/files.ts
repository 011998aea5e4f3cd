/** The files that a pod's containers see as /etc/hosts, /etc/hostname and /etc/resolv.conf. Pure. */
import { isIP } from "node:net";
import { RuntimeError } from "../errors/runtime-error.ts";
import type { DnsConfig } from "./config.ts";

/** Far above what resolvers read (3 servers, 6 to 32 domains), low enough to stay a small file. */
const maxEntries = 64;
const maxEntryBytes = 256;

/**
 * /etc/resolv.conf for `dns`, one line each (resolv.conf(5)).
 * @throws RuntimeError `invalid-argument` for an entry that would be more than one word on its line.
 */
export function resolvConf(dns: DnsConfig): string {
  check(
    "dns_config.servers",
    dns.servers,
    (server) => isIP(server.replace(/%.*$/, "")) !== 0,
    "an IP address",
  );
  check("dns_config.searches", dns.searches, isWord, "a domain name without spaces");
  check("dns_config.options", dns.options, isWord, "an option without spaces");
  const lines: string[] = [];
  if (dns.searches.length > 0) lines.push(`search ${dns.searches.join(" ")}`);
  for (const server of dns.servers) lines.push(`nameserver ${server}`);
  if (dns.options.length > 0) lines.push(`options ${dns.options.join(" ")}`);
  return lines.map((line) => `${line}\n`).join("");
}

/** /etc/hosts of a pod with a network of its own. */
export function hostsFile(hostname: string, ips: readonly string[]): string {
  const lines = [
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "ff00::0\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
    ...ips.filter(() => hostname !== "").map((ip) => `${ip}\t${hostname}`),
  ];
  return `${lines.join("\n")}\n`;
}

/**
 * Holds the pod's hostname to what the kernel and the file take: 64 bytes, a DNS name (RFC 1123).
 * @throws RuntimeError `invalid-argument`.
 */
export function checkHostname(hostname: string): void {
  if (hostname === "") return;
  if (hostname.length > 64 || !/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(hostname)) {
    throw new RuntimeError(
      "invalid-argument",
      `config.hostname ${JSON.stringify(hostname.slice(0, 80))}: expected a DNS name of at most 64 characters`,
    );
  }
}

function isWord(text: string): boolean {
  return !/[\s\p{Cc}#;]/u.test(text);
}

function check(
  field: string,
  values: readonly string[],
  valid: (v: string) => boolean,
  expected: string,
): void {
  if (values.length > maxEntries) {
    throw new RuntimeError(
      "invalid-argument",
      `${field}: ${values.length} entries, at most ${maxEntries} are taken`,
    );
  }
  for (const value of values) {
    if (value !== "" && Buffer.byteLength(value) <= maxEntryBytes && valid(value)) continue;
    throw new RuntimeError(
      "invalid-argument",
      `${field}: ${JSON.stringify(value.slice(0, 80))} is not ${expected}`,
    );
  }
}
