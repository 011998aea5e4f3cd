/**
 * Attachments on disk: what was asked of the plugins, written before ADD, so that DEL says the same
 * when the configuration has changed, the daemon was killed or the node was rebooted in between.
 * Keeps: <root>/network/attachments/<sandbox id>.json
 */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { RuntimeError } from "../errors/runtime-error.ts";
import { Fields, type JsonObject } from "../oci/document.ts";
import { isPlainName, type NetworkList, parseNetworkList } from "./conflist.ts";
import { readJson, removeHalfWritten, writeJson } from "./files.ts";

export interface AttachmentRecord {
  readonly sandboxId: string;
  readonly ifname: string;
  readonly netnsPath: string;
  /** CNI_ARGS. */
  readonly args: string;
  /** By capability name; a plugin is told those it wants. */
  readonly capabilities: JsonObject;
  readonly list: NetworkList;
  /** The network is our own: plugins are ours too. */
  readonly embedded: boolean;
  /** What the last plugin answered; undefined until ADD is done. */
  readonly result: JsonObject | undefined;
}

export class AttachmentRecords {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Clears what a crash left half written. */
  open(): void {
    removeHalfWritten(this.#dir);
  }

  #path(sandboxId: string): string {
    if (!isPlainName(sandboxId)) {
      throw new RuntimeError("invalid-argument", `sandbox id ${JSON.stringify(sandboxId)} is no plain name`);
    }
    return join(this.#dir, `${sandboxId}.json`);
  }

  write(record: AttachmentRecord): void {
    const { list, ...rest } = record;
    const plugins = list.plugins.map((plugin) => plugin.conf);
    const { name, cniVersion, disableCheck, disableGc, file } = list;
    writeJson(this.#path(record.sandboxId), {
      ...rest,
      list: { name, cniVersion, disableCheck, disableGC: disableGc, plugins },
      file,
    });
  }

  /** @throws RuntimeError `internal` when the file is broken. */
  find(sandboxId: string): AttachmentRecord | undefined {
    const path = this.#path(sandboxId);
    const object = readJson(path);
    if (object === undefined) return undefined;
    const fields = new Fields(object, path);
    try {
      return {
        sandboxId,
        ifname: fields.text("ifname"),
        netnsPath: fields.text("netnsPath"),
        args: fields.text("args"),
        capabilities: (object.capabilities ?? {}) as JsonObject,
        list: parseNetworkList(JSON.stringify(object.list ?? {}), fields.text("file")),
        embedded: object.embedded === true,
        result: fields.object("result") ? (object.result as JsonObject) : undefined,
      };
    } catch (cause) {
      throw new RuntimeError("internal", `${path} is broken`, { cause });
    }
  }

  remove(sandboxId: string): void {
    rmSync(this.#path(sandboxId), { force: true });
  }

  /** Sandbox ids of all records. */
  list(): string[] {
    let names: string[];
    try {
      names = readdirSync(this.#dir);
    } catch {
      return [];
    }
    return names.filter((name) => name.endsWith(".json")).map((name) => name.slice(0, -".json".length));
  }
}
