/**
 * The handler `oci`: pods of a kobako-monitor whose containers an external program makes, with runc's command line.
 * Enters: specs and requests as values. Leaves: the verbs of handler.ts; the monitor runs the program.
 * Keeps in a pod's folder: `runtime.json` (what a later daemon must know), `rt/` (the program's own state); in the cache
 * folder what crun keeps from one container to the next.
 */
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorKind, RuntimeError } from "../../errors/runtime-error.ts";
import type {
  HandlerInfo,
  HandlerType,
  RuntimeHandler,
  RuntimeSandbox,
  SandboxEvent,
  SandboxIdentity,
  SandboxNamespaces,
  SandboxSpec,
} from "../handler.ts";
import type { Wire } from "../monitor/protocol.ts";
import { podRecord } from "../pod-record.ts";
import type { HandlerTools, ProgramHandlerOptions } from "../settings.ts";
import {
  abandonMonitor,
  type AdaptCreate,
  connectMonitor,
  type MonitorSandbox,
  startMonitor,
} from "../builtin.ts";
import { hasX32, hiddenHierarchy, knowsSystemd, lowestOomScoreAdj } from "./host.ts";
import { type Program, ProgramInfo, type ProgramKind } from "./program.ts";
import { withSandboxContainer } from "./sandbox-container.ts";
import { externalSpec } from "./spec.ts";
import { withUsage } from "./usage.ts";

type OciHandlerOptions = ProgramHandlerOptions & Pick<HandlerTools, "cacheFolder">;

/** What the program is told by us; a setting of the same name would break the pod. */
const ours: ReadonlySet<string> = new Set([
  "root",
  "log",
  "log-format",
  "debug-log-format",
  "systemd-cgroup",
]);

/** Of a pod's containers, while it lives: a daemon of later reads it. */
interface PodRuntime {
  readonly namespaces: SandboxNamespaces;
  readonly kind: ProgramKind;
  readonly ociVersion: string;
  /** Its cgroups are scopes that the program has systemd make. */
  readonly systemdCgroup: boolean;
}

type OnEvent = (event: SandboxEvent) => void;

export class OciHandler implements RuntimeHandler {
  readonly name: string;
  readonly type: HandlerType = "oci";
  readonly program: string;
  readonly #o: OciHandlerOptions;
  readonly #info: ProgramInfo;
  readonly #x32: Promise<boolean>;
  #toldOfHiding = false;

  /** @throws RuntimeError `invalid-argument` for an option that is not the user's. */
  constructor(options: OciHandlerOptions) {
    this.#o = options;
    this.name = options.name;
    this.program = options.path;
    for (const name of Object.keys(options.options)) {
      if (!/^[a-z0-9][a-z0-9-]*$/i.test(name) || ours.has(name))
        throw new RuntimeError(
          "invalid-argument",
          `runtimes.${options.name}.options: ${JSON.stringify(name.slice(0, 80))} is no flag that can be set here`,
        );
    }
    this.#info = new ProgramInfo(options.path, options.timeoutMs);
    // The first pod need not wait for it; what is wrong is told then, and by Status.
    this.#info.get(AbortSignal.timeout(options.timeoutMs)).catch(() => undefined);
    // What can't be found out is taken to be there.
    this.#x32 = hasX32(options.monitorBinary, AbortSignal.timeout(options.timeoutMs)).catch(() => true);
  }

  async info(signal: AbortSignal): Promise<HandlerInfo> {
    const { version, ociVersion, features, missing } = await this.#info.get(signal);
    const why = await this.#withoutUserNamespaces(features.userNamespaces, signal);
    return {
      version,
      ociVersion,
      features: { ...features, userNamespaces: why === "" },
      missing: why === "" ? missing : [...missing, `user namespaces: ${why}`],
    };
  }

  /** Why it has none; "" when it has: the program maps volumes, the monitor maps image layers. */
  async #withoutUserNamespaces(mapsMounts: boolean, signal: AbortSignal): Promise<string> {
    if (!mapsMounts || this.#o.userNamespaces === undefined)
      return "the program does not say that it maps mounts (features: linux.mountExtensions.idmap)";
    return await this.#o.userNamespaces.missing(signal);
  }

