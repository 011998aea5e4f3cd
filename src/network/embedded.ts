/**
 * The embedded network: our own plugins on a dual-stack bridge of this instance.
 * Keeps: <root>/network/subnet.json (the subnets, chosen once) and <root>/network/addresses (host-local).
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { RuntimeError, errorKind } from "../errors/runtime-error.ts";
import type { Log } from "../log/log.ts";
import { Fields } from "../oci/document.ts";
import { run } from "../process/spawn.ts";
import { type NetworkList, parseNetworkList } from "./conflist.ts";
import { readJson, writeJson } from "./files.ts";
import { HostNetwork } from "./host.ts";
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
  type Subnet4,
} from "./subnet.ts";

/** What is recorded, and given to host-local. */
export interface EmbeddedSubnets {
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
  /** Given by the kubelet: other nodes may route to the pods. */
  readonly podCidr: boolean;
}

export interface EmbeddedOptions {
  /** Suffix of this instance's names, "" for the default one. */
  readonly instance: string;
  readonly bridge: string;
  readonly table: string;
  readonly stateDir: string;
  /** IPv4 subnets to try; empty: our own list. */
  readonly subnets: readonly string[];
  /** Folder of our own plugins. */
  readonly pluginDir: string;
  readonly host?: HostNetwork;
  readonly log: Log;
}

/** The conflist as data. Pure. */
export function embeddedConflist(
  o: Pick<EmbeddedOptions, "bridge" | "table" | "instance" | "stateDir">,
  subnets: EmbeddedSubnets,
  mtu: number | undefined,
  hostPorts: boolean,
): Record<string, unknown> {
  const ranges = [subnets.ipv4, subnets.ipv6].flatMap((subnet) =>
    subnet === undefined ? [] : [[{ subnet }]],
  );
  const bridge = {
    type: "bridge",
    bridge: o.bridge,
    nftTable: o.table,
    isDefaultGateway: true,
    ipMasq: true,
    hairpinMode: true, // a pod reaches itself by its own host port, also with br_netfilter
    keepAddresses: true, // a new pod CIDR must not cut off the pods of the old one
    loopback: true,
    linkEndsWithNetns: true, // a sandbox's namespace never outlives its network
    ...(mtu === undefined ? {} : { mtu }),
    ipam: { type: "host-local", dataDir: join(o.stateDir, "addresses"), ranges },
  };
  const portmap = {
    type: "portmap",
    nftTable: o.table,
    capabilities: { portMappings: true },
    // Without routes from other nodes, whoever reaches a pod's address from outside does so uninvited.
    isolateLoopback: !subnets.podCidr,
  };
  // A pod without host ports needs no portmap: one exec less.
  return {
    cniVersion: "1.1.0",
    name: `kobako${o.instance}`,
    plugins: hostPorts ? [bridge, portmap] : [bridge],
  };
}

