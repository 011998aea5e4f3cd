/**
 * Pods whose containers are made by a containerd shim (runtime v2): gVisor's, Kata's, Firecracker's, runc's.
 * Beside each shim stands a kobako-monitor (native/monitor/shim.h), so that this daemon may die at any moment.
 * Enters: specs and requests as values. Leaves: the verbs of handler.ts over ttrpc and the monitor protocol.
 * Keeps on disk: `shim.json` in the pod's run folder; in bundles what the shim itself keeps.
 */
import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { RuntimeError } from "../../errors/runtime-error.ts";
import { launch, run } from "../../process/spawn.ts";
import { abandonMonitor, connectMonitor, startMonitor } from "../builtin.ts";
import type {
  HandlerInfo,
  HandlerType,
  RuntimeHandler,
  RuntimeSandbox,
  SandboxEvent,
  SandboxIdentity,
  SandboxSpec,
} from "../handler.ts";
import type { Wire } from "../monitor/protocol.ts";
import type { ProgramHandlerOptions } from "../settings.ts";
import { shimArguments, shimEnvironment, shown } from "./bootstrap.ts";
import { parseShimOptions } from "./options.ts";
import { shimBundle, shimNamespace } from "./program.ts";
import { readRecord, removeRecord, type ShimRecord } from "./record.ts";
import type { ShimSandboxOptions } from "./life.ts";
import { ShimSandbox } from "./sandbox.ts";
import { Task } from "./task.ts";

/** A program that is asked for its version answers at once, or is none. */
const infoMs = 10_000;
/** For what is left of a pod whose monitor is dead: its shim is asked, and then killed. */
const askMs = 5_000;
const endMs = 30_000;

type OnEvent = (event: SandboxEvent) => void;

export class ShimHandler implements RuntimeHandler {
  readonly name: string;
  readonly type: HandlerType = "shim-v2";
  readonly program: string;
  readonly #sandbox: ShimSandboxOptions;
  #known: { readonly file: string; readonly info: HandlerInfo } | undefined;

