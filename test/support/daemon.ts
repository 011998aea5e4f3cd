/**
 * A real daemon on a root of its own, as hack/up starts one: embedded network, everything below one
 * folder, gone at the end. Several run side by side.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, realpathSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type CriClient, criClient } from "./cri-client.ts";
import { removeCgroups, type Scope } from "./host.ts";
import { instanceNames } from "../../src/config/instance.ts";
import { expectNoLeak, type Snapshot, snapshot } from "./oracle.ts";
import { ownName, recordRoot } from "./run.ts";
import { type TempDir, tempDir } from "./temp-dir.ts";
import { within } from "./slowness.ts";

const repository = join(import.meta.dirname, "../..");
/** The built command: tests run what is shipped. */
export const kobako = join(repository, "build/bin/kobako");

export interface DaemonOptions {
  /** TOML, after what the fixture itself sets. */
  readonly config?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** More flags of `kobako daemon`. */
  readonly flags?: readonly string[];
  /** Default "embedded". */
  readonly network?: "embedded" | "none";
  /** How long it may take to serve. */
  readonly startTimeoutMs?: number;
  /** Below which folder everything stands; default: the system's folder for temporary files. */
  readonly parent?: string;
  /** Default: folders beside the others. */
  readonly root?: string;
  readonly state?: string;
}

/** Starts a daemon and returns when it serves. */
export async function testDaemon(o: DaemonOptions = {}): Promise<TestDaemon> {
  const folder = await tempDir("daemon", o.parent);
  const daemon = new TestDaemon(folder, o);
  try {
    await daemon.writeConfig(o.config);
    await daemon.start();
    return daemon;
  } catch (error) {
    await daemon[Symbol.asyncDispose]();
    throw error;
  }
}

export class TestDaemon implements AsyncDisposable {
  readonly folder: string;
  readonly root: string;
  readonly state: string;
  readonly socket: string;
  readonly logFile: string;
  readonly configFile: string;
  /** A folder for the logs of pods: `log_directory` of a PodSandboxConfig. */
  readonly podLogs: string;
  readonly scope: Scope;
  readonly client: CriClient;
  /** From the spawn to the first answer, of the last start. */
  servedAfterMs = 0;
  readonly #dir: TempDir;
  readonly #options: DaemonOptions;
  #child: ChildProcess | undefined;

  constructor(dir: TempDir, o: DaemonOptions) {
    this.#dir = dir;
    this.#options = o;
    this.folder = realpathSync(dir.path);
    this.root = o.root ?? join(this.folder, "root");
    this.state = o.state ?? join(this.folder, "run");
    this.socket = join(this.folder, "kobako.sock");
    this.logFile = join(this.folder, "kobako.log");
    this.configFile = join(this.folder, "config.toml");
    this.podLogs = join(this.folder, "pod-logs");
    this.client = criClient(this.socket);
    this.scope = {
      root: this.root,
      state: this.state,
      ...instanceNames(this.root),
      cgroupParents: [`/${ownName()}`],
    };
    recordRoot(this.root);
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined || !this.running) throw new Error("the daemon does not run");
    return pid;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** A cgroup parent for pods that belongs to this daemon's scope. */
  get cgroupParent(): string {
    return this.scope.cgroupParents[0] ?? "";
  }

  /** A parent for the pod of this uid, in the form that the daemon's cgroup driver takes. */
  podCgroup(uid: string): string {
    const systemd = this.#options.flags?.includes("cgroup_driver=systemd") ?? false;
    return systemd ? `ktest-pod${uid}.slice` : `${this.cgroupParent}/pod${uid}`;
  }

  /** Everything the daemon has written to stderr so far, over all its starts. */
  log(): string {
    return readFileSync(this.logFile, "utf8");
  }

