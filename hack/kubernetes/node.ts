/**
 * A Kubernetes node on this machine, everything of it below one folder, several side by side: kobako by a
 * configuration file as a user would write it, an unmodified kubelet, a registry with images made on the spot and,
 * where asked for, a whole control plane. All servers listen on loopback.
 * Keeps: DIR/node.json (ports, cgroup root), kobako.toml, kobako/ (see own-daemon.ts), kubelet.yaml, kubelet/,
 * manifests/, pod-logs/, pki/, admin.conf, etcd/, registry/, log/, run/.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { mkdir, readdir, rm, rmdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { mountPoints } from "../leftovers.ts";
import { type OwnDaemon, ownPid, startOwn, stopOwn } from "../own-daemon.ts";
import { run } from "../run.ts";
import { makePki, type Pki } from "./certificates.ts";
import { type ProxyMode, startControlPlane, startProxy, stopProxy } from "./control-plane.ts";
import { pushImages, registryName } from "./images.ts";
import { kubeletFolders, type KubeletFolders, startKubelet } from "./kubelet.ts";
import { claimMachine, makeCgroupRoot, releaseMachine, removeCgroupRoot, removeLogLinks } from "./machine.ts";
import { choosePorts, type Ports } from "./ports.ts";
import { answers, Processes } from "./processes.ts";
import { programs } from "./programs.ts";

/** The name by which the API server reaches the kubelet: resolves to loopback on every machine. */
export const nodeName = "localhost";

export interface NodeOptions {
  /** The kubelet's port; the other servers' follow it. Missing: any free ones. */
  readonly port?: number | undefined;
  /** Of the kubelet. Missing: one that the folder's path gives. */
  readonly cgroupRoot?: string;
  /** kobako's configuration. Missing: the one that `kobakoConfiguration` writes. */
  readonly config?: string | undefined;
  /** Runtime handlers beside the ones that are always there: paths of programs by handler. */
  readonly handlers?: Readonly<Record<string, string>>;
  /** Another runtime's socket instead of a kobako of its own. */
  readonly runtimeSocket?: string;
  readonly featureGates?: Readonly<Record<string, boolean>>;
  readonly controlPlane?: boolean;
  readonly proxy?: ProxyMode | undefined;
  /** Also the image with agnhost, 60 MB. */
  readonly agnhost?: boolean;
  /** kobako's command, where it is not the checkout's build. */
  readonly kobako?: string;
}

/** What a later program, or a later start, must know. */
interface Kept {
  readonly ports: Ports;
  readonly cgroupRoot: string;
  readonly options: NodeOptions;
}

/** What someone would write who has a registry beside the node and more runtime handlers than the one. */
function kobakoConfiguration(registryPort: number, handlers: Readonly<Record<string, string>>): string {
  const others = Object.entries(handlers).map(
    ([name, path]) => `[runtimes.${name}]\ntype = "oci"\npath = "${path}"\n\n`,
  );
  return `# kobako on this node
[network]
default = "embedded"

[registries."${registryName}"]
mirrors = ["http://127.0.0.1:${registryPort}"]

# For RuntimeClass objects with "handler: second".
[runtimes.second]
type = "builtin"

${others.join("")}[log]
calls = "changes"
`;
}

export class Node {
  readonly folder: string;
  readonly processes: Processes;
  readonly ports: Ports;
  readonly cgroupRoot: string;
  readonly pki: Pki;
  readonly folders: KubeletFolders;
  readonly #options: NodeOptions;

  private constructor(folder: string, kept: Kept, pki: Pki) {
    this.folder = folder;
    this.processes = new Processes(folder);
    this.ports = kept.ports;
    this.cgroupRoot = kept.cgroupRoot;
    this.pki = pki;
    this.folders = kubeletFolders(folder);
    this.#options = kept.options;
  }

  /** The node below `root`, as it was made there. @throws when there is none. */
  static async at(root: string): Promise<Node> {
    const folder = existsSync(root) ? realpathSync(root) : resolve(root);
    const file = join(folder, "node.json");
    if (!existsSync(file)) throw new Error(`${folder}: no node was made there`);
    const kept = JSON.parse(readFileSync(file, "utf8")) as Kept;
    return new Node(folder, kept, await makePki(join(folder, "pki"), nodeName));
  }

  /** Makes one below `root` and starts it, or starts what does not run of the one that is there. */
  static async up(root: string, o: NodeOptions = {}): Promise<Node> {
    await mkdir(root, { recursive: true, mode: 0o711 });
    const folder = realpathSync(root);
    const file = join(folder, "node.json");
    if (!existsSync(file)) {
      const id = createHash("sha256").update(folder).digest("hex").slice(0, 8);
      const cgroupRoot = o.cgroupRoot ?? `/kobako-kubelet-${id}`;
      const kept: Kept = { ports: await choosePorts(o.port), cgroupRoot, options: o };
      await writeFile(file, JSON.stringify(kept));
    }
    const node = await Node.at(folder);
    await node.start();
    return node;
  }

  get registryUrl(): string {
    return `http://127.0.0.1:${this.ports.registry}`;
  }

  /** kobako's folder: its socket, log, root and state stand in it. */
  get kobakoFolder(): string {
    return join(this.folder, "kobako");
  }

  get socket(): string {
    return this.#options.runtimeSocket ?? join(this.kobakoFolder, "kobako.sock");
  }

