/**
 * The program of a shim, run once by the pod's monitor, in the pod's cgroup: `start` begins the shim that serves, `delete`
 * ends a container whose shim is dead.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { RuntimeError } from "../../errors/runtime-error.ts";
import type { Log } from "../../log/log.ts";
import type { OciSpec } from "../../oci/runtime-spec.ts";
import { run } from "../../process/spawn.ts";
import { searchPath } from "../../process/tool.ts";
import { DeleteResponse } from "../../ttrpc/message.ts";
import type { MonitorSandbox } from "../builtin.ts";
import type { SandboxNamespaces } from "../handler.ts";
import { asObject, integer, text, type Wire } from "../monitor/protocol.ts";
import {
  bootstrapInput,
  parseBootstrap,
  type ShimIdentity,
  shimArguments,
  shimEnvironment,
  shown,
} from "./bootstrap.ts";
import type { ShimOptions } from "./options.ts";
import { killedCode, killMs } from "./recovery.ts";
import type { PodNamespacePaths } from "./spec.ts";

/** Our containers are in a namespace of their own beside containerd's. */
export const shimNamespace = "kobako";

export interface ShimProgramOptions {
  readonly program: string;
  readonly monitorBinary: string;
  readonly options: ShimOptions;
  readonly timeoutMs: number;
  readonly log: Log;
}

/** For what copies an image on a slow disk; a kubelet waits two minutes for CreateContainer. */
const toolMs = 110_000;

/** How a program ended and what it said. */
export interface Run {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

export class ShimProgram {
  readonly #monitor: MonitorSandbox;
  readonly #options: ShimProgramOptions;

  constructor(monitor: MonitorSandbox, options: ShimProgramOptions) {
    this.#monitor = monitor;
    this.#options = options;
  }

  /** Starts the shim of sandbox `id`, whose config.json is in `bundle`: where it serves. */
  async start(id: string, bundle: string, signal: AbortSignal): Promise<ReturnType<typeof parseBootstrap>> {
    const answer = await this.#run("start", id, bundle, signal);
    if (answer.code !== 0) {
      throw new RuntimeError(
        "failed-precondition",
        `${this.#options.program} start ended with code ${answer.code} and said ${shown(answer.stderr.length > 0 ? answer.stderr : answer.stdout)}`,
      );
    }
    return parseBootstrap(answer.stdout);
  }

  /**
   * Ends a container whose shim is dead or does not answer: the shim's program does that, and where it fails, or takes
   * longer than `withinMs`, the container's cgroup is killed. Gives the exit code. Never rejects.
   */
  async endAlone(id: string, withinMs: number): Promise<number> {
    const { log } = this.#options;
    try {
      return await this.#cleanUp(id, AbortSignal.timeout(withinMs));
    } catch (error) {
      log.warn({ container: id, error }, "a container is not cleaned up by its shim's program: it is killed");
    }
    await this.endContainerCgroup(id, AbortSignal.timeout(killMs)).catch((error: unknown) =>
      log.error({ container: id, error }, "processes of a container may stay"),
    );
    return killedCode;
  }

  async #cleanUp(id: string, signal: AbortSignal): Promise<number> {
    const bundle = this.#bundle(id);
    const { code, stdout, stderr } = await this.#run("delete", id, bundle, signal);
    if (code !== 0) throw new RuntimeError("internal", `delete ended with code ${code}: ${shown(stderr)}`);
    return DeleteResponse.decode(stdout).exitStatus & 255;
  }

