/**
 * A pod whose containers are a shim's: the monitor has its namespaces, FIFOs, logs and exit records, the shim its
 * processes. What the monitor says of a container stands; the shim is asked where the monitor can't know.
 * Never: takes a pid that a shim tells for a process of this host, unless that process is in the container's cgroup.
 */
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Duplex } from "node:stream";
import { errorKind, RuntimeError } from "../../errors/runtime-error.ts";
import type { OciResources } from "../../oci/runtime-spec.ts";
import { processStartTime } from "../../process/stat.ts";
import { type MountInit, TaskStatus } from "../../ttrpc/message.ts";
import type { MonitorSandbox } from "../builtin.ts";
import { collectExec } from "../exec-output.ts";
import type {
  AttachRequest,
  CollectedExec,
  ContainerUsage,
  CreatedContainer,
  CreateRequest,
  ExecRequest,
  InterfaceCounters,
  KillRequest,
  PrepareRequest,
  ProcessStreams,
  ResolvedUser,
  RunRequest,
  RuntimeSandbox,
  SandboxEvent,
  SandboxIdentity,
  SandboxSpec,
  SandboxStatus,
} from "../handler.ts";
import { asObject, createParams, parseUser, prepareParams, text, type Wire } from "../monitor/protocol.ts";
import { dialFirst } from "./dial.ts";
import { blockMount } from "./disk.ts";
import { openExec } from "./exec.ts";
import { ShimLife, type ShimSandboxOptions } from "./life.ts";
import { parseUsage } from "./metrics.ts";
import { bundleSpec, shimBundle } from "./program.ts";
import type { ShimRecord } from "./record.ts";
import { killedCode, killMs, tellExit } from "./recovery.ts";
import { asked, criuComplaint, errorLine, isFinished, isProgramFault, isUnanswered } from "./refusal.ts";
import { overlayMount } from "./rootfs.ts";
import { shimSpec } from "./spec.ts";
import { ShimStreams } from "./streams.ts";
import type { Task } from "./task.ts";
import { deleteTask, endTask, signalTask } from "./tasks.ts";

/** What shims say of a process that could not be started. */
const startErrorCode = 128;

/** What is known of a container between its requests; gone with the daemon, like a half made container. */
interface Container {
  /** What it is created from, once it is prepared. */
  rootfs?: MountInit;
  /** Why the shim refused to create it: what `start` answers. */
  refused?: RuntimeError;
  /** Created and not started: some shims never tell the end of such a one. */
  neverRan?: boolean;
  /** Known to have ended. */
  exited?: boolean;
  /** Its deletion, begun at its end at the latest; false: it failed, whoever removes it tries again. */
  deletion?: Promise<boolean>;
  /** The shim is not asked about it any more: it would not answer. */
  givenUp?: boolean;
}

export class ShimSandbox implements RuntimeSandbox {
  readonly identity: SandboxIdentity;
  readonly closed: Promise<Error | undefined>;
  #initial: SandboxStatus;
  readonly #monitor: MonitorSandbox;
  readonly #life: ShimLife;
  readonly #options: ShimSandboxOptions;
  readonly #containers = new Map<string, Container>();
  #spec: SandboxSpec | undefined;