function readProc(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** undefined: no such file. @throws RuntimeError `invalid-argument` when it doesn't name subnets. */
function readSubnets(file: string): EmbeddedSubnets | undefined {
  const object = readJson(file);
  if (object === undefined) return undefined;
  const fields = new Fields(object, file);
  const ipv4 = fields.text("ipv4");
  const ipv6 = fields.text("ipv6");
  if (ipv4 === "" && ipv6 === "") throw new RuntimeError("invalid-argument", `${file} names no subnet`);
  if (ipv4 !== "") parseSubnet4(ipv4);
  return {
    ipv4: ipv4 === "" ? undefined : ipv4,
    ipv6: ipv6 === "" || !existsSync("/proc/net/if_inet6") ? undefined : ipv6,
    podCidr: object.podCidr === true,
  };
}

export class EmbeddedNetwork {
  readonly #o: EmbeddedOptions;
  readonly #host: HostNetwork;
  readonly #file: string;
  #subnets: EmbeddedSubnets | undefined;

  constructor(o: EmbeddedOptions) {
    this.#o = o;
    this.#host = o.host ?? new HostNetwork(o.instance);
    this.#file = join(o.stateDir, "subnet.json");
  }

  /** Why the embedded network can't work here; undefined: it can. */
  problem(): string | undefined {
    const bridge = join(this.#o.pluginDir, "bridge");
    if (!existsSync(bridge)) return `the embedded network's plugin ${bridge} is missing`;
    return undefined;
  }

  /**
   * The configuration for a pod. The first call chooses the subnets and lets the host forward.
   * @throws RuntimeError `resource-exhausted` when every subnet is in use.
   */
  list(hostPorts: boolean): NetworkList {
    const subnets = this.#ensure();
    const conflist = embeddedConflist(this.#o, subnets, this.#mtu(), hostPorts);
    return parseNetworkList(JSON.stringify(conflist), `embedded network (${this.#file})`);
  }

  /** Pods must not send what the way out can't carry: the MTU of the default route's link. */
  #mtu(): number | undefined {
    const link = defaultLink(readProc("/proc/net/route"));
    const mtu = link === undefined ? Number.NaN : Number(readProc(`/sys/class/net/${link}/mtu`).trim());
    return Number.isInteger(mtu) && mtu >= 1280 && mtu < 1500 ? mtu : undefined;
  }

  #ensure(): EmbeddedSubnets {
    if (this.#subnets !== undefined) return this.#subnets;
    const recorded = this.#recorded();
    const subnets = recorded ?? this.#choose();
    if (recorded === undefined) writeJson(this.#file, subnets);
    if (subnets.ipv4 !== undefined) this.#host.claim(subnets.ipv4, this.#file);
    this.#host.enableForwarding(subnets.ipv6 !== undefined);
    this.#subnets = subnets;
    this.#o.log.info({ ...subnets, bridge: this.#o.bridge }, "embedded network");
    return subnets;
  }

  #recorded(): EmbeddedSubnets | undefined {
    let subnets: EmbeddedSubnets | undefined;
    try {
      subnets = readSubnets(this.#file);
    } catch (error) {
      if (errorKind(error) !== "invalid-argument") throw error;
      // No power cut leaves pods that have these addresses.
      this.#o.log.warn({ error }, "the record of the embedded network's subnets is broken: chosen anew");
    }
    if (subnets?.ipv4 === undefined) return subnets;
    const own = parseSubnet4(subnets.ipv4);
    const clash = this.#used().find((used) => overlap(used, own));
    if (clash !== undefined) {
      // Kept: pods have these addresses. Whoever added the other network must know.
      this.#o.log.warn(
        { subnet: subnets.ipv4, other: printSubnet4(clash) },
        "the embedded network's subnet is in use elsewhere",
      );
    }
    return subnets;
  }

  /** Everything that has addresses on this host, our own bridge apart. */
  #used(): Subnet4[] {
    const own = this.#o.bridge;
    const addresses = Object.entries(networkInterfaces()).flatMap(([link, list]) =>
      link === own ? [] : (list ?? []).flatMap((a) => (a.family === "IPv4" && a.cidr ? [a.cidr] : [])),
    );
    const links = addresses.map((cidr) => {
      const [address = ""] = cidr.split("/");
      // Lengths outside what a pod network may have are single hosts or whole networks: taken as they are.
      const prefix = Math.min(30, Math.max(8, Number(cidr.split("/")[1])));
      return parseSubnet4(`${address}/${prefix}`);
    });
    return [...links, ...parseRoutes(readProc("/proc/net/route"), own), ...this.#host.othersSubnets()];
  }

  #choose(): EmbeddedSubnets {
    const list =
      this.#o.subnets.length > 0 ? this.#o.subnets.map(parseSubnet4) : candidates(this.#o.instance);
    const free = firstFree(list, this.#used());
    if (free === undefined) {
      throw new RuntimeError(
        "resource-exhausted",
        "the embedded network finds no free subnet: name others with network.subnets",
      );
    }
    const ipv6 = existsSync("/proc/net/if_inet6") ? randomUla(randomBytes(5)) : undefined;
    return { ipv4: printSubnet4(free), ipv6, podCidr: false };
  }

  /**
   * The addresses for pods from now on; those that run keep theirs. Called with every UpdateRuntimeConfig.
   * @throws RuntimeError `invalid-argument`.
   */
  setPodCidr(cidr: string): void {
    const given = { ...parsePodCidr(cidr), podCidr: true };
    const now = this.#subnets ?? this.#recorded();
    if (now?.podCidr && now.ipv4 === given.ipv4 && now.ipv6 === given.ipv6) return;
    writeJson(this.#file, given);
    this.#subnets = undefined;
    this.#o.log.info({ cidr }, "pod CIDR for the embedded network");
  }

  /** Removes bridge, nf_tables table, addresses and records of this instance; what is gone already is success. */
  async remove(signal: AbortSignal): Promise<void> {
    const { pluginDir, bridge, table, stateDir } = this.#o;
    const program = join(pluginDir, "kobako-cni");
    // Never used here, and no program that could have: nothing to remove.
    if (!existsSync(this.#file) && !existsSync(program)) return;
    const result = await run(program, ["remove", bridge, table], { timeoutMs: 10_000 }, signal);
    if (result.code !== 0) {
      throw new RuntimeError(
        "internal",
        `remove the embedded network: ${result.stderr.toString("utf8").trim()}`,
      );
    }
    rmSync(join(stateDir, "addresses"), { recursive: true, force: true });
    rmSync(this.#file, { force: true });
    this.#subnets = undefined;
    this.#host.release();
  }
}
