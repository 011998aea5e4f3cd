/**
 * What happens to a sandbox: run, stop, remove, lost. Rules are in state.ts; effects stand here,
 * each with its undo on the next line, so that a failure leaves nothing.
 * Enters: validated configurations. Leaves: sandboxes as values in the collection.
 * Keeps: the row of each sandbox (intent before the effect, fact after it) and its volatile folder.
 * Never: speaks CRI, or holds a pod's lock while it waits for a container to end by itself.
 */
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { errorKind, RuntimeError } from "../errors/runtime-error.ts";
import type { Log } from "../log/log.ts";
import type { Attachment, Network } from "../network/network.ts";
import { killNow } from "../process/kill.ts";
import { retryLater } from "../process/retry.ts";
import { processStartTime } from "../process/stat.ts";
import type { RuntimeHandler, RuntimeSandbox, SandboxEvent } from "../runtime/handler.ts";
import type { Collection } from "../store/collection.ts";
import { sandboxAnnotations } from "./annotation.ts";
import type { CgroupPlaces } from "./cgroup-places.ts";
import { type CgroupTree, endCgroup } from "./cgroup-tree.ts";
import type { PodConfig } from "./config.ts";
import type { Connections } from "./connections.ts";
import { Creations } from "./creation.ts";
import { fingerprint } from "./fingerprint.ts";
import type { KeyedLock } from "./keyed-lock.ts";
import { makeLogFolder, writeFiles, writeHosts } from "./pod-folder.ts";
import { type MonitorProcess, type Sandbox, sandboxName } from "./sandbox.ts";
import { transition } from "./state.ts";
import { validatePodConfig } from "./validate.ts";

/** A kubelet waits four minutes for RunPodSandbox; then it asks again and finds what was made. */
const makeTimeoutMs = 240_000;
/** A cgroup that was emptied goes at once; the kernel counts late under load. */
const parentTimeoutMs = 2_000;
/** An undo has its own time: the caller's may be the reason for it. */
const undoTimeoutMs = 60_000;
const shmBytes = 64 << 20;

/** What a sandbox asks of its containers; the container room does it. */
export interface SandboxContainers {
  /** Kills those that run and waits until they are gone. */
  killAll(sandboxId: string, signal: AbortSignal): Promise<void>;
  /** Removes all of them with their snapshots. */
  removeAll(sandboxId: string, signal: AbortSignal): Promise<void>;
  /** Nobody owns them any more: ends what is left of them and says why. */
  lost(sandboxId: string, reason: string): Promise<void>;
  /** A connection to their monitor was made anew: brings the records into agreement with what it says. */
  agree(sandboxId: string, connection: RuntimeSandbox): Promise<void>;
  onEvent(sandboxId: string, event: SandboxEvent): void;
}

export interface SandboxLifecycleDeps {
  readonly sandboxes: Collection<Sandbox>;
  readonly connections: Connections;
  readonly handlers: ReadonlyMap<string, RuntimeHandler>;
  /** For pods whose handler is none of these. */
  readonly retired: Pick<RuntimeHandler, "connect" | "endRemains">;
  readonly defaultHandler: string;
  readonly network: Network;
  readonly cgroups: CgroupTree;
  readonly locks: KeyedLock;
  readonly log: Log;
  readonly bootId: string;
  readonly fingerprintKey: Uint8Array;
  /** `<state>/pods`. */
  readonly podsFolder: string;
  /** "/run/netns/kobako" or with the instance's suffix; "-<id16>" follows. */
  readonly netnsPrefix: string;
  /** "/kobako" or with the instance's suffix: what this daemon owns in every hierarchy. */
  readonly places: CgroupPlaces;
  /** Unmounts and removes a namespace pin; one that does not exist is success. */
  readonly unpin: (path: string, signal: AbortSignal) => Promise<void>;
  /** Pod annotations that a handler may see, by its configuration. */
  readonly allowedAnnotations: (handler: string) => readonly string[];
  readonly nowNs: () => bigint;
  /** Told after each change that GetContainerEvents reports. */
  readonly changed: (
    sandboxId: string,
    change: "created" | "started" | "stopped" | "deleted",
    before?: Sandbox,
  ) => void;
}

export class SandboxLifecycle {
  readonly #deps: SandboxLifecycleDeps;
  readonly #creations = new Creations("sandbox");
  /** Cgroup parents of ours whose owner went before their last user. */
  readonly #inherited = new Set<string>();
  /** Whose monitor is dead; their containers may still be ending. */
  readonly #givenUp = new Set<string>();
  /** Which could not be taken up: they are tried again in the background. */
  readonly #later = new Set<string>();
  #containers: SandboxContainers | undefined;

