/**
 * A pod whose containers are a shim's: the monitor has its namespaces, FIFOs, logs and exit records, the shim its
 * processes. What the monitor says of a container stands; the shim is asked where the monitor can't know.
 * Never: takes a pid that a shim tells for a process of this host, unless that process is in the container's cgroup.
 */
import { randomBytes } from "node:crypto";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { RuntimeError } from "../../errors/runtime-error.ts";
import type { Log } from "../../log/log.ts";
import type { OciResources } from "../../oci/runtime-spec.ts";
import { processStartTime } from "../../process/start-time.ts";
import { TaskStatus, timestampNs, type MountInit } from "../../ttrpc/message.ts";
import type { MonitorSandbox } from "../builtin.ts";
import type {
  AttachRequest,
  ContainerUsage,
  CreatedContainer,
  CreateRequest,
  ExecRequest,
  InterfaceCounters,
  KillRequest,
  PrepareRequest,
  ProcessStreams,
  ResolvedUser,
  RuntimeSandbox,
  SandboxEvent,
  SandboxIdentity,
  SandboxSpec,
  SandboxStatus,
} from "../handler.ts";
import { asObject, createParams, text, type LogFlush, type Wire } from "../monitor/protocol.ts";
import { openStreamsOf } from "../monitor/streams.ts";
import { parseUsage } from "./metrics.ts";
import { dialFirst } from "./dial.ts";
import { ShimProgram, type ShimProgramOptions, shimBundle, shimNamespace } from "./program.ts";
import { removeSocket, type ShimRecord, writeRecord } from "./record.ts";
import { agree, killedCode, killMs, tellExit } from "./recovery.ts";
import { asked, errorLine, isFinished, isProgramFault } from "./refusal.ts";
import { overlayMount } from "./rootfs.ts";
import { sandboxSpec, shimSpec } from "./spec.ts";
import { ShimStreams } from "./streams.ts";
import { type ProcessRef, Task } from "./task.ts";

/** A container's end is waited for as long as it lives. */
const foreverMs = 0x7fff_ffff;
const neverRanMs = 1_000;
/** What shims say of a process that could not be started. */
const startErrorCode = 128;

export interface ShimSandboxOptions extends ShimProgramOptions {
  readonly name: string;
  /** The program of a sandbox's own container, static. */
  readonly pauseBinary: string;
  readonly logFlush: LogFlush | undefined;
  readonly log: Log;
}

/** What is known of a container between its requests; gone with the daemon, like a half made container. */
interface Pending {
  readonly rootfs: MountInit;
  /** Why the shim refused to create it: what `start` answers. */
  refused?: RuntimeError;
}

export class ShimSandbox implements RuntimeSandbox {
  readonly identity: SandboxIdentity;
  readonly closed: Promise<Error | undefined>;
  #initial: SandboxStatus;
  readonly #monitor: MonitorSandbox;
  readonly #program: ShimProgram;
  readonly #options: ShimSandboxOptions;
  readonly #onEvent: (event: SandboxEvent) => void;
  readonly #pending = new Map<string, Pending>();
  /** Created and not started: some shims never tell the end of such a one. */
  readonly #neverRan = new Set<string>();
  /** Ends the waits for containers: this daemon has no part in them any more. */
  readonly #over = new AbortController();
  /** Of a sandbox that was just started. */
  readonly #spec: SandboxSpec | undefined;
  #record: ShimRecord;
  #task: Task | undefined;
  /** True from the first sign of its end that was asked for. */
  #ending = false;

