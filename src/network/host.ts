/**
 * What the instances of one host share: which subnets are taken, and the forwarding switches.
 * Keeps: /run/kobako-network/<instance>.json (a claim), forwarding.json (values before the first of us).
 * Both end with a reboot, as the switches themselves do.
 */
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RuntimeError } from "../errors/runtime-error.ts";
import { Fields } from "../oci/document.ts";
import { readJson, writeJson } from "./files.ts";
import { parseSubnet4, type Subnet4 } from "./subnet.ts";

const forwarding4 = "net/ipv4/ip_forward";
const forwarding6 = "net/ipv6/conf/all/forwarding";

export interface HostPaths {
  readonly shared: string;
  readonly sysctl: string;
}
export const hostPaths: HostPaths = { shared: "/run/kobako-network", sysctl: "/proc/sys" };

export class HostNetwork {
  readonly #paths: HostPaths;
  readonly #name: string;

  /** @param instance the suffix of this instance's names, "" for the default one. */
  constructor(instance: string, paths: HostPaths = hostPaths) {
    this.#paths = paths;
    this.#name = instance === "" ? "default" : instance.replace(/^-/, "");
  }

  #claimFile(name: string): string {
    return join(this.#paths.shared, `${name}.json`);
  }

  /** Subnets of other instances that are still there. */
  othersSubnets(): Subnet4[] {
    return this.#others().map(({ subnet }) => parseSubnet4(subnet));
  }

  /** Claims of other instances. One whose root was deleted by hand is no claim: its file goes too. */
  #others(): { subnet: string }[] {
    return this.#otherNames().flatMap((name) => {
      const object = readJson(this.#claimFile(name));
      if (object === undefined) return [];
      const claim = new Fields(object, this.#claimFile(name));
      if (existsSync(claim.text("file"))) return [{ subnet: claim.text("subnet") }];
      rmSync(this.#claimFile(name), { force: true });
      return [];
    });
  }

  #otherNames(): string[] {
    let names: string[];
    try {
      names = readdirSync(this.#paths.shared);
    } catch {
      return [];
    }
    return names
      .filter((name) => name.endsWith(".json") && name !== "forwarding.json")
      .map((name) => name.slice(0, -".json".length))
      .filter((name) => name !== this.#name);
  }

  /** @param file the record that says the subnet is still ours. */
  claim(subnet: string, file: string): void {
    writeJson(this.#claimFile(this.#name), { subnet, file });
  }

  #read(key: string): string | undefined {
    try {
      return readFileSync(join(this.#paths.sysctl, key), "utf8").trim();
    } catch {
      return undefined; // no IPv6 here
    }
  }

  #write(key: string, value: string): void {
    try {
      writeFileSync(join(this.#paths.sysctl, key), value);
    } catch (cause) {
      throw new RuntimeError("failed-precondition", `set sysctl ${key} to ${value}`, { cause });
    }
  }

  /**
   * Lets the host forward. A host that forwards IPv6 ignores router advertisements unless accept_ra
   * is 2: links that lived by them (accept_ra 1) are set so, else the host would lose its own route.
   */
  enableForwarding(ipv6: boolean): void {
    const wanted = new Map<string, string>();
    if (this.#read(forwarding4) === "0") wanted.set(forwarding4, "1");
    if (ipv6 && this.#read(forwarding6) === "0") {
      for (const link of this.#links()) {
        const key = `net/ipv6/conf/${link}/accept_ra`;
        if (this.#read(key) === "1") wanted.set(key, "2");
      }
      wanted.set(forwarding6, "1");
    }
    if (wanted.size === 0) return;
    const file = join(this.#paths.shared, "forwarding.json");
    const before = Object.fromEntries([...wanted.keys()].map((key) => [key, this.#read(key) ?? ""]));
    writeJson(file, { ...before, ...readJson(file) });
    for (const [key, value] of wanted) this.#write(key, value);
  }

  /** Links that are no part of a bridge or pod: those of hardware and tunnels. */
  #links(): string[] {
    try {
      return readdirSync(join(this.#paths.sysctl, "net/ipv6/conf")).filter(
        (name) => name !== "all" && name !== "default" && name !== "lo" && !name.startsWith("veth"),
      );
    } catch {
      return [];
    }
  }

  /** Gives the claim back; the last one restores the switches. */
  release(): void {
    rmSync(this.#claimFile(this.#name), { force: true });
    if (this.#others().length > 0) return;
    const file = join(this.#paths.shared, "forwarding.json");
    const before = Object.entries(readJson(file) ?? {});
    // Forwarding last set is restored first: accept_ra matters only without it.
    for (const [key, value] of before.reverse()) {
      if (typeof value === "string" && this.#read(key) !== undefined) this.#write(key, value);
    }
    rmSync(file, { force: true });
    try {
      rmdirSync(this.#paths.shared);
    } catch {
      // Gone already, or an instance came in between.
    }
  }
}