  /** Where a runtime on the host finds the namespaces that the monitor holds. */
  async namespaces(
    namespaces: SandboxNamespaces,
    netnsPin: string | null,
    signal: AbortSignal,
  ): Promise<PodNamespacePaths> {
    const pod = asObject((await this.#monitor.request("state", {}, signal)).pod, "pod");
    const held = (key: string) => {
      const fd = pod[key];
      return typeof fd === "number" && fd >= 0 ? `/proc/${this.#monitor.identity.pid}/fd/${fd}` : undefined;
    };
    return {
      network: netnsPin ?? undefined,
      ipc: namespaces.ipc === "pod" ? held("ipc_fd") : undefined,
      uts: namespaces.uts === "pod" ? held("uts_fd") : undefined,
      pid: typeof pod.pause_pid === "number" ? `/proc/${pod.pause_pid}/ns/pid` : undefined,
    };
  }

  /** A program of this host, run in the shim's cgroup; with `container` in the mount namespace of one that is prepared. */
  async tool(
    argv: readonly string[],
    { container, stdin = "" }: { container?: string | undefined; stdin?: string },
    signal: AbortSignal,
  ): Promise<Run> {
    return await this.#ask(
      {
        argv,
        env: [`PATH=${searchPath}`, "LC_ALL=C"],
        cwd: "/",
        stdin: Buffer.from(stdin).toString("hex"),
        ...(container === undefined ? {} : { container }),
      },
      toolMs,
      signal,
    );
  }

  /** Kills what is in a cgroup and removes it; one that is not there is success. */
  async #endCgroup(path: string, signal: AbortSignal): Promise<void> {
    // Not one of the shim's processes: the end of the pod would kill it while the cgroup is frozen, which then stays.
    const { code, stderr } = await run(this.#options.monitorBinary, ["--end-cgroup", path], {}, signal);
    if (code !== 0) throw new RuntimeError("internal", `cgroup ${path} stays: ${shown(stderr)}`);
  }

  /** The cgroup of a container; one of which none is known is success. */
  async endContainerCgroup(id: string, signal: AbortSignal): Promise<void> {
    const cgroup = cgroupOf(this.#bundle(id));
    if (cgroup !== undefined) await this.#endCgroup(cgroup, signal);
  }

  #bundle(id: string): string {
    return shimBundle(join(this.#monitor.identity.runDir, id.slice(0, 16)), id);
  }

  async #run(action: "start" | "delete", id: string, bundle: string, signal: AbortSignal): Promise<Run> {
    const { program, options } = this.#options;
    const { runDir } = this.#monitor.identity;
    const shim = this.#shim(id);
    const env = { ...shimEnvironment(shim), ...options.env };
    return await this.#ask(
      {
        argv: [program, ...shimArguments(shim, action, action === "delete" ? bundle : undefined)],
        env: Object.entries(env).map(([key, value]) => `${key}=${value}`),
        cwd: bundle,
        ...(action === "start"
          ? {
              stdin: bootstrapInput(shim, runDir, options.message).toString("hex"),
              log: join(bundle, "log"),
            }
          : {}),
      },
      this.#options.timeoutMs,
      signal,
    );
  }

  async #ask(order: Wire, limitMs: number, signal: AbortSignal): Promise<Run> {
    const answer = await this.#monitor.request("run", { ...order, limit_ms: limitMs }, signal);
    return {
      code: integer(answer, "exit_code"),
      stdout: Buffer.from(text(answer, "stdout"), "hex"),
      stderr: Buffer.from(text(answer, "stderr"), "hex"),
    };
  }

  #shim(id: string): ShimIdentity {
    return {
      id,
      namespace: shimNamespace,
      eventsSocket: join(this.#monitor.identity.runDir, "e.sock"),
      publishBinary: this.#options.monitorBinary,
    };
  }
}

/**
 * The shim's own bundle, below ours: shims keep files in it whose names others have too, and their program looks for
 * a bundle by the container's id.
 */
export function shimBundle(bundle: string, id: string): string {
  return join(bundle, id);
}

/** What the bundle's configuration says; undefined: none is written, or it is no path (a scope of systemd's). */
function cgroupOf(bundle: string): string | undefined {
  const path = bundleSpec(bundle)?.linux.cgroupsPath;
  return path?.startsWith("/") ? path : undefined;
}

/** What a container was asked to be. Undefined: none is written. */
export function bundleSpec(bundle: string): OciSpec | undefined {
  const file = join(bundle, "config.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as OciSpec) : undefined;
}
