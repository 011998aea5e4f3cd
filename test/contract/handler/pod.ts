/**
 * A pod of any handler without a daemon: real monitor, real runtime, specs of the spec builder,
 * a root filesystem of busybox. Everything it makes is its own and goes with it.
 */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Cgroups } from "../../../src/cgroup/cgroup.ts";
import type { ContainerConfig } from "../../../src/container/config.ts";
import { readHostFacts, readRequestFacts } from "../../../src/container/spec/host.ts";
import { container, pod, security } from "../../../src/container/spec/spec.fixture.ts";
import { containerSpec, usesPodShm } from "../../../src/container/spec/spec.ts";
import { userRequest } from "../../../src/container/spec/user.ts";
import type { OciProcess, OciSpec } from "../../../src/oci/runtime-spec.ts";
import { run } from "../../../src/process/spawn.ts";
import type {
  CollectedExec,
  ContainerExit,
  RuntimeHandler,
  RuntimeSandbox,
  SandboxEvent,
  SandboxSpec,
} from "../../../src/runtime/handler.ts";
import type { PodConfig } from "../../../src/sandbox/config.ts";
import { ownName } from "../../support/run.ts";

/** KOBAKO_MONITOR: another build of the same program, such as the one with sanitizers. */
export const monitorBinary =
  process.env.KOBAKO_MONITOR ?? new URL("../../../build/bin/kobako-monitor", import.meta.url).pathname;
export const cgroups = new Cgroups();
const host = readHostFacts(cgroups.facts);

export const within = (ms = 20_000) => AbortSignal.timeout(ms);

export type ContainerChange = Partial<Omit<ContainerConfig, "security">> & {
  readonly security?: Partial<ContainerConfig["security"]>;
};

export interface TestContainer {
  readonly id: string;
  readonly bundle: string;
  readonly log: string;
  readonly spec: OciSpec;
  readonly pid: number;
  /** The log without its prefixes. */
  output(): string;
  exec(args: readonly string[], change?: Partial<OciProcess>, timeoutMs?: number): Promise<CollectedExec>;
  exited(): Promise<ContainerExit>;
}

export class TestPod implements AsyncDisposable {
  readonly folder: string;
  readonly runDir: string;
  readonly cgroup: string;
  readonly events: SandboxEvent[] = [];
  readonly config: PodConfig;
  readonly spec: SandboxSpec;
  readonly handler: RuntimeHandler;
  sandbox!: RuntimeSandbox;

  private constructor(handler: RuntimeHandler, change: Partial<PodConfig>) {
    this.handler = handler;
    this.config = { ...pod, ...change };
    const id = randomBytes(32).toString("hex");
    this.folder = mkdtempSync(join(tmpdir(), "kobako-pod-"));
    this.runDir = join(this.folder, "run");
    mkdirSync(this.runDir, { mode: 0o700 });
    const name = ownName();
    this.cgroup = `/${name}`;
    const { network, ipc, pid } = this.config.namespaces;
    this.spec = {
      id,
      runDir: this.runDir,
      netnsPin: network === "pod" ? `/run/netns/${name}` : null,
      namespaces: {
        network: network === "node" ? "host" : "pod",
        ipc: ipc === "node" ? "host" : "pod",
        uts: network === "node" ? "host" : "pod",
        pid: pid === "node" ? "host" : pid === "pod" ? "pod" : "container",
      },
      idMap: this.config.namespaces.idMap,
      hostname: this.config.hostname,
      sysctls: this.config.sysctls,
      shmBytes: 64 << 20,
      cgroupDriver: "cgroupfs",
      monitorCgroup: `${this.cgroup}/monitor`,
      shimCgroup: `${this.cgroup}/shim`,
      podCgroup: `${this.cgroup}/pause`,
      oomScoreAdj: 0,
      cgroupParent: this.cgroup,
      annotations: {},
    };
    for (const name of ["hosts", "hostname", "resolv.conf"])
      writeFileSync(join(this.runDir, name), `${name} of the pod\n`);
    makeRootfs(join(this.folder, "layer"));
  }

  static async start(handler: RuntimeHandler, change: Partial<PodConfig> = {}): Promise<TestPod> {
    const made = new TestPod(handler, change);
    try {
      made.sandbox = await handler.startSandbox(made.spec, (event) => made.events.push(event), within());
      await made.sandbox.networkReady(within());
      return made;
    } catch (error) {
      await made[Symbol.asyncDispose](); // the cgroup of monitors is its caller's
      throw error;
    }
  }

  /** Connects again, as a new daemon would. */
  async reconnect(): Promise<void> {
    this.sandbox.close();
    this.sandbox = await this.handler.connect(
      this.sandbox.identity,
      (event) => this.events.push(event),
      within(),
    );
  }