  async startSandbox(
    spec: SandboxSpec,
    onEvent: OnEvent,
    signal: AbortSignal,
    onNamespaces?: () => void,
  ): Promise<RuntimeSandbox> {
    const program = await this.#info.get(signal);
    const pod: PodRuntime = {
      namespaces: spec.namespaces,
      kind: program.kind,
      ociVersion: program.ociVersion,
      systemdCgroup: spec.cgroupDriver === "systemd" && knowsSystemd(program.kind),
    };
    writeFileSync(podFile(spec.runDir), JSON.stringify(pod), { mode: 0o600 });
    if (program.kind === "crun") this.#shareCache(stateFolder(spec.runDir));
    const { pid, startTime } = await startMonitor(this.#o.monitorBinary, spec, signal, {
      runtime: this.#startMember(spec, program, pod.systemdCgroup),
    });
    const identity: SandboxIdentity = { id: spec.id, runDir: spec.runDir, pid, startTime };
    try {
      onNamespaces?.();
      const sandbox = await this.#connect(identity, pod, onEvent, signal);
      return program.kind === "runsc" ? withSandboxContainer(sandbox, this.#o.monitorBinary, spec) : sandbox;
    } catch (error) {
      // It may be dead or deaf; then the caller's undo kills what its cgroup holds.
      await abandonMonitor(spec.runDir, AbortSignal.timeout(10_000)).catch(() => undefined);
      throw error;
    }
  }

  async connect(identity: SandboxIdentity, onEvent: OnEvent, signal: AbortSignal): Promise<RuntimeSandbox> {
    return await this.#connect(identity, readPod(identity.runDir), onEvent, signal);
  }

  abandon(runDir: string, signal: AbortSignal): Promise<void> {
    return abandonMonitor(runDir, signal);
  }

  async #connect(
    identity: SandboxIdentity,
    { namespaces, kind, ociVersion, systemdCgroup }: PodRuntime,
    onEvent: OnEvent,
    signal: AbortSignal,
  ): Promise<MonitorSandbox> {
    const x32 = await this.#x32;
    const adapt: AdaptCreate = (request) => {
      const { spec, shares } = externalSpec({
        request,
        namespaces,
        kind,
        ociVersion,
        oomScoreAdjMin: lowestOomScoreAdj(),
        systemdCgroup,
        x32,
      });
      return { spec, params: { shares, cgroup: request.spec.linux.cgroupsPath } };
    };
    // The container that stands for the sandbox is no container to anybody else.
    const tell: OnEvent = (event) =>
      onEvent(event.type === "exit" && event.containerId === identity.id ? { type: "pause-exit" } : event);
    const sandbox = await connectMonitor(
      identity,
      tell,
      this.#o.logFlush,
      signal,
      undefined,
      adapt,
      this.#o.timeoutMs,
    );
    return kind === "runsc" ? withUsage(sandbox) : sandbox;
  }

  /**
   * crun keeps compiled seccomp filters in its state folder, where the next container finds them. That folder is a
   * pod's, and a compilation takes as long as all the rest: they are kept for all pods.
   */
  #shareCache(folder: string): void {
    const shared = join(this.#o.cacheFolder, this.name);
    for (const path of [folder, shared]) mkdirSync(path, { recursive: true, mode: 0o700 });
    const link = join(folder, ".cache");
    if (!existsSync(link)) symlinkSync(shared, link); // a sandbox may be tried twice in one folder
  }

  #startMember(spec: SandboxSpec, { path, kind }: Program, systemdCgroup: boolean): Wire {
    const root = stateFolder(spec.runDir);
    const flags = Object.entries(this.#o.options).map(([name, value]) =>
      value === "" ? `--${name}` : `--${name}=${value}`,
    );
    if (systemdCgroup) flags.push("--systemd-cgroup");
    if (kind === "runsc") {
      // The monitor has put it where its sandbox belongs.
      flags.push("--ignore-cgroups");
      if (spec.namespaces.network === "host" && this.#o.options.network === undefined)
        flags.push("--network=host");
    }
    const hide = kind === "crun" ? hiddenHierarchy() : undefined;
    if (hide !== undefined && !this.#toldOfHiding) {
      this.#toldOfHiding = true;
      this.#o.log.info(
        { handler: this.name, hierarchy: hide },
        "crun refuses cgroups of both versions at once: the version 2 hierarchy is hidden from it",
      );
    }
    return {
      path,
      root,
      args: [`--root=${root}`, "--log-format=json", ...flags],
      timeout_ms: this.#o.timeoutMs,
      sandboxed: kind === "runsc",
      sealed: kind === "crun",
      systemd_cgroup: systemdCgroup,
      ...(hide === undefined ? {} : { hide }),
    };
  }
}

/** Of the program: its `--root`. */
function stateFolder(runDir: string): string {
  return join(runDir, "rt");
}

function podFile(runDir: string): string {
  return join(runDir, podRecord.oci);
}

/** @throws RuntimeError `not-found`: a pod that never began, or whose folder is gone. */
function readPod(runDir: string): PodRuntime {
  try {
    return JSON.parse(readFileSync(podFile(runDir), "utf8")) as PodRuntime;
  } catch (cause) {
    if (errorKind(cause) === "resource-exhausted") throw cause;
    throw new RuntimeError("not-found", "no record of the pod's runtime", { cause, subject: { runDir } });
  }
}