  get adminConfig(): string {
    return join(this.folder, "admin.conf");
  }

  get #id(): string {
    return this.cgroupRoot.slice(1);
  }

  /** Starts everything that does not run, in the order of their needs. */
  async start(): Promise<void> {
    const o = this.#options;
    claimMachine(this.#id, this.folder);
    await this.#startRegistry();
    await this.startKobako();
    if (o.controlPlane === true) await startControlPlane(this.processes, this.pki, this.ports, nodeName);
    await this.startKubelet();
    if (o.proxy !== undefined) await this.startProxy(o.proxy);
  }

  /** Does nothing with another's runtime. */
  async startKobako(): Promise<OwnDaemon | undefined> {
    const o = this.#options;
    if (o.runtimeSocket !== undefined) return undefined;
    const file = join(this.folder, "kobako.toml");
    if (!existsSync(file))
      await writeFile(
        file,
        o.config === undefined
          ? kobakoConfiguration(this.ports.registry, o.handlers ?? {})
          : readFileSync(o.config, "utf8"),
      );
    return await startOwn(this.kobakoFolder, {
      config: file,
      ...(o.kobako === undefined ? {} : { program: o.kobako }),
    });
  }

  /** Sends `signal` and waits for the end of kobako's process; its pods go on. */
  async killKobako(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const pid = ownPid(this.kobakoFolder);
    if (pid === undefined) throw new Error("kobako does not run");
    process.kill(pid, signal);
    const deadline = performance.now() + 15_000;
    while (ownPid(this.kobakoFolder) !== undefined) {
      if (performance.now() > deadline) throw new Error(`kobako (${pid}) lives 15 s after ${signal}`);
      await delay(10);
    }
  }

  async stopKubelet(signal?: NodeJS.Signals): Promise<void> {
    await this.processes.stop("kubelet", signal);
  }

  async startKubelet(): Promise<number> {
    const o = this.#options;
    const [program = ""] = await programs(["kubelet"]);
    for (const path of [this.folders.root, this.folders.manifests, this.folders.podLogs])
      await mkdir(path, { recursive: true });
    makeCgroupRoot(this.cgroupRoot);
    return await startKubelet(this.processes, {
      program,
      folder: this.folder,
      socket: this.socket,
      node: nodeName,
      ports: this.ports,
      pki: this.pki,
      cgroupRoot: this.cgroupRoot,
      kubeconfig: o.controlPlane === true ? join(this.folder, "kubelet.conf") : undefined,
      featureGates: o.featureGates ?? {},
    });
  }

  async startProxy(mode: ProxyMode): Promise<void> {
    await startProxy(this.processes, this.ports, nodeName, mode);
  }

  async stopProxy(): Promise<void> {
    await stopProxy(this.processes);
  }

  async #startRegistry(): Promise<void> {
    if (this.processes.pid("registry") !== undefined) return;
    const folder = join(this.folder, "registry");
    await mkdir(join(folder, "data"), { recursive: true });
    const config = join(folder, "config.yml");
    await writeFile(
      config,
      JSON.stringify({
        version: "0.1",
        log: { level: "warn", accesslog: { disabled: true } },
        storage: { filesystem: { rootdirectory: join(folder, "data") } },
        http: { addr: `127.0.0.1:${this.ports.registry}`, secret: "loopback only" },
      }),
    );
    await this.processes.start("registry", ["docker-registry", "serve", config], {
      env: { OTEL_TRACES_EXPORTER: "none" },
      ready: () => answers(`${this.registryUrl}/v2/`),
      timeoutMs: 15_000,
    });
    const [agnhost] = this.#options.agnhost === true ? await programs(["agnhost"]) : [];
    await pushImages(this.registryUrl, agnhost);
  }

  /** Ends everything, and removes every trace of it but files of others in the folder. May be called again. */
  async down(): Promise<void> {
    await stopProxy(this.processes);
    // The kubelet first: it would start again what is removed below it.
    await this.processes.stop("kubelet");
    for (const name of ["kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"])
      await this.processes.stop(name);
    await stopOwn(this.kobakoFolder);
    await this.processes.stop("registry");
    await unmountBelow(this.folder);
    removeLogLinks(this.folders.podLogs);
    await removeCgroupRoot(this.cgroupRoot);
    for (const name of ours) await rm(join(this.folder, name), { recursive: true, force: true });
    if ((await readdir(this.folder)).length === 0) await rmdir(this.folder);
    releaseMachine(this.#id);
  }
}

const ours = [
  "node.json",
  "kobako.toml",
  "kobako",
  "kubelet.yaml",
  "kubelet.conf",
  "admin.conf",
  "kube-proxy.yaml",
  "kubelet",
  "manifests",
  "pod-logs",
  "volume-plugins",
  "pki",
  "etcd",
  "registry",
  "log",
  "run",
  ".kube",
] as const;

/**
 * What the kubelet has mounted: volumes of pods that are no more, and its own folder on itself where / is private.
 * @throws when one is busy for 10 s.
 */
async function unmountBelow(folder: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const [last] = mountPoints()
      .filter((path) => path.startsWith(`${folder}/`))
      .toReversed();
    if (last === undefined) return;
    const { code, output } = await run(["umount", last]);
    if (code !== 0 && performance.now() > deadline)
      throw new Error(`${last} stays mounted: ${output.trim()}`);
    if (code !== 0) await delay(50); // namespaces of pods that have just ended still hold it
  }
}
