/** Calls of our plugins inside a namespace that plays the node. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Netns, type Ran, ran } from "./netns.ts";

/** KOBAKO_CNI_DIR: another build of them, such as build/asan/cni. */
export const pluginDir = process.env.KOBAKO_CNI_DIR ?? join(import.meta.dirname, "../../../build/cni");
if (!existsSync(join(pluginDir, "bridge"))) throw new Error(`${pluginDir}: not built, run make -C native`);

export type Conf = Record<string, unknown>;

export interface Result {
  readonly interfaces: { readonly name: string; readonly mac: string; readonly sandbox?: string }[];
  readonly ips: { readonly address: string; readonly gateway?: string }[];
}

export class Plugins {
  readonly #node: Netns;
  readonly #path: string;

  constructor(node: Netns, path = pluginDir) {
    this.#node = node;
    this.#path = path;
  }

  env(command: string, id: string, netns: string): Record<string, string> {
    return {
      CNI_COMMAND: command,
      CNI_CONTAINERID: id,
      CNI_NETNS: netns,
      CNI_IFNAME: "eth0",
      CNI_PATH: this.#path,
    };
  }

  call(plugin: string, command: string, id: string, netns: string, conf: Conf | string): Promise<Ran> {
    const input = typeof conf === "string" ? conf : JSON.stringify(conf);
    return ran(...this.#node.inside(join(pluginDir, plugin)), input, this.env(command, id, netns));
  }

  /** The answer of a call that must succeed. */
  async ok(plugin: string, command: string, id: string, netns: string, conf: Conf): Promise<Result> {
    const { code, out } = await this.call(plugin, command, id, netns, conf);
    if (code !== 0) throw new Error(`${plugin} ${command} ${id}: ${out}`);
    return (out === "" ? {} : JSON.parse(out)) as Result;
  }
}

export function ipsOf(result: Result): string[] {
  return result.ips.map(({ address }) => address.split("/")[0] ?? "");
}