  constructor(
    monitor: MonitorSandbox,
    record: ShimRecord,
    onEvent: (event: SandboxEvent) => void,
    options: ShimSandboxOptions,
  ) {
    this.#monitor = monitor;
    this.#life = new ShimLife(monitor, record, onEvent, options);
    this.#options = options;
    this.identity = monitor.identity;
    this.closed = monitor.closed;
    this.#initial = monitor.initial;
    void monitor.closed.then(() => this.#life.leave());
  }

  get initial(): SandboxStatus {
    return this.#initial;
  }

  /** Takes up the shim of an earlier daemon. What happened meanwhile is told to the monitor first. */
  async takeUp(signal: AbortSignal): Promise<void> {
    await this.#life.takeUp((containerId) => {
      this.#container(containerId).neverRan = true;
    }, signal);
    this.#initial = await this.#monitor.state(signal);
  }

  /** An event of the monitor that only a shim's pod has. */
  monitorEvent(message: Wire): void {
    const { task } = this.#life;
    if (message.event !== "stdin_closed" || task === undefined) return;
    const id = text(asObject(message.params, "params"), "container");
    void this.#life.quietly(task.closeStdin({ id }, AbortSignal.timeout(this.#options.timeoutMs)));
  }

  /** For a sandbox that was just started, once. */
  begin(spec: SandboxSpec, signal: AbortSignal): void {
    this.#spec = spec;
    this.#life.begin(spec, signal);
  }

  /** A container has ended: its shim lets go of it, so that a removal finds that done, or under way. */
  exited(containerId: string): void {
    this.#container(containerId).exited = true;
    this.#deleteEnded(containerId);
  }

  #container(id: string): Container {
    const known = this.#containers.get(id);
    if (known !== undefined) return known;
    const container: Container = {};
    this.#containers.set(id, container);
    return container;
  }

  #deleteEnded(id: string): void {
    const { task } = this.#life;
    const container = this.#container(id);
    if (task === undefined || container.neverRan || container.givenUp || container.deletion !== undefined)
      return;
    container.deletion = deleteTask(task, id, AbortSignal.timeout(this.#options.timeoutMs)).then(
      () => true,
      (error: unknown) => {
        this.#life.report("delete a container that has ended", error);
        return false;
      },
    );
  }

  async networkReady(signal: AbortSignal, ips: readonly string[] = []): Promise<void> {
    if (this.#spec === undefined) throw new Error("networkReady is for a sandbox that was just started");
    await this.#life.boot(this.#spec, ips, signal);
  }

  async state(signal: AbortSignal): Promise<SandboxStatus> {
    return await this.#monitor.state(signal);
  }

  async prepare(request: PrepareRequest, signal: AbortSignal): Promise<ResolvedUser> {
    // The shim mounts the root filesystem; what is copied to a block device is seen in a namespace of the monitor's.
    const params = { ...prepareParams(request), only_user: this.#options.diskBytes === undefined };
    const user = parseUser(await this.#monitor.request("prepare", params, signal));
    this.#container(request.containerId).rootfs = await this.#rootfs(request, signal);
    return user;
  }

  async #rootfs({ containerId, bundle, rootfs }: PrepareRequest, signal: AbortSignal): Promise<MountInit> {
    const { diskBytes } = this.#options;
    if (diskBytes === undefined) return overlayMount(rootfs, bundle);
    if (rootfs.disk === undefined)
      throw new RuntimeError("internal", `container ${containerId} has no place for a disk`);
    const disk = {
      container: containerId,
      folder: join(bundle, "rootfs"),
      image: rootfs.disk,
      bytes: diskBytes,
      root: statSync(rootfs.upper),
    };
    return await blockMount(this.#monitor, this.#life.program, disk, signal);
  }

  async create(request: CreateRequest, signal: AbortSignal): Promise<CreatedContainer> {
    const { containerId: id } = request;
    const bundle = shimBundle(request.bundle, id);
    const container = this.#containers.get(id);
    if (container?.rootfs === undefined)
      throw new RuntimeError("failed-precondition", `container ${id} is not prepared`);
    const task = this.#life.live();
    const { paths, sandboxed } = this.#life.record;
    const shm = request.shm ? join(this.identity.runDir, "shm") : undefined;
    const spec = shimSpec(request.spec, paths, sandboxed, shm);
    mkdirSync(join(bundle, "rootfs"), { recursive: true, mode: 0o700 });
    for (const folder of [request.bundle, bundle])
      writeFileSync(join(folder, "config.json"), JSON.stringify(spec), { mode: 0o600 });
    const io = await this.#monitor.request(
      "create_io",
      createParams(request, this.#options.logFlush),
      signal,
    );
    try {
      container.neverRan = true;
      const { pid } = await task.create(
        {
          id,
          bundle,
          rootfs: [container.rootfs],
          terminal: request.tty,
          stdin: text(io, "stdin"),
          stdout: text(io, "stdout"),
          stderr: text(io, "stderr"),
          options: this.#options.options.message,
        },
        signal,
      );
      const cgroup = spec.linux.cgroupsPath;
      if (!isInCgroup(pid, cgroup)) return { pid: 0, startTime: "", cgroup: "" };
      await this.#monitor.request("created", { container: id, pid, cgroup }, signal);
      return { pid, startTime: processStartTime(pid) ?? "", cgroup };
    } catch (error) {
      // Runtimes look for the program when they create; a container that can't be started is asked to start.
      if (!isProgramFault(error, spec.process.args[0])) throw error;
      container.refused = new RuntimeError("failed-precondition", errorLine(error), { cause: error });
      return { pid: 0, startTime: "", cgroup: "" };
    }
  }

  async start(containerId: string, signal: AbortSignal): Promise<{ startedAtNs: bigint }> {
    const container = this.#container(containerId);
    if (container.refused !== undefined) throw container.refused;
    const task = this.#life.live();
    try {
      await task.start({ id: containerId }, signal);
    } catch (error) {
      if (isProgramFault(error, this.#programOf(containerId)))
        throw new RuntimeError("failed-precondition", errorLine(error), { cause: error });
      if (!(await this.#wasStarted(task, containerId, error, signal))) throw error;
    }
    container.neverRan = false;
    if (container.exited) this.#deleteEnded(containerId);
    const answer = await this.#monitor.request("started", { container: containerId }, signal);
    this.#life.watch(task, containerId);
    return { startedAtNs: BigInt(text(answer, "started_at_ns")) };
  }

  #programOf(containerId: string): string | undefined {
    return bundleSpec(join(this.identity.runDir, containerId.slice(0, 16)))?.process.args[0];
  }

  /** An earlier daemon died while the shim was starting it: then it runs, or has run, and another start is refused. */
  async #wasStarted(task: Task, id: string, error: unknown, signal: AbortSignal): Promise<boolean> {
    if (
      !(error instanceof RuntimeError) ||
      !/cannot start a (?:running|stopped)|already/i.test(error.message)
    )
      return false;
    const { status, exitStatus } = await task.state({ id }, signal);
    return (
      status === TaskStatus.TASK_RUNNING ||
      (status === TaskStatus.TASK_STOPPED && exitStatus !== startErrorCode)
    );
  }

  async kill(request: KillRequest, signal: AbortSignal): Promise<void> {
    const { containerId: id } = request;
    if (this.#containers.get(id)?.refused !== undefined) {
      if (request.signal === 9) await tellExit(this.#monitor, id, killedCode, 0n, signal);
      return;
    }
    // Some shims take a signal for what has ended, and say nothing.
    const now = (await this.#monitor.state(signal)).containers.find((c) => c.id === id);
    if (now === undefined || now.phase === "exited")
      throw new RuntimeError(
        now === undefined ? "not-found" : "failed-precondition",
        `container ${id} ${now === undefined ? "does not exist" : "has exited"}`,
      );
    const kills = request.signal === 9;
    // A monitor of an earlier release does not know it; the kill is asked for all the same.
    if (kills)
      await this.#monitor.request("killing", { container: id }, signal).catch((error: unknown) => {
        if (errorKind(error) !== "unimplemented") this.#life.report("tell of a kill", error);
      });
    const soon = kills ? AbortSignal.any([signal, AbortSignal.timeout(killMs)]) : signal;
    try {
      await signalTask(this.#life.live(), { id }, request.signal, request.all, soon);
      // What never ran has no end that every shim would tell.
      if (now.phase === "created" && kills) await tellExit(this.#monitor, id, killedCode, 0n, signal);
    } catch (error) {
      if (error instanceof RuntimeError && (error.kind === "not-found" || isFinished(error))) {
        throw new RuntimeError("failed-precondition", `container ${id} has exited`, { cause: error });
      }
      if (!kills || signal.aborted || !(soon.aborted || isUnanswered(error))) throw error;
      this.#life.report(`kill container ${id}: it is ended without the shim`, error);
      this.#container(id).givenUp = true;
      await this.#life.endAlone(id, killMs);
    }
  }

  async run(request: RunRequest, capBytes: number, signal: AbortSignal): Promise<CollectedExec> {
    return await collectExec(
      await this.exec({ ...request, tty: false, stdin: false }, signal),
      capBytes,
      signal,
    );
  }

  exec(request: ExecRequest, signal: AbortSignal): Promise<ProcessStreams> {
    return openExec(this.#monitor, this.#life, request, signal);
  }

  async attach(request: AttachRequest, signal: AbortSignal): Promise<ProcessStreams> {
    const streams = await this.#monitor.attach(request, signal);
    return new ShimStreams({
      streams,
      task: this.#life.live(),
      process: { id: request.containerId },
      tty: true, // the monitor knows whether its input ends
      isExec: false,
      timeoutMs: 0,
      report: this.#life.report,
    });
  }

  /** The network of a sandboxed pod ends in its guest: it is reached by its address, as from another pod. */
  portForward(port: number, signal: AbortSignal): Promise<Duplex> {
    const { sandboxed, ips } = this.#life.record;
    return sandboxed && ips.length > 0
      ? dialFirst(ips, port, signal)
      : this.#monitor.portForward(port, signal);
  }

  async update(containerId: string, resources: OciResources, signal: AbortSignal): Promise<void> {
    await this.#life.live().update(containerId, resources, signal);
  }

  async pause(containerId: string, signal: AbortSignal): Promise<void> {
    await asked(this.#life.live().pause(containerId, signal));
  }

  async resume(containerId: string, signal: AbortSignal): Promise<void> {
    await asked(this.#life.live().resume(containerId, signal));
  }

  async checkpoint(id: string, path: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.#options.diskBytes !== undefined)
      throw new RuntimeError("unimplemented", 'with rootfs = "block" what a container wrote is not saved');
    const bundle = shimBundle(join(this.identity.runDir, id.slice(0, 16)), id);
    // Where runc's shim has CRIU's log, as containerd's bundles have it.
    mkdirSync(join(bundle, "work"), { recursive: true, mode: 0o700 });
    try {
      await this.#life.live().checkpoint({ id, path }, timeoutMs, signal);
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error;
      const name = basename(this.#options.program);
      if (error.kind === "unimplemented")
        throw new RuntimeError("unimplemented", `${name} makes no checkpoints`, { cause: error });
      if (error.kind !== "internal") throw error;
      const why = criuComplaint(join(bundle, "criu-dump.log")) ?? errorLine(error);
      throw new RuntimeError("failed-precondition", `checkpoint: ${why}`, { cause: error });
    }
  }

  async usage(containerId: string, signal: AbortSignal): Promise<ContainerUsage | undefined> {
    return parseUsage(await this.#life.live().stats(containerId, signal));
  }

  reopenLog(containerId: string, signal: AbortSignal): Promise<void> {
    return this.#monitor.reopenLog(containerId, signal);
  }

  netStats(signal: AbortSignal): Promise<readonly InterfaceCounters[]> {
    return this.#monitor.netStats(signal);
  }

  async delete(containerId: string, signal: AbortSignal): Promise<void> {
    const { task } = this.#life;
    if (task !== undefined)
      await this.#endTask(task, containerId, signal).catch((error: unknown) =>
        this.#life.report("delete a container", error),
      );
    await this.#monitor.delete(containerId, signal);
    // Of one that is given up the shim would say nothing the next time either.
    if (!this.#containers.get(containerId)?.givenUp) this.#containers.delete(containerId);
  }

  async shutdown(signal: AbortSignal): Promise<void> {
    const endAll = async (task: Task): Promise<void> => {
      const { containers } = await this.#monitor.state(signal);
      for (const container of containers) await this.#endTask(task, container.id, signal);
    };
    const own = { neverRan: false, ended: () => Promise.resolve() };
    const endOwn = async (task: Task) => void (await endTask(task, this.identity.id, own, signal));
    await this.#life.shutdown(endAll, endOwn, signal);
  }

  close(): void {
    this.#life.leave();
    this.#monitor.close();
  }

  async #endTask(task: Task, id: string, signal: AbortSignal): Promise<void> {
    const container = this.#container(id);
    if (container.givenUp || (await container.deletion) === true) return;
    const ended = (code: number, atNs: bigint) => tellExit(this.#monitor, id, code, atNs, signal);
    const ending = endTask(task, id, { neverRan: container.neverRan === true, ended }, signal).then(
      async (byShim) => {
        if (byShim) return;
        container.givenUp = true;
        // gVisor's shim would wait for it at the end of the sandbox, for seconds.
        await this.#life.program.endContainerCgroup(id, signal);
      },
    );
    container.deletion = ending.then(
      () => true,
      () => false, // told to whoever waits here
    );
    await ending;
  }
}

/** Whether `pid` is a process of this host in the cgroup that was asked for: then it is the container's. */
function isInCgroup(pid: number, cgroupsPath: string): boolean {
  if (pid <= 1) return false;
  try {
    return readFileSync(`/proc/${pid}/cgroup`, "utf8")
      .split("\n")
      .some((line) => line.slice(line.indexOf(":", line.indexOf(":") + 1) + 1) === cgroupsPath);
  } catch {
    return false;
  }
}
