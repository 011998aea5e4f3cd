/**
 * Pod networks: a CNI client (specification 1.1) and the embedded network for it.
 * Enters: the conflists and plugins of the configured folders, or none of them; a pod's namespace.
 * Leaves: the pod's addresses. Keeps: <root>/network/ (attachments, subnets, addresses of the embedded network).
 * Never: creates a network namespace, or runs a plugin that is not a plain name in the configured folders.
 *
 * The folders are read when somebody asks, not watched: a status call costs one readdir and a stat per
 * file, and a configuration that comes, breaks or changes is seen by the next call.
 */
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { RuntimeError, errorText } from "../errors/runtime-error.ts";
import type { Log } from "../log/log.ts";
import type { JsonObject } from "../oci/document.ts";
import { type AttachmentRecord, AttachmentRecords } from "./attachment.ts";
import {
  loadNetworkList,
  missingPlugins,
  type NetworkList,
  type PluginConfig,
  signature,
  versionAtLeast,
} from "./conflist.ts";
import { EmbeddedNetwork } from "./embedded.ts";
import type { HostNetwork } from "./host.ts";
import { bootTimeMs, hostLocalDirs, removeLeaked } from "./leaked-addresses.ts";
import { callPlugin, PluginError, pluginsEnded, type Verb } from "./plugin.ts";
import { capabilities, cniArgs, type PodAttachmentRequest } from "./request.ts";
import { podIps } from "./result.ts";

export type { PodAttachmentRequest, PortMapping } from "./request.ts";

const ifname = "eth0";
const nsfsMagic = 0x6e736673;
/** "Invalid environment": how plugins answer to a verb that they don't know. */
const unknownVerbCode = 4;
const notReady = "NetworkPluginNotReady";

export interface Attachment {
  /** Without prefix; IPv4 first. */
  readonly ips: string[];
  readonly networkName: string;
  readonly interfaceName: "eth0";
}

export interface NetworkStatus {
  readonly ready: boolean;
  /** One word for machines; "" when ready. */
  readonly reason: string;
  /** What is missing and where to put it; "" when ready. */
  readonly message: string;
}

export interface NetworkConfig {
  /** What is used while `confDirs` hold no configuration. */
  readonly default: "none" | "embedded";
  readonly confDirs: readonly string[];
  readonly binDirs: readonly string[];
  /** IPv4 subnets that the embedded network tries; empty: a list of its own. */
  readonly subnets: readonly string[];
  /** Names of this instance: its bridge, and the suffix of its nf_tables table and network. */
  readonly instance: { readonly suffix: string; readonly bridge: string };
  /** <root>/network */
  readonly cacheDir: string;
  /** Folder of our own plugins: the last of the folders that are searched. */
  readonly pluginDir: string;
  /** Limit of one plugin's call. A kubelet waits four minutes for the whole sandbox. */
  readonly pluginTimeoutMs?: number;
  /** How old the answer of the plugins' STATUS may be. */
  readonly probeIntervalMs?: number;
}

export interface NetworkOptions {
  readonly config: NetworkConfig;
  readonly log: Log;
  /** What the instances of this host share; another one in tests. */
  readonly host?: HostNetwork;
}

type Current =
  | { readonly kind: "list"; readonly list: NetworkList }
  | { readonly kind: "embedded" }
  | { readonly kind: "none"; readonly message: string };

export class Network {
  readonly #o: NetworkConfig;
  readonly #log: Log;
  readonly #binDirs: readonly string[];
  readonly #records: AttachmentRecords;
  readonly #embedded: EmbeddedNetwork;
  readonly #closed = new AbortController();
  #current: Current = { kind: "none", message: "the network was not opened" };
  #signature = "";
  #warned = "";
  #probe = { atMs: Number.NEGATIVE_INFINITY, running: false, problem: "" };