  async create(change: ContainerChange = {}): Promise<TestContainer> {
    const id = randomBytes(32).toString("hex");
    const bundle = join(this.runDir, id.slice(0, 16));
    const [upper, work] = [join(this.folder, `${id}-upper`), join(this.folder, `${id}-work`)];
    for (const folder of [bundle, upper, work]) mkdirSync(folder);
    // As a snapshot's: what the container sees as "/".
    const { uid, gid, mode } = statSync(join(this.folder, "layer"));
    chownSync(upper, uid, gid);
    chmodSync(upper, mode);
    const config: ContainerConfig = {
      ...container,
      ...change,
      security: { ...security, namespaces: this.config.namespaces, ...change.security },
    };
    const { sandbox } = this;
    const user = await sandbox.prepare(
      {
        containerId: id,
        bundle,
        rootfs: {
          lower: [join(this.folder, "layer")],
          upper,
          work,
          options: ["volatile"],
          disk: join(this.folder, `${id}-disk`),
        },
        ...userRequest(config.security, ""),
      },
      within(),
    );
    const { spec } = containerSpec({
      id,
      podId: this.spec.id,
      pod: this.config,
      container: config,
      image: { env: ["PATH=/bin"], entrypoint: [], cmd: ["/bin/sh"], workingDir: "" },
      user,
      files: {
        hosts: join(this.runDir, "hosts"),
        hostname: join(this.runDir, "hostname"),
        resolvConf: join(this.runDir, "resolv.conf"),
      },
      cgroupsPath: `${this.cgroup}/${id.slice(0, 16)}`,
      host,
      facts: await readRequestFacts(config, within()),
    });
    const log = join(this.folder, `${id}.log`);
    const { pid } = await sandbox.create(
      {
        containerId: id,
        bundle,
        spec,
        logPath: log,
        logRoot: this.folder,
        tty: config.tty,
        stdin: config.stdin,
        stdinOnce: config.stdinOnce,
        shm: usesPodShm(config.mounts, this.config.namespaces.ipc === "node"),
      },
      within(),
    );
    return {
      id,
      bundle,
      log,
      spec,
      pid,
      output: () => readLog(log),
      exec: async (args, changed = {}, timeoutMs = 0) => {
        const process = { ...spec.process, terminal: false, args, ...changed };
        return await this.sandbox.run({ containerId: id, process, timeoutMs }, 1 << 20, within());
      },
      exited: () => this.exitOf(id),
    };
  }

  /** Creates and starts a shell script. */
  async shell(script: string, change: ContainerChange = {}): Promise<TestContainer> {
    const made = await this.create({ command: ["/bin/sh", "-c", script], ...change });
    await this.sandbox.start(made.id, within());
    return made;
  }

  /** As a kubelet does for the pod's own cgroup, which is there from the first container on. */
  limitMemory(bytes: number): void {
    const { controllers, unified = "" } = cgroups.layout;
    const v1 = controllers.get("memory");
    const file = v1 === undefined ? [unified, "memory.max"] : [v1, "memory.limit_in_bytes"];
    writeFileSync(join(file[0] ?? "", this.cgroup, file[1] ?? ""), String(bytes));
  }

  async exitOf(id: string): Promise<ContainerExit> {
    const until = Date.now() + 20_000;
    for (;;) {
      const event = this.events.find((e) => e.type === "exit" && e.containerId === id);
      if (event?.type === "exit") return event;
      if (Date.now() > until) throw new Error(`container ${id} did not end`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sandbox?.shutdown(within()).catch(() => {});
    await cgroups.killAll(this.cgroup, within());
    await cgroups.remove(this.cgroup, within());
    const pin = this.spec.netnsPin;
    if (pin && existsSync(pin)) await run(monitorBinary, ["--unpin", pin], {}, within());
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function makeRootfs(root: string): void {
  for (const folder of ["bin", "etc", "proc", "sys", "dev", "tmp", "root"])
    mkdirSync(join(root, folder), { recursive: true });
  copyFileSync("/bin/busybox", join(root, "bin/busybox"));
  const applets =
    "sh cat echo ls id env sleep true false head tail dd wc grep mount umount hostname stty kill seq touch mkdir readlink tty yes ps df unshare stat chmod";
  for (const name of applets.split(" ")) symlinkSync("busybox", join(root, "bin", name));
  writeFileSync(
    join(root, "etc/passwd"),
    "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n",
  );
  writeFileSync(join(root, "etc/group"), "root:x:0:\napp:x:1000:\nextra:x:2000:app\n");
}

/** A CRI log as one text. */
function readLog(path: string): string {
  return readFileSync(path, "utf8")
    .split("\n")
    .map((line) => /^\S+ (?:stdout|stderr) ([FP]) (.*)$/s.exec(line))
    .map((match) => (match ? match[2] + (match[1] === "F" ? "\n" : "") : ""))
    .join("");
}