  /** @throws RuntimeError `invalid-argument` naming the option that is wrong. */
  constructor(settings: ProgramHandlerOptions) {
    const { name, path, options, timeoutMs, diskBytes, monitorBinary, logFlush, log } = settings;
    this.name = name;
    this.program = path;
    this.#sandbox = {
      name,
      program: path,
      monitorBinary,
      pauseBinary: join(dirname(monitorBinary), "kobako-pause"),
      options: parseShimOptions(name, path, options),
      timeoutMs,
      diskBytes,
      logFlush,
      log,
    };
  }

  async info(signal: AbortSignal): Promise<HandlerInfo> {
    const file = identityOf(this.program);
    if (file === undefined)
      throw new RuntimeError(
        "failed-precondition",
        `runtimes.${this.name}.path: there is no program ${this.program}`,
      );
    if (this.#known?.file === file) return this.#known.info;
    const { code, stdout, stderr } = await run(
      this.program,
      ["-v"],
      { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" }, timeoutMs: infoMs, maxOutputBytes: 64 << 10 },
      signal,
    );
    const said = Buffer.concat([stdout, stderr]);
    if (code !== 0 || said.length === 0)
      throw new RuntimeError(
        "failed-precondition",
        `${this.program} -v ended with code ${code} and said ${shown(said)}: a containerd shim tells its version`,
      );
    const info: HandlerInfo = {
      features: { recursiveReadOnlyMounts: false, userNamespaces: false },
      version: said.toString("utf8").split(/\s+/).join(" ").trim().slice(0, 200),
      ociVersion: "1.1.0",
      missing: [
        "recursive read-only mounts are not asked for",
        "user namespaces are not offered",
        "the PID namespace of another container can be joined only where the shim's processes are the host's",
      ],
    };
    this.#known = { file, info };
    return info;
  }

  async startSandbox(
    spec: SandboxSpec,
    onEvent: OnEvent,
    signal: AbortSignal,
    onNamespaces?: () => void,
  ): Promise<RuntimeSandbox> {
    const { monitorBinary, options } = this.#sandbox;
    const cgroup = spec.shimCgroup;
    const { pid, startTime } = await startMonitor(monitorBinary, spec, signal, { shim_cgroup: cgroup });
    const identity: SandboxIdentity = { id: spec.id, runDir: spec.runDir, pid, startTime };
    const record: ShimRecord = {
      id: spec.id,
      program: this.program,
      cgroup,
      sandboxed: options.sandboxContainer,
      paths: { network: undefined, ipc: undefined, uts: undefined, pid: undefined },
      ips: [],
      address: undefined,
    };
    try {
      onNamespaces?.();
      const sandbox = await this.#open(identity, record, onEvent, signal);
      sandbox.begin(spec, signal);
      return sandbox;
    } catch (error) {
      // It may be dead or deaf; then the caller's undo kills what its cgroup holds.
      await abandonMonitor(spec.runDir, AbortSignal.timeout(askMs)).catch(() => undefined);
      throw error;
    }
  }

  async connect(identity: SandboxIdentity, onEvent: OnEvent, signal: AbortSignal): Promise<RuntimeSandbox> {
    const record = readRecord(identity.runDir);
    if (record === undefined)
      throw new RuntimeError("not-found", `sandbox ${identity.id} has no shim: its creation was cut short`);
    const sandbox = await this.#open(identity, record, onEvent, signal);
    try {
      await sandbox.takeUp(signal);
      return sandbox;
    } catch (error) {
      sandbox.close();
      throw error;
    }
  }

  async abandon(runDir: string, signal: AbortSignal): Promise<void> {
    const record = readRecord(runDir);
    try {
      await abandonMonitor(runDir, signal);
      if (record !== undefined) removeRecord(runDir, record);
    } catch (error) {
      if (record === undefined) throw error;
      await this.endRemains(runDir, AbortSignal.timeout(endMs));
    }
  }

  hasRecord(runDir: string): boolean {
    return readRecord(runDir) !== undefined;
  }

  async #open(
    identity: SandboxIdentity,
    record: ShimRecord,
    onEvent: OnEvent,
    signal: AbortSignal,
  ): Promise<ShimSandbox> {
    let sandbox: ShimSandbox | undefined;
    const other = (message: Wire) => sandbox?.monitorEvent(message);
    const tell: OnEvent = (event) => {
      onEvent(event);
      if (event.type === "exit") sandbox?.exited(event.containerId);
    };
    const monitor = await connectMonitor(identity, tell, this.#sandbox.logFlush, signal, other);
    sandbox = new ShimSandbox(monitor, record, onEvent, { ...this.#sandbox, program: record.program });
    return sandbox;
  }

  /** A shim with all that it has. Each step goes on where the one before failed. */
  async endRemains(runDir: string, signal: AbortSignal): Promise<void> {
    const record = readRecord(runDir);
    if (record === undefined) return;
    const { log, monitorBinary, timeoutMs } = this.#sandbox;
    const step = async (what: string, work: () => Promise<unknown>): Promise<void> => {
      await work().catch((error: unknown) =>
        log.warn({ sandbox: record.id, error }, `end a shim without a monitor: ${what}`),
      );
    };
    const containers = containersOf(runDir);
    const { address } = record;
    if (address !== undefined) {
      await step("ask it", async () => {
        const asked = AbortSignal.any([signal, AbortSignal.timeout(askMs)]);
        const task = await Task.connect(address, shimNamespace, askMs, asked);
        try {
          for (const { id } of containers) {
            await task.kill({ id }, 9, true, asked).catch(() => undefined); // ended, or never created
            await task.wait({ id }, askMs, asked).catch(() => undefined);
            await task.delete({ id }, asked).catch(() => undefined); // its program does it below
          }
          await task.shutdown(record.id, true, asked);
        } finally {
          task.close();
        }
      });
    }
    await step("kill it", () => succeed(monitorBinary, ["--end-cgroup", record.cgroup], signal));
    for (const { id, bundle } of containers) {
      const shim = {
        id,
        namespace: shimNamespace,
        eventsSocket: join(runDir, "e.sock"),
        publishBinary: monitorBinary,
      };
      await step(`delete ${id}`, async () => {
        // It finds the bundle in its working folder, too.
        const child = await launch(
          record.program,
          shimArguments(shim, "delete", bundle),
          { env: shimEnvironment(shim), timeoutMs, cwd: bundle },
          signal,
        );
        child.stdin.end();
        child.stdout.resume();
        child.stderr?.resume();
        const { code } = await child.ended;
        if (code !== 0) throw new RuntimeError("internal", `delete ended with code ${code}`);
      });
      await step("unmount", () => succeed(monitorBinary, ["--unmount", join(bundle, "rootfs")], signal));
    }
    // What delete left, and what would keep the pod's folder.
    await succeed(monitorBinary, ["--end-cgroup", record.cgroup], signal);
    await succeed(monitorBinary, ["--unmount", join(runDir, "shm")], signal);
    removeRecord(runDir, record);
  }
}

async function succeed(program: string, args: readonly string[], signal: AbortSignal): Promise<void> {
  const { code, stderr } = await run(program, args, {}, signal);
  if (code !== 0) throw new RuntimeError("internal", `${args[0]} ended with code ${code}: ${shown(stderr)}`);
}

/** The shim's bundles in a run folder; the sandbox's own is among them. */
function containersOf(runDir: string): { id: string; bundle: string }[] {
  try {
    return readdirSync(runDir, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && /^[0-9a-f]{16}$/.test(entry.name))
      .flatMap(({ name: ours }) =>
        readdirSync(join(runDir, ours), { withFileTypes: true })
          .filter((entry) => entry.isDirectory() && /^[0-9a-f]{64}$/.test(entry.name))
          .map(({ name: id }) => ({ id, bundle: shimBundle(join(runDir, ours), id) })),
      );
  } catch {
    return []; // the folder is gone, and its bundles with it
  }
}

/** What tells one version of a file from another; undefined: there is none. */
function identityOf(path: string): string | undefined {
  try {
    const { dev, ino, size, mtimeMs } = statSync(path);
    return `${dev}:${ino}:${size}:${mtimeMs}`;
  } catch {
    return undefined;
  }
}
