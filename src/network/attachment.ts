/**
 * Attachments on disk: what was asked of the plugins, written before ADD, so that DEL says the same
 * when the configuration has changed, the daemon was killed or the node was rebooted in between.
 * Keeps: <root>/network/attachments/<sandbox id>.json
 */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { RuntimeError, errorKind } from "../errors/runtime-error.ts";
import { Fields, type JsonObject } from "../oci/document.ts";
import { isPlainName, type NetworkList, parseNetworkList } from "./conflist.ts";
import { readJson, removeHalfWritten, writeJson, writeJsonSynced } from "./files.ts";

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

function toJson({ list, ...rest }: AttachmentRecord): JsonObject {
  const { name, cniVersion, disableCheck, file } = list;
  const plugins = list.plugins.map((plugin) => plugin.conf);
  return { ...rest, list: { name, cniVersion, disableCheck, plugins }, file };
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

  /**
   * The intent, before ADD. It is brought to the disk where others keep what ADD makes: their addresses are given back
   * after a power cut, too. What the embedded network makes ends with the boot, or is in a folder that GC goes through.
   */
  async begin(record: AttachmentRecord): Promise<void> {
    const path = this.#path(record.sandboxId);
    if (record.embedded) writeJson(path, toJson(record));
    else await writeJsonSynced(path, toJson(record));
  }

  /** The fact, after ADD. A power cut may break it: DEL does without the result. */
  finish(record: AttachmentRecord, result: JsonObject): void {
    writeJson(this.#path(record.sandboxId), toJson({ ...record, result }));
  }

  /** "broken": it doesn't say what was asked. @throws RuntimeError `internal` when the file can't be read. */
  find(sandboxId: string): AttachmentRecord | "broken" | undefined {
    const path = this.#path(sandboxId);
    try {
      const object = readJson(path);
      if (object === undefined) return undefined;
      const fields = new Fields(object, path);
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
    } catch (error) {
      if (errorKind(error) === "invalid-argument") return "broken";
      throw error;
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