  constructor({ config, log, host }: NetworkOptions) {
    const { instance, cacheDir, pluginDir, subnets } = config;
    this.#o = config;
    this.#log = log.child({ room: "network" });
    this.#binDirs = [...config.binDirs, pluginDir];
    this.#records = new AttachmentRecords(join(cacheDir, "attachments"));
    this.#embedded = new EmbeddedNetwork({
      instance: instance.suffix,
      bridge: instance.bridge,
      table: `kobako${instance.suffix}`,
      stateDir: cacheDir,
      subnets,
      pluginDir,
      log: this.#log,
      ...(host === undefined ? {} : { host }),
    });
  }

  /** Reads the configurations once, so that the first status is the truth. */
  async open(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#records.open();
    this.#refresh();
    await this.#runProbe(signal);
  }

  /** Ends what runs in the background; networks stay as they are. */
  close(): void {
    this.#closed.abort();
  }

  // --- which network ---

  #refresh(): Current {
    const now = signature(this.#o.confDirs);
    // Not ready is always looked at again: a plugin's program may have arrived.
    if (this.#current.kind === "none" || now !== this.#signature) {
      this.#current = this.#load();
      this.#signature = now;
      this.#probe = { ...this.#probe, atMs: Number.NEGATIVE_INFINITY, problem: "" };
    }
    return this.#current;
  }

  #load(): Current {
    const { confDirs } = this.#o;
    const { list, problems } = loadNetworkList(confDirs);
    const current = this.#judge(list, problems);
    const warning = [...problems, current.kind === "none" ? current.message : ""].join("; ");
    if (warning !== this.#warned && problems.length > 0)
      this.#log.warn({ problems }, "CNI configuration is not usable");
    this.#warned = warning;
    if (current.kind === "list" && this.#current.kind !== "none")
      this.#log.info({ network: current.list.name, file: current.list.file }, "CNI configuration");
    return current;
  }

  #judge(list: NetworkList | undefined, problems: readonly string[]): Current {
    const { confDirs } = this.#o;
    if (list !== undefined) {
      const missing = missingPlugins(list, this.#binDirs);
      if (missing.length === 0) return { kind: "list", list };
      const message = `${list.file} needs CNI plugin ${missing.join(", ")}, which is not in ${this.#binDirs.join(", ")}`;
      return { kind: "none", message };
    }
    if (problems.length > 0)
      return { kind: "none", message: `no usable CNI configuration: ${problems.join("; ")}` };
    if (this.#o.default === "embedded") {
      const problem = this.#embedded.problem();
      return problem === undefined ? { kind: "embedded" } : { kind: "none", message: problem };
    }
    return {
      kind: "none",
      message:
        `no CNI configuration in ${confDirs.join(", ")}: install a network plugin, ` +
        'or set network.default = "embedded" to use the one that comes with kobako',
    };
  }

  /** Whether pods can get a network now, and if not, what is missing where. Reads the folders; runs nothing. */
  status(): NetworkStatus {
    const current = this.#refresh();
    if (current.kind === "none") return { ready: false, reason: notReady, message: current.message };
    if (current.kind === "embedded") {
      try {
        this.#embedded.list(false);
      } catch (error) {
        return { ready: false, reason: notReady, message: errorText(error) };
      }
    }
    void this.#runProbe(this.#closed.signal);
    const { problem } = this.#probe;
    return problem === ""
      ? { ready: true, reason: "", message: "" }
      : { ready: false, reason: notReady, message: problem };
  }

  /** Asks the plugins themselves (STATUS, since 1.1) once in a while; the next status() knows. Never throws. */
  async #runProbe(signal: AbortSignal): Promise<void> {
    const current = this.#current;
    const { atMs, running } = this.#probe;
    const interval = this.#o.probeIntervalMs ?? 10_000;
    if (current.kind !== "list" || running || performance.now() - atMs < interval) return;
    const { list } = current;
    if (!versionAtLeast(list.cniVersion, "1.1.0")) return;
    this.#probe = { ...this.#probe, running: true };
    let problem = "";
    try {
      await this.#eachPlugin(list.plugins, "STATUS", (plugin) =>
        this.#call(
          "STATUS",
          list,
          plugin,
          { ...plugin.conf, name: list.name, cniVersion: list.cniVersion },
          {},
          signal,
        ),
      );
    } catch (error) {
      if (!signal.aborted) problem = errorText(error);
    }
    // A configuration that was replaced meanwhile is asked anew.
    const same = this.#current === current;
    this.#probe = {
      atMs: same ? performance.now() : Number.NEGATIVE_INFINITY,
      running: false,
      problem: same ? problem : "",
    };
  }

  /** One after another; a plugin that doesn't know the verb has nothing to say. */
  async #eachPlugin(
    plugins: readonly PluginConfig[],
    verb: Verb,
    call: (plugin: PluginConfig) => Promise<unknown>,
  ): Promise<void> {
    for (const plugin of plugins) {
      try {
        await call(plugin);
      } catch (error) {
        if (error instanceof PluginError && error.code === unknownVerbCode) {
          this.#log.debug({ plugin: plugin.type, verb }, "CNI plugin does not know the verb");
        } else throw error;
      }
    }
  }

  /** Addresses for pods of the embedded network from now on. Other networks get theirs from their own files. */
  setPodCidr(cidr: string): void {
    if (this.#refresh().kind === "embedded") this.#embedded.setPodCidr(cidr);
  }

  // --- a pod ---

  /**
   * Attaches the pod's namespace: lo is up, eth0 has addresses, host ports lead to it. A failed ADD
   * is followed by DEL; what DEL could not do is kept for `detach` and `gc`.
   * @throws RuntimeError `unavailable` without a usable network; else what the plugin said, naming file and plugin.
   */
  async attach(request: PodAttachmentRequest, signal: AbortSignal): Promise<Attachment> {
    const current = this.#refresh();
    if (current.kind === "none")
      throw new RuntimeError("unavailable", `network is not ready: ${current.message}`);
    const ports = request.portMappings.filter((port) => port.hostPort !== 0);
    const embedded = current.kind === "embedded";
    const list = embedded ? this.#embedded.list(ports.length > 0) : current.list;
    const record: AttachmentRecord = {
      sandboxId: request.sandboxId,
      ifname,
      netnsPath: request.netnsPath,
      args: cniArgs(request),
      capabilities: capabilities(request, ports),
      list,
      embedded,
      result: undefined,
    };
    await this.#records.begin(record);
    try {
      const loopback = embedded ? undefined : this.#addLoopback(record, signal);
      const [added, up] = await Promise.allSettled([this.#add(record, signal), loopback]);
      if (added.status === "rejected") throw added.reason;
      if (up.status === "rejected") throw up.reason;
      const ips = podIps(added.value, `CNI result of ${list.file}`);
      this.#records.finish(record, added.value);
      return { ips, networkName: list.name, interfaceName: ifname };
    } catch (error) {
      // The caller's signal may be the reason: the undo has its own time.
      await this.detach(request.sandboxId, request.netnsPath, AbortSignal.timeout(this.#timeoutMs)).catch(
        (undo: unknown) =>
          this.#log.warn({ sandbox: request.sandboxId, error: undo }, "DEL after a failed ADD"),
      );
      throw error;
    }
  }

  get #timeoutMs(): number {
    return this.#o.pluginTimeoutMs ?? 60_000;
  }

  async #add(record: AttachmentRecord, signal: AbortSignal): Promise<JsonObject> {
    let result: JsonObject | undefined;
    for (const plugin of record.list.plugins) {
      result = await this.#callFor(record, plugin, "ADD", result, record.netnsPath, signal);
      if (result === undefined) {
        throw new RuntimeError(
          "internal",
          `CNI plugin ${plugin.type} of ${record.list.file}: ADD: no answer`,
        );
      }
    }
    if (result === undefined) throw new RuntimeError("internal", `${record.list.file} has no plugins`);
    return result;
  }

  /** Brings lo up. Our own plugin: it needs no configuration, and every pod needs lo whatever its network is. */
  async #addLoopback(record: AttachmentRecord, signal: AbortSignal): Promise<void> {
    await callPlugin(
      {
        verb: "ADD",
        type: "loopback",
        binDirs: [this.#o.pluginDir],
        conf: { cniVersion: "1.1.0", name: "lo", type: "loopback" },
        containerId: record.sandboxId,
        netns: record.netnsPath,
        ifname: "lo",
        file: "every pod",
        timeoutMs: this.#timeoutMs,
      },
      signal,
    );
  }

  #callFor(
    record: AttachmentRecord,
    plugin: PluginConfig,
    verb: Verb,
    prevResult: JsonObject | undefined,
    netns: string,
    signal: AbortSignal,
  ): Promise<JsonObject | undefined> {
    const { list } = record;
    const told = plugin.capabilities.filter((name) => Object.hasOwn(record.capabilities, name));
    const runtimeConfig = Object.fromEntries(told.map((name) => [name, record.capabilities[name]]));
    const conf = {
      ...plugin.conf,
      name: list.name,
      cniVersion: list.cniVersion,
      ...(prevResult === undefined ? {} : { prevResult }),
      ...(told.length === 0 ? {} : { runtimeConfig }),
    };
    const pod = { containerId: record.sandboxId, netns, ifname: record.ifname, args: record.args };
    return this.#call(verb, list, plugin, conf, pod, signal, record.embedded);
  }

  #call(
    verb: Verb,
    list: NetworkList,
    plugin: PluginConfig,
    conf: JsonObject,
    pod: { containerId?: string; netns?: string; ifname?: string; args?: string },
    signal: AbortSignal,
    embedded = false,
  ): Promise<JsonObject | undefined> {
    const binDirs = embedded ? [this.#o.pluginDir] : this.#binDirs;
    const call = {
      verb,
      type: plugin.type,
      binDirs,
      conf,
      ...pod,
      file: list.file,
      timeoutMs: this.#timeoutMs,
    };
    return callPlugin(call, signal);
  }

  /**
   * Gives the pod's network back with the configuration it was made with. A pod that is not attached is
   * success, a namespace that is gone too. An ADD that goes on without its caller is waited for. On failure the
   * record stays: call again.
   */
  async detach(sandboxId: string, netnsPath: string | undefined, signal: AbortSignal): Promise<void> {
    const record = this.#recordOf(sandboxId);
    if (record === undefined) return;
    // It would allocate what nobody gives back.
    if (record.result === undefined) await pluginsEnded(sandboxId, this.#timeoutMs, signal);
    const netns = await liveNetns(netnsPath ?? record.netnsPath);
    const prev = versionAtLeast(record.list.cniVersion, "0.4.0") ? record.result : undefined;
    for (const plugin of record.list.plugins.toReversed()) {
      await this.#callFor(record, plugin, "DEL", prev, netns, signal);
    }
    this.#records.remove(sandboxId);
  }

  /** The pod's record; one that is broken is made up from the network as it is now, without which it is given up. */
  #recordOf(sandboxId: string): AttachmentRecord | undefined {
    const record = this.#records.find(sandboxId);
    if (record !== "broken") return record;
    const current = this.#refresh();
    if (current.kind === "none") {
      this.#log.error(
        { sandbox: sandboxId, problem: current.message },
        "record of a pod's network is broken, and no network is there: what the pod had is not given back",
      );
      this.#records.remove(sandboxId);
      return undefined;
    }
    const embedded = current.kind === "embedded";
    const list = embedded ? this.#embedded.list(true) : current.list;
    this.#log.warn(
      { sandbox: sandboxId, network: list.name },
      "record of a pod's network is broken: it is given back as the network is now",
    );
    return {
      sandboxId,
      ifname,
      netnsPath: "",
      args: "",
      capabilities: {},
      list,
      embedded,
      result: undefined,
    };
  }

  /**
   * Asks the plugins whether the pod's network is still as they made it (CHECK).
   * @throws RuntimeError `not-found` when the pod is not attached; else what the plugin said.
   */
  async check(sandboxId: string, signal: AbortSignal): Promise<void> {
    const record = this.#records.find(sandboxId);
    if (record === undefined || record === "broken" || record.result === undefined) {
      throw new RuntimeError("not-found", "sandbox is not attached to a network", {
        subject: { sandbox: sandboxId },
      });
    }
    const { list, result, netnsPath } = record;
    if (list.disableCheck || !versionAtLeast(list.cniVersion, "0.4.0")) return;
    for (const plugin of list.plugins)
      await this.#callFor(record, plugin, "CHECK", result, netnsPath, signal);
  }

  // --- what is left over ---

  /** Sandbox ids of all attachments that were not given back yet. */
  attached(): string[] {
    return this.#records.list();
  }

  /**
   * Gives back what no DEL will: addresses of the embedded network that neither an attachment nor one of
   * `liveSandboxIds` has, and those of host-local from before the boot. While no `attach` is under way: what that has
   * taken would be given back, too. Failures are logged; the next start repeats it.
   */
  async gc(liveSandboxIds: readonly string[], signal: AbortSignal): Promise<void> {
    const attached = this.#records.list();
    const known = new Set([...liveSandboxIds, ...attached]);
    const lists = new Map<string, NetworkList>();
    let embedded: NetworkList | undefined;
    for (const id of attached) {
      const record = this.#records.find(id);
      if (record === undefined || record === "broken") continue;
      if (record.embedded) embedded = record.list;
      else lists.set(record.list.name, record.list);
    }
    const current = this.#refresh();
    if (current.kind === "list") lists.set(current.list.name, current.list);
    if (current.kind === "embedded") embedded = this.#embedded.list(true);
    if (embedded !== undefined) await this.#collect(embedded, known, signal);
    for (const list of lists.values()) this.#removeLeaked(list, known);
  }

  /**
   * The verb GC, for the embedded network only: plugins take everything for stale that is not in the list, and of a
   * configured network there may be other users, whose attachments we don't know. Ours are given back by DEL.
   */
  async #collect(list: NetworkList, known: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    const valid = [...known].map((containerID) => ({ containerID, ifname }));
    try {
      await this.#eachPlugin(list.plugins, "GC", (plugin) => {
        const conf = {
          ...plugin.conf,
          name: list.name,
          cniVersion: list.cniVersion,
          "cni.dev/valid-attachments": valid,
        };
        return this.#call("GC", list, plugin, conf, {}, signal, true);
      });
    } catch (error) {
      this.#log.warn({ network: list.name, error }, "collecting what is left of a network");
    }
  }

  #removeLeaked(list: NetworkList, known: ReadonlySet<string>): void {
    for (const dir of hostLocalDirs(list)) {
      const addresses = removeLeaked(dir, known, bootTimeMs());
      if (addresses.length > 0)
        this.#log.info({ addresses, dir }, "addresses of before the boot: given back");
    }
  }

  /** For `kobako reset`, after all pods are gone: removes the embedded network of this instance. */
  async removeAll(signal: AbortSignal): Promise<void> {
    await this.#embedded.remove(signal);
  }
}

/** The path when a namespace is there, else "": plugins are told that it is gone, never something else. */
async function liveNetns(path: string): Promise<string> {
  try {
    return (await statfs(path)).type === nsfsMagic ? path : "";
  } catch {
    return "";
  }
}