  constructor(deps: SandboxLifecycleDeps) {
    this.#deps = deps;
    deps.connections.bindTakeUp(async (id) => {
      // Of one that is given up nothing more will be known, however long its end takes.
      if (!this.#givenUp.has(id) && this.#deps.sandboxes.find(id)?.monitor !== undefined)
        await this.takeUp(id);
    });
  }

  /** The container room needs sandboxes, and sandboxes their containers: the wiring closes the circle. */
  bindContainers(containers: SandboxContainers): void {
    this.#containers = containers;
  }

  get #pods(): SandboxContainers {
    if (this.#containers === undefined) throw new Error("bindContainers was not called");
    return this.#containers;
  }

  /**
   * Makes a sandbox, or finds the one that an equal request is making or has made.
   * @throws RuntimeError `invalid-argument` for a bad configuration or an unknown handler,
   * `already-exists` when the name is taken, `unavailable` without a network.
   */
  async run(config: PodConfig, requestedHandler: string, signal: AbortSignal): Promise<string> {
    validatePodConfig(config);
    const handler = this.#handler(requestedHandler);
    if (config.namespaces.user === "pod") await requireUserNamespaces(handler, signal);
    const asked = fingerprint({ ...config, runtimeHandler: requestedHandler }, this.#deps.fingerprintKey);
    const id = await this.#creations.run(
      sandboxName(config.metadata),
      asked,
      () => randomBytes(32).toString("hex"),
      (newId) =>
        this.#deps.locks.run(newId, () => this.#make(newId, config, handler, requestedHandler, asked)),
      (known) => this.#deps.sandboxes.find(known)?.state === "ready",
      signal,
    );
    return id;
  }

  /** Puts a sandbox of a former daemon under this one's care. One that is half made keeps no name. */
  adopt(sandbox: Sandbox): void {
    if (sandbox.state === "creating") return;
    this.#creations.adopt(sandboxName(sandbox.config.metadata), sandbox.id, sandbox.fingerprint);
  }

  /**
   * Kills the sandbox's containers and gives its network back. A sandbox that is unknown or
   * stopped is success: a kubelet calls this more than once.
   */
  async stop(id: string, signal: AbortSignal): Promise<void> {
    await this.#deps.locks.run(id, async () => {
      const sandbox = this.#deps.sandboxes.find(id);
      if (sandbox !== undefined) await this.#stop(sandbox, signal);
    });
  }

  /** Stops the sandbox if need be and removes it with its containers. An unknown one is success. */
  async remove(id: string, signal: AbortSignal): Promise<void> {
    await this.#deps.locks.run(id, async () => {
      const { sandboxes } = this.#deps;
      const sandbox = sandboxes.find(id);
      if (sandbox === undefined) return;
      const stopped = await this.#stop(sandbox, signal);
      const removing = sandboxes.put({ ...stopped, state: transition(stopped.state, "remove") });
      await this.#pods.removeAll(id, signal);
      rmSync(sandbox.folder, { recursive: true, force: true });
      await this.#forget(sandbox);
      this.#deps.changed(id, "deleted", removing);
    });
  }

  /**
   * Takes up a sandbox after its monitor, its pause process or the machine went away: ends what is
   * left of it and marks it not ready. Its network is given back by stop, as a kubelet expects; so is a monitor that
   * still lives (`monitorLives`), because it holds that network.
   */
  async lose(id: string, reason: string, monitorLives = false): Promise<void> {
    await this.#deps.locks.run(id, () => this.#lose(id, reason, monitorLives));
  }

  /** Gives the network of a sandbox back that does not live any more, also of one without a record. */
  async detach(id: string, signal: AbortSignal): Promise<void> {
    await this.#deps.locks.run(id, () => this.#deps.network.detach(id, undefined, signal));
  }

  /** Removes every trace of a sandbox that a former daemon did not finish. */
  async undo(id: string): Promise<void> {
    await this.#deps.locks.run(id, async () => {
      const sandbox = this.#deps.sandboxes.find(id);
      if (sandbox?.state === "creating") await this.#undoCreation(sandbox);
    });
  }

  /**
   * Removes every trace of a sandbox that was never finished. Each step is success when there is
   * nothing to do, so it also serves after a crash at any point. What can't be given back now (a CNI
   * plugin that fails at DEL) stays as a sandbox that is not ready: its stop and removal repeat the step. What
   * can't even be recorded now (the disk is full) is tried again in the background. Under the sandbox's lock.
   */
  async #undoCreation(sandbox: Sandbox): Promise<void> {
    const { id } = sandbox;
    const { locks, sandboxes, log } = this.#deps;
    this.#creations.release(sandboxName(sandbox.config.metadata), id);
    const undo = async (): Promise<void> => {
      if (sandboxes.find(id)?.state === "creating") await this.#undo(sandbox);
    };
    const failed = (error: unknown): void =>
      log.error({ sandbox: id, error }, "undo of a sandbox: it is tried again");
    await undo().catch((error: unknown) => {
      failed(error);
      void retryLater(() => locks.run(id, undo), failed);
    });
  }

  async #undo(sandbox: Sandbox): Promise<void> {
    const { connections, network, cgroups, unpin, sandboxes, log } = this.#deps;
    const { id, netnsPath } = sandbox;
    const signal = AbortSignal.timeout(undoTimeoutMs);
    let failed = false;
    const step = async (what: string, work: () => Promise<void>): Promise<void> => {
      await work().catch((error: unknown) => {
        failed = true;
        log.error({ sandbox: id, error }, `undo of a sandbox: ${what}`);
      });
    };
    if (netnsPath !== undefined) await step("network", () => network.detach(id, netnsPath, signal));
    const connection = connections.find(id);
    connections.delete(id);
    if (connection !== undefined) {
      await step("monitor", () => connection.shutdown(signal));
      connection.close();
    }
    await step("what its monitor left", () => this.#endMonitor(sandbox));
    if (netnsPath !== undefined) await step("network namespace", () => unpin(netnsPath, signal));
    const pause = this.#pauseCgroup(sandbox);
    await step("cgroup of the pause process", () => endCgroup(cgroups, pause, signal));
    if (failed) {
      const left = sandboxes.find(id) ?? sandbox;
      sandboxes.putFact(
        { ...left, state: transition(left.state, "lost"), reason: "UndoFailed", monitor: undefined },
        (error) => log.error({ sandbox: id, error }, "record of a sandbox that is not undone"),
      );
    } else {
      rmSync(sandbox.folder, { recursive: true, force: true });
      await this.#forget(sandbox);
    }
  }

  /** Watches the connection to a sandbox until it ends, and takes a broken one up again. */
  attend(sandbox: Sandbox, connection: RuntimeSandbox): void {
    const { connections, locks, log } = this.#deps;
    connections.set(sandbox.id, connection);
    void connection.closed
      .then(async (error) => {
        if (error === undefined) return;
        await locks.run(sandbox.id, async () => {
          // A stop or a removal may have come first.
          if (connections.find(sandbox.id) !== connection) return;
          connections.delete(sandbox.id);
          await this.#takeUp(sandbox.id);
        });
      })
      .catch((error: unknown) => {
        log.error({ sandbox: sandbox.id, error }, "take up a lost sandbox");
      });
  }

  /**
   * Connects to the sandbox's monitor and takes over what it says, or takes the sandbox for lost when its monitor is
   * dead or hangs. @throws RuntimeError `unavailable` when that can't be known now: then it is tried again.
   */
  async takeUp(id: string): Promise<void> {
    await this.#deps.locks.run(id, () => this.#takeUp(id));
  }

  /** Waits for the creations under way: a daemon that is asked to end does not leave half of one. */
  async settled(): Promise<void> {
    await this.#creations.settled();
  }

  async #takeUp(id: string): Promise<void> {
    try {
      await this.#reach(id);
    } catch (error) {
      this.#takeUpLater(id);
      throw error;
    }
  }

  async #reach(id: string): Promise<void> {
    const { sandboxes, connections, log } = this.#deps;
    const sandbox = sandboxes.find(id);
    if (sandbox?.monitor === undefined || connections.find(id) !== undefined) return;
    if (sandbox.bootId !== this.#deps.bootId) return await this.#lose(id, "NodeRebooted", false);
    const { pid, startTime } = sandbox.monitor;
    let connection: RuntimeSandbox;
    try {
      connection = await this.#handlerOf(sandbox).connect(
        { id, runDir: sandbox.folder, pid, startTime },
        (event) => this.#onEvent(id, event),
        AbortSignal.timeout(undoTimeoutMs),
      );
    } catch (error) {
      const kind = errorKind(error);
      if (kind === "failed-precondition") {
        log.error(
          { sandbox: id, error },
          "monitor is not understood: the pod goes on, stop ends it by its cgroups",
        );
        return;
      }
      if (kind === "not-found" || kind === "deadline-exceeded" || isGone(sandbox.monitor)) {
        log.warn({ sandbox: id, error }, "monitor does not answer");
        await this.#lose(id, "MonitorLost", false);
        return;
      }
      throw new RuntimeError("unavailable", "monitor can't be reached now: the pod is left alone", {
        cause: error,
        subject: { sandbox: id },
      });
    }
    this.attend(sandbox, connection);
    await this.#pods.agree(id, connection);
  }

  #takeUpLater(id: string): void {
    if (this.#later.has(id)) return;
    this.#later.add(id);
    void retryLater(
      async () => {
        await this.takeUp(id);
        this.#later.delete(id);
      },
      (error) => this.#deps.log.warn({ sandbox: id, error }, "take up a sandbox: it is tried again"),
    );
  }

  async #lose(id: string, reason: string, monitorLives: boolean): Promise<void> {
    const { sandboxes, connections, cgroups, log } = this.#deps;
    const sandbox = sandboxes.find(id);
    if (sandbox === undefined || sandbox.state === "removing") return;
    if (!monitorLives) {
      this.#givenUp.add(id);
      connections.find(id)?.close();
      connections.delete(id);
    }
    const record = (change: Partial<Sandbox>) =>
      sandboxes.putFact({ ...(sandboxes.find(id) ?? sandbox), ...change }, (error) =>
        log.error({ sandbox: id, error }, "record of a lost sandbox"),
      );
    // Told before anything is ended, which may take long or fail: a stop, which this calls for, does it again.
    if (sandbox.state !== "notready") {
      record({ state: transition(sandbox.state, "lost"), reason });
      this.#deps.changed(id, "stopped");
    }
    log.warn({ sandbox: id, reason }, "sandbox is lost");
    // One that is there and does not answer would hold the pod's namespaces for ever.
    const ended = monitorLives
      ? false
      : await this.#endMonitor(sandbox).then(
          () => true,
          (error: unknown) => {
            log.error({ sandbox: id, error }, "something outlives a monitor: stop tries again to end it");
            return false;
          },
        );
    await this.#pods.lost(id, reason);
    await endCgroup(cgroups, this.#pauseCgroup(sandbox), AbortSignal.timeout(undoTimeoutMs));
    if (ended) record({ monitor: undefined });
  }

  /**
   * The cgroup that was made for this sandbox's containers, if nobody else uses it; else its next
   * user inherits it. Synchronous, like the removal of the row after it: two that go at once must not
   * inherit from each other.
   */
  #parentToRemove(id: string): string | undefined {
    const { sandboxes } = this.#deps;
    const sandbox = sandboxes.find(id);
    if (sandbox === undefined) return undefined;
    const { cgroupParent, ownsCgroupParent } = sandbox;
    if (!ownsCgroupParent && !this.#inherited.has(cgroupParent)) return undefined;
    const heir = sandboxes.values().find((s) => s.id !== id && s.cgroupParent === cgroupParent);
    if (heir === undefined) {
      this.#inherited.delete(cgroupParent);
      return cgroupParent;
    }
    // The row is for the next daemon; it does not stand when a call about the heir is under way.
    this.#inherited.add(cgroupParent);
    sandboxes.put({ ...heir, ownsCgroupParent: true });
    return undefined;
  }

  /** Ends the record of a sandbox that holds nothing any more, and removes its cgroup. */
  async #forget(sandbox: Sandbox): Promise<void> {
    const { sandboxes, cgroups, log } = this.#deps;
    const parent = this.#parentToRemove(sandbox.id);
    if (parent !== undefined) {
      await cgroups.remove(parent, AbortSignal.timeout(parentTimeoutMs)).catch((error: unknown) => {
        // Somebody has put a cgroup into it meanwhile: then it is theirs.
        log.warn({ sandbox: sandbox.id, cgroup: parent, error }, "cgroup parent is left behind");
      });
    }
    sandboxes.remove(sandbox.id);
    this.#givenUp.delete(sandbox.id);
    this.#creations.release(sandboxName(sandbox.config.metadata), sandbox.id);
  }

  async #make(
    id: string,
    config: PodConfig,
    handler: RuntimeHandler,
    requestedHandler: string,
    asked: Sandbox["fingerprint"],
  ): Promise<void> {
    const { sandboxes, cgroups, nowNs } = this.#deps;
    const short = id.slice(0, 16);
    const cgroupParent = this.#deps.places.parent(config.cgroupParent, short);
    let sandbox: Sandbox = sandboxes.put({
      id,
      config,
      handler: handler.name,
      requestedHandler,
      state: "creating",
      createdAtNs: nowNs(),
      bootId: this.#deps.bootId,
      folder: join(this.#deps.podsFolder, short),
      netnsPath: config.namespaces.network === "node" ? undefined : `${this.#deps.netnsPrefix}-${short}`,
      monitor: undefined,
      network: undefined,
      cgroupParent,
      ownsCgroupParent: !cgroups.exists(cgroupParent),
      reason: "",
      fingerprint: asked,
    });
    await using undo = new AsyncDisposableStack();
    undo.defer(() => this.#undoCreation(sandbox));

    const signal = AbortSignal.timeout(makeTimeoutMs);
    writeFiles(sandbox);
    // It may be on any filesystem, a hanging one too: not on the event loop.
    const logFolder = config.logDirectory === "" ? undefined : makeLogFolder(config.logDirectory);
    logFolder?.catch(() => undefined); // awaited below
    const pending: SandboxEvent[] = [];
    let deliver = (event: SandboxEvent): void => void pending.push(event);
    const wanted = sandbox;
    let attaching: Promise<Attachment> | undefined;
    const starting = handler.startSandbox(
      this.#spec(sandbox),
      (event) => deliver(event),
      signal,
      // The plugins work while we connect to the monitor.
      () => {
        if (wanted.netnsPath === undefined) return;
        attaching = this.#attach(wanted, wanted.netnsPath, signal);
        attaching.catch(() => undefined); // awaited below
      },
    );
    const connection = await starting.catch(async (error: unknown) => {
      await attaching?.catch(() => undefined); // the undo must not overtake a plugin
      throw error;
    });
    this.#deps.connections.set(id, connection);
    sandbox = {
      ...sandbox,
      monitor: {
        pid: connection.identity.pid,
        startTime: connection.identity.startTime,
        pausePid: connection.initial.pausePid ?? null,
      },
    };
    if (attaching !== undefined) {
      const attachment = await attaching;
      sandbox = { ...sandbox, network: attachment };
      writeHosts(sandbox, attachment.ips);
    }
    await connection.networkReady(signal, sandbox.network?.ips ?? []);
    await logFolder;
    sandboxes.put({ ...sandbox, state: transition("creating", "made") });
    undo.move();
    deliver = (event) => this.#onEvent(id, event);
    for (const event of pending) deliver(event);
    this.attend(sandbox, connection);
    this.#deps.changed(id, "created");
    this.#deps.changed(id, "started");
  }

  #attach(
    { id, config, cgroupParent }: Sandbox,
    netnsPath: string,
    signal: AbortSignal,
  ): Promise<Attachment> {
    const { metadata, portMappings, annotations } = config;
    const { name, namespace, uid } = metadata;
    return this.#deps.network.attach(
      { sandboxId: id, name, namespace, uid, netnsPath, portMappings, annotations, cgroupParent },
      signal,
    );
  }

  async #stop(sandbox: Sandbox, signal: AbortSignal): Promise<Sandbox> {
    const { sandboxes, connections, network, cgroups, unpin } = this.#deps;
    const { id } = sandbox;
    await this.#takeUp(id).catch((error: unknown) => {
      this.#deps.log.warn({ sandbox: id, error }, "stop a sandbox without its monitor");
    });
    await this.#pods.killAll(id, signal);
    let current = sandboxes.find(id) ?? sandbox;
    if (current.state === "ready") {
      current = sandboxes.put({ ...current, state: transition(current.state, "stop"), reason: "Stopped" });
      this.#deps.changed(id, "stopped");
    }
    // The intent stays in the row: while netnsPath stands there, the next call gives it back again.
    if (current.netnsPath !== undefined) await network.detach(id, current.netnsPath, signal);
    const connection = connections.find(id);
    connections.delete(id);
    // What was begun is finished, also when the caller goes away: half of it would be nobody's.
    const end = AbortSignal.timeout(undoTimeoutMs);
    const ended = await connection?.shutdown(end).then(
      () => true,
      (error: unknown) => {
        this.#deps.log.warn({ sandbox: id, error }, "monitor did not shut down: killed");
        return false;
      },
    );
    if (ended !== true) await this.#endMonitor(current);
    const pause = this.#pauseCgroup(current);
    await endCgroup(cgroups, pause, signal);
    if (current.netnsPath !== undefined) await unpin(current.netnsPath, signal);
    if (current.netnsPath === undefined && current.monitor === undefined) return current;
    return sandboxes.put({ ...current, netnsPath: undefined, monitor: undefined });
  }

  #handler(requested: string): RuntimeHandler {
    const name = requested === "" ? this.#deps.defaultHandler : requested;
    const handler = this.#deps.handlers.get(name);
    if (handler === undefined) {
      const known = [...this.#deps.handlers.keys()].join(", ");
      throw new RuntimeError(
        "invalid-argument",
        `runtime_handler ${JSON.stringify(name.slice(0, 80))} is not configured: known are ${known} (add [runtimes.NAME] to the configuration)`,
      );
    }
    return handler;
  }

  #handlerOf(sandbox: Sandbox): Pick<RuntimeHandler, "connect" | "endRemains"> {
    return this.#deps.handlers.get(sandbox.handler) ?? this.#deps.retired;
  }

  /** Kills the monitor, if the pid is still the process recorded, and ends what outlives it. */
  async #endMonitor(sandbox: Sandbox): Promise<void> {
    const { monitor, folder } = sandbox;
    if (monitor !== undefined && processStartTime(monitor.pid) === monitor.startTime) killNow(monitor.pid);
    await this.#handlerOf(sandbox).endRemains?.(folder, AbortSignal.timeout(undoTimeoutMs));
  }

  #onEvent(sandboxId: string, event: SandboxEvent): void {
    if (event.type !== "pause-exit") {
      this.#pods.onEvent(sandboxId, event);
      return;
    }
    this.lose(sandboxId, "PauseExited", true).catch((error: unknown) => {
      this.#deps.log.error({ sandbox: sandboxId, error }, "take up a sandbox without its pause process");
    });
  }

  #spec(sandbox: Sandbox) {
    const { network, pid, ipc } = sandbox.config.namespaces;
    const hostNetwork = network === "node";
    return {
      id: sandbox.id,
      runDir: sandbox.folder,
      netnsPin: sandbox.netnsPath ?? null,
      namespaces: {
        network: hostNetwork ? "host" : "pod",
        ipc: ipc === "node" ? "host" : "pod",
        uts: hostNetwork ? "host" : "pod",
        pid: pid === "node" ? "host" : pid === "pod" ? "pod" : "container",
      },
      idMap: sandbox.config.namespaces.idMap,
      hostname: hostNetwork ? "" : sandbox.config.hostname,
      sysctls: sandbox.config.sysctls,
      shmBytes,
      cgroupDriver: this.#deps.places.driver,
      monitorCgroup: this.#deps.places.monitor(sandbox.id.slice(0, 16)),
      shimCgroup: this.#deps.places.shim(sandbox.id.slice(0, 16)),
      podCgroup: this.#pauseCgroup(sandbox),
      oomScoreAdj: -999,
      cgroupParent: sandbox.cgroupParent,
      annotations: sandboxAnnotations(sandbox, this.#deps.allowedAnnotations(sandbox.handler)),
    } as const;
  }

  /**
   * cgroup of what the pod has beside its containers: the reaping PID 1 of a shared PID namespace, a sandbox with all
   * that is in it. Most pods have neither, and no such cgroup.
   */
  #pauseCgroup(sandbox: Sandbox): string {
    return this.#deps.places.pause(sandbox.cgroupParent, sandbox.id.slice(0, 16));
  }
}

/** @throws RuntimeError `failed-precondition` naming a handler without user namespaces, and why. */
async function requireUserNamespaces(handler: RuntimeHandler, signal: AbortSignal): Promise<void> {
  const { features, missing } = await handler.info(signal);
  if (features.userNamespaces) return;
  const why = missing.find((one) => one.startsWith("user namespaces")) ?? "it does not offer them";
  throw new RuntimeError(
    "failed-precondition",
    `runtime handler ${JSON.stringify(handler.name)} can't make a pod with a user namespace (hostUsers: false): ${why}`,
  );
}

/** Whether the process recorded has certainly ended. */
function isGone({ pid, startTime }: MonitorProcess): boolean {
  try {
    return processStartTime(pid) !== startTime;
  } catch {
    return false; // it could not be looked at
  }
}