  constructor(
    monitor: MonitorSandbox,
    record: ShimRecord,
    onEvent: (event: SandboxEvent) => void,
    options: ShimSandboxOptions,
    spec?: SandboxSpec,
  ) {
    this.#spec = spec;
    this.#monitor = monitor;
    this.#record = record;
    this.#onEvent = onEvent;
    this.#options = options;
    this.#program = new ShimProgram(monitor, options);
    this.identity = monitor.identity;
    this.closed = monitor.closed;
    this.#initial = monitor.initial;
    void monitor.closed.then(() => this.#leave());
  }

  get initial(): SandboxStatus {
    return this.#initial;
  }

  // --- the shim's own life ---

  /** Starts the shim, and the sandbox's own container where it needs one. */
  async #boot(spec: SandboxSpec, signal: AbortSignal): Promise<void> {
    const { options, timeoutMs } = this.#options;
    const bundle = shimBundle(join(spec.runDir, spec.id.slice(0, 16)), spec.id);
    mkdirSync(join(bundle, "rootfs"), { recursive: true, mode: 0o700 });
    const paths = await this.#program.namespaces(spec.namespaces, spec.netnsPin, signal);
    const config = sandboxSpec({
      id: spec.id,
      hostname: spec.hostname,
      namespaces: spec.namespaces,
      paths,
      cgroupsPath: `${spec.cgroupParent}/kobako-sandbox-${spec.id.slice(0, 16)}`,
      annotations: spec.annotations,
      sysctls: options.sandboxContainer ? spec.sysctls : {},
    });
    writeFileSync(join(bundle, "config.json"), JSON.stringify(config), { mode: 0o600 });
    this.#record = { ...this.#record, paths };
    writeRecord(spec.runDir, this.#record);
    const address = await this.#program.start(spec.id, bundle, signal);
    this.#record = { ...this.#record, address };
    writeRecord(spec.runDir, this.#record);
    const task = await Task.connect(address, shimNamespace, timeoutMs, signal);
    this.#attend(task);
    await task.connectTask(spec.id, signal);
    if (options.sandboxContainer) await this.#startSandboxContainer(task, spec.id, bundle, signal);
  }

  async #startSandboxContainer(task: Task, id: string, bundle: string, signal: AbortSignal): Promise<void> {
    const rootfs = join(bundle, "rootfs");
    chmodSync(rootfs, 0o755); // its program is nobody's
    for (const folder of ["proc", "dev", "sys"]) mkdirSync(join(rootfs, folder), { recursive: true });
    copyFileSync(this.#options.pauseBinary, join(rootfs, "pause"));
    chmodSync(join(rootfs, "pause"), 0o755);
    await task.create({ id, bundle, options: this.#options.options.message }, signal);
    await task.start({ id }, signal);
    this.#watchSandboxContainer(task, id);
  }

  #watchSandboxContainer(task: Task, id: string): void {
    void task.wait({ id }, foreverMs, this.#over.signal).then(
      () => {
        if (!this.#ending) this.#onEvent({ type: "pause-exit" });
      },
      () => undefined, // the connection ended: #lost tells, or nobody wants to know
    );
  }

  #attend(task: Task): void {
    this.#task = task;
    void task.closed.then((error) => {
      if (error === undefined || this.#ending || this.#over.signal.aborted) return;
      this.#lost(error).catch((cause: unknown) =>
        this.#options.log.error({ sandbox: this.identity.id, error: cause }, "end what a dead shim left"),
      );
    });
  }

  /** The shim is dead: its containers are ended by its program, and their ends recorded. */
  async #lost(error: Error): Promise<void> {
    const { log } = this.#options;
    log.warn({ sandbox: this.identity.id, error }, "shim is lost: its containers are ended");
    this.#ending = true;
    const signal = AbortSignal.timeout(60_000);
    const { containers } = await this.#monitor.state(signal);
    for (const { id, phase } of containers) {
      if (phase === "prepared" || phase === "exited") continue;
      const code = await this.#program.cleanUp(id, signal).catch((cause: unknown) => {
        log.warn({ container: id, error: cause }, "a dead shim's container is not cleaned up");
        return killedCode;
      });
      await this.#monitor.request("exited", { container: id, exit_code: code }, signal);
    }
    if (this.#record.sandboxed)
      await this.#program
        .cleanUp(this.identity.id, signal)
        .catch((cause: unknown) =>
          log.warn({ sandbox: this.identity.id, error: cause }, "a dead shim's sandbox is not cleaned up"),
        );
    this.#onEvent({ type: "pause-exit" });
  }

  /** Takes up the shim of an earlier daemon. What happened meanwhile is told to the monitor first. */
  async takeUp(signal: AbortSignal): Promise<void> {
    const { address, sandboxed } = this.#record;
    const { id } = this.identity;
    try {
      if (address === undefined) throw new RuntimeError("not-found", "the shim never told its address");
      const task = await Task.connect(address, shimNamespace, this.#options.timeoutMs, signal);
      this.#attend(task);
      await task.connectTask(id, signal);
      if (sandboxed) this.#watchSandboxContainer(task, id);
      await agree(task, this.#monitor, signal, {
        runs: (containerId) => this.#watch(task, containerId),
        neverRan: (containerId) => this.#neverRan.add(containerId),
        quietly: (work) => this.#quietly(work),
      });
    } catch (error) {
      this.#task?.close();
      await this.#lost(error instanceof Error ? error : new Error(String(error)));
    }
    this.#initial = await this.#monitor.state(signal);
  }

  /** A wait beside the shim's events: one of the two may be lost. */
  #watch(task: Task, id: string): void {
    task
      .wait({ id }, foreverMs, this.#over.signal)
      .then(({ exitStatus, exitedAt }) =>
        tellExit(this.#monitor, id, exitStatus, timestampNs(exitedAt), AbortSignal.timeout(killMs)),
      )
      .catch(() => undefined); // the connection ended, or the container is deleted
  }

  /** An event of the monitor that only a shim's pod has. */
  monitorEvent(message: Wire): void {
    if (message.event !== "stdin_closed" || this.#task === undefined) return;
    const id = text(asObject(message.params, "params"), "container");
    void this.#quietly(this.#task.closeStdin({ id }, AbortSignal.timeout(this.#options.timeoutMs)));
  }

  // --- the verbs ---

  async networkReady(signal: AbortSignal, ips: readonly string[] = []): Promise<void> {
    this.#record = { ...this.#record, ips };
    if (this.#spec === undefined) throw new Error("networkReady is for a sandbox that was just started");
    await this.#boot(this.#spec, signal);
  }

  async state(signal: AbortSignal): Promise<SandboxStatus> {
    return await this.#monitor.state(signal);
  }

  async prepare(request: PrepareRequest, signal: AbortSignal): Promise<ResolvedUser> {
    const user = await this.#monitor.prepare(request, signal);
    this.#pending.set(request.containerId, { rootfs: overlayMount(request.rootfs, request.bundle) });
    return user;
  }

  async create(request: CreateRequest, signal: AbortSignal): Promise<CreatedContainer> {
    const { containerId: id } = request;
    const bundle = shimBundle(request.bundle, id);
    const pending = this.#pending.get(id);
    if (pending === undefined)
      throw new RuntimeError("failed-precondition", `container ${id} is not prepared`);
    const task = this.#live();
    const { paths, sandboxed } = this.#record;
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
      this.#neverRan.add(id);
      const { pid } = await task.create(
        {
          id,
          bundle,
          rootfs: [pending.rootfs],
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
      if (!isProgramFault(error)) throw error;
      pending.refused = new RuntimeError("failed-precondition", errorLine(error), { cause: error });
      return { pid: 0, startTime: "", cgroup: "" };
    }
  }

  async start(containerId: string, signal: AbortSignal): Promise<{ startedAtNs: bigint }> {
    const refused = this.#pending.get(containerId)?.refused;
    if (refused !== undefined) throw refused;
    const task = this.#live();
    try {
      await task.start({ id: containerId }, signal);
    } catch (error) {
      if (isProgramFault(error))
        throw new RuntimeError("failed-precondition", errorLine(error), { cause: error });
      if (!(await this.#wasStarted(task, containerId, error, signal))) throw error;
    }
    this.#neverRan.delete(containerId);
    const answer = await this.#monitor.request("started", { container: containerId }, signal);
    this.#watch(task, containerId);
    return { startedAtNs: BigInt(text(answer, "started_at_ns")) };
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
    if (this.#pending.get(id)?.refused !== undefined) {
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
    try {
      await this.#signal(this.#live(), { id }, request.signal, request.all, signal);
      // What never ran has no end that every shim would tell.
      if (now.phase === "created" && request.signal === 9)
        await tellExit(this.#monitor, id, killedCode, 0n, signal);
    } catch (error) {
      if (error instanceof RuntimeError && (error.kind === "not-found" || isFinished(error))) {
        throw new RuntimeError("failed-precondition", `container ${id} has exited`, { cause: error });
      }
      throw error;
    }
  }

  async exec(request: ExecRequest, signal: AbortSignal): Promise<ProcessStreams> {
    const { containerId: id, tty, stdin, timeoutMs } = request;
    const task = this.#live();
    const execId = `e${randomBytes(8).toString("hex")}`;
    const process = { id, execId };
    const { streams, result } = await openStreamsOf(
      this.identity.runDir,
      this.identity,
      "exec_io",
      { container: id, exec: execId, tty, stdin },
      signal,
    );
    let added = false;
    try {
      const io = {
        stdin: text(result, "stdin"),
        stdout: text(result, "stdout"),
        stderr: text(result, "stderr"),
      };
      await task.exec({ ...process, terminal: tty, ...io }, { ...request.process, terminal: tty }, signal);
      added = true;
      await task.start(process, signal);
    } catch (error) {
      streams.close();
      const undo = AbortSignal.timeout(killMs);
      if (added) await this.#quietly(task.delete(process, undo));
      await this.#quietly(
        this.#monitor.request("exited", { container: id, exec: execId, exit_code: 126 }, undo),
      );
      if (error instanceof RuntimeError && (isProgramFault(error) || isFinished(error)))
        throw new RuntimeError("failed-precondition", errorLine(error), { cause: error });
      throw error;
    }
    return new ShimStreams({ streams, task, process, tty, isExec: true, timeoutMs, report: this.#report });
  }

  async attach(request: AttachRequest, signal: AbortSignal): Promise<ProcessStreams> {
    const streams = await this.#monitor.attach(request, signal);
    return new ShimStreams({
      streams,
      task: this.#live(),
      process: { id: request.containerId },
      tty: true, // the monitor knows whether its input ends
      isExec: false,
      timeoutMs: 0,
      report: this.#report,
    });
  }

  /** The network of a sandboxed pod ends in its guest: it is reached by its address, as from another pod. */
  portForward(port: number, signal: AbortSignal): Promise<Duplex> {
    const { sandboxed, ips } = this.#record;
    return sandboxed && ips.length > 0
      ? dialFirst(ips, port, signal)
      : this.#monitor.portForward(port, signal);
  }

  async update(containerId: string, resources: OciResources, signal: AbortSignal): Promise<void> {
    await this.#live().update(containerId, resources, signal);
  }

  async pause(containerId: string, signal: AbortSignal): Promise<void> {
    await asked(this.#live().pause(containerId, signal));
  }

  async resume(containerId: string, signal: AbortSignal): Promise<void> {
    await asked(this.#live().resume(containerId, signal));
  }

  /** Writes the container's state below `path`. @throws `unimplemented` where the shim can't. */
  async checkpoint(containerId: string, path: string, signal: AbortSignal): Promise<void> {
    await this.#live().checkpoint({ id: containerId, path }, signal);
  }

  async usage(containerId: string, signal: AbortSignal): Promise<ContainerUsage | undefined> {
    return parseUsage(await this.#live().stats(containerId, signal));
  }

  reopenLog(containerId: string, signal: AbortSignal): Promise<void> {
    return this.#monitor.reopenLog(containerId, signal);
  }

  netStats(signal: AbortSignal): Promise<readonly InterfaceCounters[]> {
    return this.#monitor.netStats(signal);
  }

  async delete(containerId: string, signal: AbortSignal): Promise<void> {
    if (this.#task !== undefined && !this.#ending)
      await this.#endTask(this.#task, containerId, signal).catch((error: unknown) =>
        this.#report("delete a container", error),
      );
    await this.#monitor.delete(containerId, signal);
    this.#pending.delete(containerId);
    this.#neverRan.delete(containerId);
  }

  async shutdown(signal: AbortSignal): Promise<void> {
    const task = this.#task;
    const { id } = this.identity;
    if (task !== undefined && !this.#ending) {
      this.#ending = true;
      try {
        const { containers } = await this.#monitor.state(signal);
        for (const container of containers) await this.#endTask(task, container.id, signal);
        if (this.#record.sandboxed) await this.#endTask(task, id, signal);
        await task.shutdown(id, true, signal);
      } catch (error) {
        this.#report("shut the shim down", error); // the monitor kills what is left of it
      }
    }
    this.#ending = true;
    await this.#monitor.shutdown(signal);
    this.#leave();
    removeSocket(this.#record);
  }

  close(): void {
    this.#leave();
    this.#monitor.close();
  }

  // --- what the verbs have in common ---

  #leave(): void {
    this.#over.abort();
    this.#task?.close();
  }

  #live(): Task {
    if (this.#task === undefined || this.#ending)
      throw new RuntimeError("unavailable", `the shim of sandbox ${this.identity.id} is gone`);
    return this.#task;
  }

  readonly #report = (what: string, error: unknown): void => {
    if (this.#over.signal.aborted) return;
    this.#options.log.warn({ sandbox: this.identity.id, error }, `shim: ${what}`);
  };

  async #quietly(work: Promise<unknown>): Promise<void> {
    await work.catch((error: unknown) => {
      if (error instanceof RuntimeError && (error.kind === "not-found" || isFinished(error))) return;
      this.#report("a step that may fail", error);
    });
  }

  /** SIGKILL ends a paused container too; runtimes that can't do that let it go on first. */
  async #signal(
    task: Task,
    process: ProcessRef,
    number: number,
    everyone: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await task.kill(process, number, everyone, signal);
    } catch (error) {
      if (number !== 9 || !(error instanceof RuntimeError) || !/paused/i.test(error.message)) throw error;
      await task.resume(process.id, signal);
      await task.kill(process, number, everyone, signal);
    }
  }

  /** Kills and deletes a task. One that the shim does not know is success. */
  async #endTask(task: Task, id: string, signal: AbortSignal): Promise<void> {
    const gone = (error: unknown) => {
      if (error instanceof RuntimeError && (error.kind === "not-found" || isFinished(error))) return;
      throw error;
    };
    await this.#signal(task, { id }, 9, true, signal).catch(gone);
    if (this.#neverRan.has(id)) {
      // gVisor can't delete what never ran: its shim waits for output that nobody closes. It ends with the sandbox.
      const soon = AbortSignal.any([signal, AbortSignal.timeout(neverRanMs)]);
      await task.delete({ id }, soon).catch((error: unknown) => {
        if (!soon.aborted || signal.aborted) gone(error);
      });
      return;
    }
    await task.wait({ id }, killMs, signal).then(({ exitStatus, exitedAt }) => {
      if (id === this.identity.id) return;
      return tellExit(this.#monitor, id, exitStatus, timestampNs(exitedAt), signal).catch(gone);
    }, gone);
    await task.delete({ id }, signal).catch(gone);
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