  async writeConfig(more = ""): Promise<void> {
    await mkdir(this.podLogs, { recursive: true });
    const network = this.#options.network ?? "embedded";
    const text = `root = "${this.root}"\nstate = "${this.state}"\n
[server]
socket = "${this.socket}"

[network]
default = "${network}"
conf_dirs = ["${join(this.folder, "cni.d")}"]
${more}\n`;
    await writeFile(this.configFile, text);
  }

  /** Spawns the daemon without waiting for it. */
  spawn(): ChildProcess {
    const log = openSync(this.logFile, "a");
    try {
      const flags = this.#options.flags ?? [];
      this.#child = spawn(kobako, ["daemon", "--config", this.configFile, ...flags], {
        stdio: ["ignore", log, log],
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8", ...this.#options.env },
      });
      return this.#child;
    } finally {
      closeSync(log);
    }
  }

  async start(): Promise<void> {
    if (this.running) throw new Error("the daemon runs already");
    const started = performance.now();
    const child = this.spawn();
    const failed = new Promise<never>((_, reject) => {
      child.once("error", (cause) =>
        reject(new Error(`${kobako} cannot be started (hack/build)`, { cause })),
      );
      child.once("exit", (code, signal) =>
        reject(new Error(`the daemon ended at start: ${code ?? signal}\n${this.log().slice(-4000)}`)),
      );
    });
    failed.catch(() => {});
    await Promise.race([failed, this.serves(this.#options.startTimeoutMs ?? within(15_000))]);
    this.servedAfterMs = performance.now() - started;
  }

  /** Waits until Version answers. */
  async serves(timeoutMs: number): Promise<void> {
    const end = performance.now() + timeoutMs;
    for (;;) {
      try {
        await this.client.version({}, { timeoutMs: within(500) });
        return;
      } catch (cause) {
        if (performance.now() > end)
          throw new Error(`the daemon does not serve after ${timeoutMs} ms\n${this.log().slice(-4000)}`, {
            cause,
          });
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }

  /** Sends `signal` and waits for the end of the process. Returns how it ended. */
  async end(signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    const child = this.#child;
    if (child === undefined || !this.running)
      return { code: child?.exitCode ?? null, signal: child?.signalCode ?? null };
    const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) =>
      child.once("exit", (code, by) => resolve({ code, signal: by })),
    );
    child.kill(signal);
    return await ended;
  }

  /** kill -9. */
  async kill9(): Promise<void> {
    await this.end("SIGKILL");
  }

  async restart(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    await this.end(signal);
    await this.start();
  }

  /** What is there now; for `expectClean`. */
  snapshot(): Snapshot {
    return snapshot(this.scope, this.running ? this.pid : undefined);
  }

  /** Stops and removes all pods, then looks for leftovers since `before` (O4). */
  async expectClean(before: Snapshot): Promise<void> {
    await this.removeAllPods();
    await expectNoLeak(before, this.scope, { daemonPid: this.running ? this.pid : undefined });
  }

  async removeAllPods(): Promise<void> {
    const { items } = await this.client.listPodSandbox({});
    await Promise.all(
      items.map(async ({ id }) => {
        await this.client.stopPodSandbox({ podSandboxId: id }, { timeoutMs: within(60_000) });
        await this.client.removePodSandbox({ podSandboxId: id }, { timeoutMs: within(60_000) });
      }),
    );
  }

  /** Runs `kobako ARGS` with this daemon's configuration. */
  async reset(): Promise<void> {
    await new Promise<void>((resolve) => {
      const child = spawn(kobako, ["reset", "--config", this.configFile, "--yes"], { stdio: "ignore" });
      child.once("error", () => resolve());
      child.once("exit", () => resolve());
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) await this.removeAllPods().catch(() => {});
    await this.end("SIGTERM");
    this.client.close();
    await this.reset();
    // The parents that the pods were given are the caller's to remove, as they are a kubelet's.
    for (const parent of this.scope.cgroupParents) removeCgroups(parent);
    if (process.env.KOBAKO_KEEP === "1") console.error(`kept: ${this.folder}`);
    else await this.#dir[Symbol.asyncDispose]();
  }
}
