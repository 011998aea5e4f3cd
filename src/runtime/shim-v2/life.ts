/**
 * The life of one pod's shim: it is started, attended, taken up by a later daemon, and ended.
 * What the monitor says of a container stands; the shim is asked where the monitor can't know.
 */
import { chmodSync, copyFileSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { errorKind, RuntimeError } from "../../errors/runtime-error.ts";
import { type MountInit, timestampNs, type WaitResponse } from "../../ttrpc/message.ts";
import type { MonitorSandbox } from "../builtin.ts";
import type { SandboxEvent, SandboxSpec } from "../handler.ts";
import type { LogFlush } from "../monitor/protocol.ts";
import type { ShimAddress } from "./bootstrap.ts";
import { blockMount } from "./disk.ts";
import { lastingCaller } from "./lasting.ts";
import { ShimProgram, type ShimProgramOptions, shimBundle, shimNamespace } from "./program.ts";
import { removeRecord, type ShimRecord, writeRecord } from "./record.ts";
import { agree, killMs, tellExit } from "./recovery.ts";
import { isFinished, isUnanswered } from "./refusal.ts";
import { sandboxSpec } from "./spec.ts";
import { Task } from "./task.ts";

/** Of one call that waits for an end: 24.8 days, the most that a timer takes. */
const longestMs = 0x7fff_ffff;
/** From one connection, or wait, that ended to the next, at least. */
const againMs = 1_000;
/** For a shim to say who it is. */
const reachMs = 5_000;
/** One that is ending may take a connection that it does not serve any more. */
const reachTries = 3;
const reachPauseMs = 200;
/** For a dead shim's program to end a container. */
const lostMs = 60_000;
/** For a monitor to end what is left of a pod. */
const monitorEndMs = 60_000;
/** For a program of a few KiB. */
const sandboxDiskBytes = 8 << 20;

export interface ShimSandboxOptions extends ShimProgramOptions {
  readonly name: string;
  /** The program of a sandbox's own container, static. */
  readonly pauseBinary: string;
  /** Root filesystems are block devices of this size; undefined: overlay mounts. */
  readonly diskBytes: number | undefined;
  readonly logFlush: LogFlush | undefined;
}

export class ShimLife {
  readonly program: ShimProgram;
  readonly #monitor: MonitorSandbox;
  readonly #options: ShimSandboxOptions;
  readonly #onEvent: (event: SandboxEvent) => void;
  /** Ends the waits for containers: this daemon has no part in them any more. */
  readonly #over = new AbortController();
  #record: ShimRecord;
  #task: Task | undefined;
  /** Of a shim that this daemon starts. */
  #starting: Promise<Task> | undefined;
  #connectedAtMs = -againMs;
  /** Of the shim that is dead: what is done about it. */
  #loss: Promise<void> | undefined;
  /** Containers that are ended without it. */
  readonly #alone = new Map<string, Promise<void>>();
  /** True from the first sign of its end that was asked for. */
  #ending = false;

  constructor(
    monitor: MonitorSandbox,
    record: ShimRecord,
    onEvent: (event: SandboxEvent) => void,
    options: ShimSandboxOptions,
  ) {
    this.#monitor = monitor;
    this.#record = record;
    this.#onEvent = onEvent;
    this.#options = options;
    this.program = new ShimProgram(monitor, options);
  }

  get record(): ShimRecord {
    return this.#record;
  }

  /** Undefined: there is none that could be asked. */
  get task(): Task | undefined {
    return this.#ending ? undefined : this.#task;
  }

  /** @throws RuntimeError `unavailable`. */
  live(): Task {
    if (this.task === undefined)
      throw new RuntimeError("unavailable", `the shim of sandbox ${this.#record.id} is gone`);
    return this.task;
  }

  /** Has the shim start while the pod gets its network, of which it knows nothing yet. `boot` waits for it. */
  begin(spec: SandboxSpec, signal: AbortSignal): void {
    this.#starting = this.#startShim(spec, sandboxBundle(spec), signal);
    this.#starting.catch(() => undefined); // `boot` says so
  }

  /** When the network is there: runs the sandbox's own container where the shim needs one. */
  async boot(spec: SandboxSpec, ips: readonly string[], signal: AbortSignal): Promise<void> {
    const task = await this.#starting;
    if (task === undefined) throw new Error("boot is for a shim that was begun");
    this.#record = { ...this.#record, ips };
    writeRecord(spec.runDir, this.#record);
    if (this.#record.sandboxed) await this.#startSandboxContainer(task, spec.id, sandboxBundle(spec), signal);
  }

  async #startShim(spec: SandboxSpec, bundle: string, signal: AbortSignal): Promise<Task> {
    mkdirSync(join(bundle, "rootfs"), { recursive: true, mode: 0o700 });
    const paths = await this.program.namespaces(spec.namespaces, spec.netnsPin, signal);
    const config = sandboxSpec({
      id: spec.id,
      hostname: spec.hostname,
      namespaces: spec.namespaces,
      paths,
      cgroupsPath: `${spec.cgroupParent}/kobako-sandbox-${spec.id.slice(0, 16)}`,
      annotations: spec.annotations,
      sysctls: this.#record.sandboxed ? spec.sysctls : {},
    });
    writeFileSync(join(bundle, "config.json"), JSON.stringify(config), { mode: 0o600 });
    this.#record = { ...this.#record, paths };
    writeRecord(spec.runDir, this.#record);
    const address = await this.program.start(spec.id, bundle, signal);
    this.#record = { ...this.#record, address };
    writeRecord(spec.runDir, this.#record);
    const task = await this.#connect(address, signal);
    this.#attend(task); // who it is its first answer tells, to Create: it is still on its way
    return task;
  }

  async #startSandboxContainer(task: Task, id: string, bundle: string, signal: AbortSignal): Promise<void> {
    const rootfs = join(bundle, "rootfs");
    chmodSync(rootfs, 0o755); // its program is nobody's
    for (const folder of ["proc", "dev", "sys"]) mkdirSync(join(rootfs, folder), { recursive: true });
    copyFileSync(this.#options.pauseBinary, join(rootfs, "pause"));
    chmodSync(join(rootfs, "pause"), 0o755);
    const mounts = await this.#sandboxDisk(rootfs, signal);
    await task.create({ id, bundle, rootfs: mounts, options: this.#options.options.message }, signal);
    await task.start({ id }, signal);
    this.#watchSandboxContainer(task, id);
  }

  /** The sandbox's own root filesystem as the containers' are; an overlay it is not: it is there as a folder. */
  async #sandboxDisk(folder: string, signal: AbortSignal): Promise<MountInit[]> {
    if (this.#options.diskBytes === undefined) return [];
    const image = join(folder, "../../disk");
    const root = statSync(folder);
    return [
      await blockMount(this.#monitor, this.program, { folder, image, bytes: sandboxDiskBytes, root }, signal),
    ];
  }

  #watchSandboxContainer(task: Task, id: string): void {
    void this.#end(task, id).then(
      () => {
        if (!this.#ending) this.#onEvent({ type: "pause-exit" });
      },
      () => undefined, // the connection ended: #lost tells, or nobody wants to know
    );
  }

  #connect(address: ShimAddress, signal: AbortSignal): Promise<Task> {
    const lasting = (container: string) =>
      lastingCaller(this.#monitor, address, container, this.#record.sandboxed);
    return Task.connect(address, shimNamespace, this.#options.timeoutMs, signal, lasting);
  }

  #attend(task: Task): void {
    this.#task = task;
    void task.closed.then((error) => {
      if (error === undefined || this.#isOver()) return;
      this.#takeUpAgain(task, error).catch((cause: unknown) =>
        this.#options.log.error({ sandbox: this.#record.id, error: cause }, "after the end of a connection"),
      );
    });
  }

  #isOver(): boolean {
    return this.#ending || this.#over.signal.aborted;
  }

  /** The connection ended. That is the shim's death where nobody answers on another one. */
  async #takeUpAgain(task: Task, error: Error): Promise<void> {
    const { id, sandboxed } = this.#record;
    this.#options.log.warn({ sandbox: id, error }, "connection to the shim ended");
    const early = this.#connectedAtMs + againMs - performance.now();
    if (early > 0) await setTimeout(early, undefined, { ref: false });
    try {
      await this.#reach(async () => {
        await task.reconnect(AbortSignal.timeout(reachMs));
        return task;
      });
    } catch (cause) {
      if (this.#isOver()) return;
      if (errorKind(cause) !== "resource-exhausted") return await this.#lost(error);
      // It says nothing of the shim.
      this.#connectedAtMs = performance.now();
      return await this.#takeUpAgain(task, error);
    }
    if (this.#isOver()) {
      task.close();
      return;
    }
    this.#connectedAtMs = performance.now();
    this.#attend(task);
    if (sandboxed) this.#watchSandboxContainer(task, id);
    const { containers } = await this.#monitor.state(AbortSignal.timeout(killMs));
    for (const container of containers) if (container.phase === "running") this.watch(task, container.id);
  }

  /**
   * A connection on which the shim answers, or takes its time: one that hangs is no dead one.
   * @throws RuntimeError when nobody listens, or who listens is no shim.
   */
  async #reach(connect: () => Promise<Task>): Promise<Task> {
    for (let left = reachTries; ; left--) {
      const task = await connect();
      const soon = AbortSignal.timeout(reachMs);
      try {
        await task.connectTask(this.#record.id, soon);
        return task;
      } catch (error) {
        if (soon.aborted || isUnanswered(error)) {
          this.report("it does not say who it is", error);
          return task;
        }
        task.close();
        if (left === 1 || this.#isOver()) throw error;
      }
      await setTimeout(reachPauseMs);
    }
  }

  /** The shim is dead: its containers are ended by its program, and their ends recorded. Once. */
  #lost(error: Error): Promise<void> {
    this.#loss ??= this.#endLost(error);
    return this.#loss;
  }

  async #endLost(error: Error): Promise<void> {
    this.#options.log.warn({ sandbox: this.#record.id, error }, "shim is lost: its containers are ended");
    this.#ending = true;
    this.#task?.close();
    try {
      const { containers } = await this.#monitor.state(AbortSignal.timeout(killMs));
      const left = containers.filter(({ phase }) => phase !== "prepared" && phase !== "exited");
      await Promise.all(left.map(({ id }) => this.quietly(this.endAlone(id, lostMs))));
      if (this.#record.sandboxed) await this.program.endAlone(this.#record.id, lostMs);
    } finally {
      this.#onEvent({ type: "pause-exit" });
    }
  }

  /** Ends a container without its shim, and tells the monitor. */
  endAlone(id: string, withinMs: number): Promise<void> {
    const under = this.#alone.get(id);
    if (under !== undefined) return under;
    const work = this.program
      .endAlone(id, withinMs)
      .then((code) => tellExit(this.#monitor, id, code, 0n, AbortSignal.timeout(killMs)))
      .finally(() => this.#alone.delete(id));
    this.#alone.set(id, work);
    return work;
  }

  /**
   * Takes up the shim of an earlier daemon. What happened meanwhile is told to the monitor first.
   * @throws RuntimeError `resource-exhausted` when this daemon can't connect now.
   */
  async takeUp(neverRan: (containerId: string) => void, signal: AbortSignal): Promise<void> {
    const { id, address, sandboxed } = this.#record;
    let task: Task;
    try {
      if (address === undefined) throw new RuntimeError("not-found", "the shim never told its address");
      task = await this.#reach(() => this.#connect(address, signal));
    } catch (error) {
      // It says nothing of the shim.
      if (errorKind(error) === "resource-exhausted") throw error;
      await this.#lost(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    try {
      this.#attend(task);
      if (sandboxed) this.#watchSandboxContainer(task, id);
      await agree(task, this.#monitor, signal, {
        runs: (containerId) => this.watch(task, containerId),
        neverRan,
        quietly: (work) => this.quietly(work),
        later: (containerId, work) => {
          this.#options.log.info(
            { container: containerId },
            "taken up when a call of an earlier daemon is done",
          );
          void this.quietly(work);
        },
        unknown: (containerId, error) => {
          this.report(`what became of container ${containerId} is not known`, error);
          this.watch(task, containerId);
        },
      });
    } catch (error) {
      this.leave(); // the monitor does not answer
      throw error;
    }
  }

  /** Waits for as long as it takes: one call has a longest time. */
  async #end(task: Task, id: string): Promise<WaitResponse> {
    for (;;) {
      try {
        return await task.wait({ id }, longestMs, this.#over.signal);
      } catch (error) {
        if (!isUnanswered(error)) throw error;
      }
      await setTimeout(againMs, undefined, { ref: false, signal: this.#over.signal });
    }
  }

  /** A wait beside the shim's events: one of the two may be lost. */
  watch(task: Task, id: string): void {
    this.#end(task, id)
      .then(({ exitStatus, exitedAt }) =>
        tellExit(this.#monitor, id, exitStatus, timestampNs(exitedAt), AbortSignal.timeout(killMs)),
      )
      .catch(() => undefined); // the connection ended, or the container is deleted
  }

  /** Ends the shim: `endAll` its containers, then the sandbox's own and itself. The monitor kills what is left. */
  async shutdown(
    endAll: (task: Task) => Promise<void>,
    endOwn: (task: Task) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#starting?.catch(() => undefined); // at most its time: what it makes is to be found
    const { task } = this;
    this.#ending = true;
    if (task !== undefined) {
      try {
        await endAll(task);
        if (this.#record.sandboxed) await endOwn(task);
        await task.shutdown(this.#record.id, true, signal);
      } catch (error) {
        this.report("shut the shim down", error);
      }
    }
    // Not the caller's signal: it may be the reason why the shim was not asked to the end.
    await this.#monitor.shutdown(AbortSignal.timeout(monitorEndMs));
    this.leave();
    removeRecord(this.#monitor.identity.runDir, this.#record);
  }

  /** This daemon has no part in it any more. */
  leave(): void {
    this.#over.abort();
    this.#task?.close();
  }

  /** What nobody waits for failed. */
  readonly report = (what: string, error: unknown): void => {
    if (this.#over.signal.aborted) return;
    this.#options.log.warn({ sandbox: this.#record.id, error }, `shim: ${what}`);
  };

  /** Waits for what may find that it is done already. */
  async quietly(work: Promise<unknown>): Promise<void> {
    await work.catch((error: unknown) => {
      if (error instanceof RuntimeError && (error.kind === "not-found" || isFinished(error))) return;
      this.report("a step that may fail", error);
    });
  }
}

/** Of the shim itself, and of the sandbox's own container. */
function sandboxBundle({ id, runDir }: SandboxSpec): string {
  return shimBundle(join(runDir, id.slice(0, 16)), id);
}
