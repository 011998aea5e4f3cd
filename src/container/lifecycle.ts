/**
 * What happens to a container: create, start, stop, remove, lost. Rules are in state.ts; effects
 * stand here, each with its undo on the next line.
 * Enters: validated configurations and sandbox ids. Leaves: containers as values in the collection.
 * Keeps: the row of each container (intent before the effect, fact after it).
 * Never: speaks CRI, or holds its pod's lock while it waits for a container to end by itself.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { LayerStore } from "../content/layer-store.ts";
import { RuntimeError, errorText } from "../errors/runtime-error.ts";
import type { Image, Images } from "../image/images.ts";
import type { Log } from "../log/log.ts";
import { retryLater } from "../process/retry.ts";
import type { ContainerStatus, RuntimeSandbox, SandboxEvent } from "../runtime/handler.ts";
import type { Connections } from "../sandbox/connections.ts";
import type { CgroupPlaces } from "../sandbox/cgroup-places.ts";
import { type CgroupTree, endCgroup } from "../sandbox/cgroup-tree.ts";
import { Creations } from "../sandbox/creation.ts";
import { fingerprint } from "../sandbox/fingerprint.ts";
import type { KeyedLock } from "../sandbox/keyed-lock.ts";
import type { SandboxContainers } from "../sandbox/lifecycle.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { Snapshotter } from "../snapshot/snapshotter.ts";
import type { Collection } from "../store/collection.ts";
import type { ContainerConfig, ContainerResources } from "./config.ts";
import type { Checkpoints } from "./checkpoint.ts";
import { type Container, containerName } from "./container.ts";
import { Endings, isAlive, latest } from "./endings.ts";
import type { ExecBases } from "./exec.ts";
import { refusedCreation, refusedLimit } from "./refusal.ts";
import { mergeResources } from "./resources.ts";
import { signalNumber } from "./signal.ts";
import { usesPodShm } from "./spec/spec.ts";
import type { SpecMaker } from "./spec-maker.ts";
import { transition } from "./state.ts";
import { containerLogPath, validateContainerConfig } from "./validate.ts";

/** A kubelet waits two minutes for CreateContainer; then it asks again and finds what was made. */
const makeTimeoutMs = 120_000;
const undoTimeoutMs = 60_000;
/** Of one try at undoing a creation, while its pod's lock is held: what takes longer is tried again without it. */
const undoTryMs = 10_000;
/** Exit code of a container that could not be started, as docker and the peers report it. */
const startErrorCode = 128;

export interface ContainerLifecycleDeps {
  readonly containers: Collection<Container>;
  readonly sandboxes: Collection<Sandbox>;
  readonly connections: Connections;
  readonly images: Images;
  readonly layers: LayerStore;
  readonly snapshots: Snapshotter;
  readonly checkpoints: Pick<Checkpoints, "undo">;
  /** More mount options of a root filesystem, by the handler's configuration. */
  readonly snapshotOptions: (handler: string) => readonly string[];
  readonly specs: SpecMaker;
  readonly execBases: ExecBases;
  readonly cgroups: CgroupTree;
  readonly places: CgroupPlaces;
  readonly locks: KeyedLock;
  readonly log: Log;
  readonly fingerprintKey: Uint8Array;
  readonly nowNs: () => bigint;
  /** Told after each change that GetContainerEvents reports. */
  readonly changed: (
    containerId: string,
    change: "created" | "started" | "stopped" | "deleted",
    before?: Container,
  ) => void;
}

export class ContainerLifecycle implements SandboxContainers {
  readonly #deps: ContainerLifecycleDeps;
  readonly #creations = new Creations("container");
  readonly #endings: Endings;
  /** Half made ones that are being undone, at once or in the background. */
  readonly #undoing = new Set<string>();

  constructor(deps: ContainerLifecycleDeps) {
    this.#deps = deps;
    this.#endings = new Endings({ ...deps, ended: (id) => deps.changed(id, "stopped") });
  }

  /**
   * Makes a container in a ready sandbox, or finds the one that an equal request is making or has made.
   * @throws RuntimeError `not-found` for an unknown sandbox or image, `failed-precondition` for a
   * stopped sandbox, `invalid-argument` for a bad configuration, `already-exists` for a taken name.
   */
  async create(sandboxId: string, config: ContainerConfig, signal: AbortSignal): Promise<string> {
    const sandbox = this.#readySandbox(sandboxId);
    validateContainerConfig(config);
    await this.#deps.connections.known(sandbox.id, signal);
    return await this.#creations.run(
      containerName(sandbox.id, config.metadata),
      fingerprint(config, this.#deps.fingerprintKey),
      () => randomBytes(32).toString("hex"),
      (id) => this.#deps.locks.run(sandbox.id, () => this.#make(id, this.#readySandbox(sandbox.id), config)),
      (id) => this.#deps.containers.find(id)?.state === "created",
      signal,
    );
  }

  /**
   * Runs the program of a created container. What was begun is finished also when the caller goes
   * away: half of a start can't be told from a whole one.
   * @throws RuntimeError `failed-precondition` naming the state, or the program that can't be executed; `not-found`.
   */
  async start(id: string, signal: AbortSignal): Promise<void> {
    const { sandboxId } = this.get(id);
    await this.#deps.connections.known(sandboxId, signal);
    await this.#deps.locks.run(sandboxId, async () => {
      signal.throwIfAborted();
      const { containers, connections } = this.#deps;
      const container = this.get(id);
      const connection = connections.get(sandboxId);
      containers.put({ ...container, state: transition(container.state, "start") });
      this.#endings.hold(id);
      try {
        const { startedAtNs } = await connection.start(id, AbortSignal.timeout(makeTimeoutMs));
        this.#started(this.get(id), startedAtNs);
      } catch (error) {
        // Whether it runs is not known: the next connection to the monitor tells.
        if (error instanceof RuntimeError && error.kind === "unavailable") throw error;
        await this.#startFailed(id, connection, error);
        throw error;
      } finally {
        const fact = this.#endings.release(id);
        if (fact !== undefined) this.#endings.exited(id, fact);
      }
    });
  }

  /**
   * Asks the container to end, and kills it after `graceMs`. One that does not run is success.
   * Returns when it is gone. The pod's lock is not held meanwhile.
   * @throws RuntimeError `deadline-exceeded` when not even SIGKILL ends it (uninterruptible sleep).
   */
  async stop(id: string, graceMs: number, signal: AbortSignal): Promise<void> {
    const found = this.#deps.containers.find(id);
    if (found === undefined || !isAlive(found)) return;
    await this.#deps.connections.known(found.sandboxId, signal);
    const container = this.#deps.containers.find(id);
    if (container === undefined || !isAlive(container)) return;
    const connection = this.#deps.connections.find(container.sandboxId);
    if (connection === undefined) {
      await this.#endings.endUnowned(container, "MonitorLost", signal);
      return;
    }
    if (container.state !== "created" && graceMs > 0) {
      const asked = this.#endings.ask(connection, id, signalNumber(container.stopSignal), signal);
      const lives = await asked.catch((error: unknown) => {
        // Nobody has answered for so long: it is killed now.
        if (error instanceof RuntimeError && error.kind === "deadline-exceeded" && !signal.aborted)
          return undefined;
        throw error;
      });
      if (lives === false || (lives && (await this.#endings.wait(id, graceMs, signal)))) return;
    }
    await this.#endings.kill(connection, id, signal);
  }

  /** Removes the container, killing it if it runs. An unknown one is success. */
  async remove(id: string, signal: AbortSignal): Promise<void> {
    const container = this.#deps.containers.find(id);
    if (container === undefined) return;
    await this.#deps.connections.known(container.sandboxId, signal);
    await this.#deps.locks.run(container.sandboxId, async () => {
      const current = this.#deps.containers.find(id);
      if (current !== undefined) await this.#remove(current, signal);
    });
  }

  /** The container with this id, or the only one that begins with it. @throws RuntimeError `not-found`. */
  get(id: string): Container {
    const container = this.#deps.containers.findByPrefix(id);
    if (container === undefined) {
      throw new RuntimeError("not-found", `container ${JSON.stringify(id.slice(0, 80))} does not exist`);
    }
    return container;
  }

  /**
   * Changes the limits of a container without restarting it. What is not set keeps its value. When
   * one of them is refused the former ones are put back.
   * @throws RuntimeError `not-found`; `failed-precondition` when it has ended, or uses more than the
   * new limit; `invalid-argument` for a limit that the kernel does not take.
   */
  async update(id: string, resources: ContainerResources, signal: AbortSignal): Promise<void> {
    const { sandboxId } = this.get(id);
    await this.#deps.connections.known(sandboxId, signal);
    await this.#deps.locks.run(sandboxId, async () => {
      signal.throwIfAborted();
      const { containers, connections, specs, log } = this.#deps;
      const container = this.get(id);
      if (container.state !== "created" && container.state !== "running") {
        throw new RuntimeError(
          "failed-precondition",
          `container ${id} is ${container.state}: limits can be changed while it is created or running`,
        );
      }
      const connection = connections.get(sandboxId);
      const before = container.config.resources;
      const limits = specs.limits(resources);
      try {
        // Not the caller's signal: what takes effect must be recorded.
        await connection.update(id, limits, AbortSignal.timeout(makeTimeoutMs));
      } catch (error) {
        if (before !== undefined && this.#endings.lives(id)) {
          await connection
            .update(id, specs.limits(before), AbortSignal.timeout(undoTimeoutMs))
            .catch((undo: unknown) =>
              log.warn({ container: id, error: undo }, "former limits are not put back"),
            );
        }
        throw refusedLimit(error);
      }
      const now = this.#deps.containers.find(id);
      if (now !== undefined)
        containers.put({ ...now, config: { ...now.config, resources: mergeResources(before, resources) } });
    });
  }

  /** The live connection of a running container's pod. @throws RuntimeError `not-found`, `failed-precondition`. */
  async running(
    id: string,
    signal: AbortSignal,
  ): Promise<{ container: Container; connection: RuntimeSandbox }> {
    await this.#deps.connections.known(this.get(id).sandboxId, signal);
    const container = this.get(id);
    if (container.state !== "running") {
      throw new RuntimeError(
        "failed-precondition",
        `container ${container.id} is ${container.state}: this needs a running one`,
      );
    }
    return { container, connection: this.#deps.connections.get(container.sandboxId) };
  }

  // What a sandbox asks of its containers; its lock is held by the caller.

  async killAll(sandboxId: string, signal: AbortSignal): Promise<void> {
    const connection = this.#deps.connections.find(sandboxId);
    await all(
      this.ofSandbox(sandboxId)
        .filter(isAlive)
        .map((c) =>
          connection === undefined
            ? this.#endings.endUnowned(c, "MonitorLost", signal)
            : this.#endings.kill(connection, c.id, signal),
        ),
    );
  }

  async removeAll(sandboxId: string, signal: AbortSignal): Promise<void> {
    await all(this.ofSandbox(sandboxId).map((container) => this.#remove(container, signal)));
  }

  async lost(sandboxId: string, reason: string): Promise<void> {
    const signal = AbortSignal.timeout(undoTimeoutMs);
    await all(
      this.ofSandbox(sandboxId)
        .filter((c) => isAlive(c) || c.state === "creating")
        .map((c) => this.#endings.endUnowned(c, reason, signal)),
    );
  }

  onEvent(_sandboxId: string, event: SandboxEvent): void {
    switch (event.type) {
      case "exit":
        this.#endings.exited(event.containerId, event);
        break;
      case "oom":
        this.#deps.log.warn({ container: event.containerId }, "out of memory in the container's cgroup");
        break;
      case "log-fault":
        this.#deps.log.warn(
          { container: event.containerId, droppedBytes: event.droppedBytes, fault: event.message },
          "container output is dropped",
        );
        break;
      case "pause-exit":
        break;
    }
  }

  ofSandbox(sandboxId: string): Container[] {
    return [...this.#deps.containers.values()].filter((c) => c.sandboxId === sandboxId);
  }

  /** Puts a container of a former daemon under this one's care. One that is half made keeps no name. */
  adopt(container: Container): void {
    if (container.state === "creating") return;
    this.#creations.adopt(
      containerName(container.sandboxId, container.config.metadata),
      container.id,
      container.fingerprint,
    );
  }

  /**
   * Makes the records of a sandbox's containers say what its monitor says, after a connection was
   * made anew. What was half made is undone, what nobody recorded is removed.
   */
  async agree(sandboxId: string, connection: RuntimeSandbox): Promise<void> {
    const known = new Map(connection.initial.containers.map((status) => [status.id, status]));
    // All facts first: events that came since the connection was made are next.
    for (const container of this.ofSandbox(sandboxId)) this.#agree(container, known.get(container.id));
    // Asked before that is undone whose records go with it.
    const nobodys = [...known.keys()].filter((id) => this.#deps.containers.find(id) === undefined);
    const signal = AbortSignal.timeout(undoTimeoutMs);
    const report = (id: string) => (error: unknown) =>
      this.#deps.log.error({ container: id, error }, "what a former daemon left of a container stays");
    await all([
      ...this.ofSandbox(sandboxId).map(async (container) => {
        if (container.state === "creating") await this.undoCreation(container);
        else if (isAlive(container) && (known.get(container.id)?.phase ?? "prepared") === "prepared")
          await this.#endings.endUnowned(container, "ContainerLost", signal).catch(report(container.id));
      }),
      ...nobodys.map((id) => connection.delete(id, signal).catch(report(id))),
    ]);
    for (const container of this.ofSandbox(sandboxId))
      if (known.has(container.id)) this.#deps.checkpoints.undo(container, connection);
  }

  #agree(container: Container, status: ContainerStatus | undefined): void {
    if (!isAlive(container)) return;
    const report = (error: unknown) =>
      this.#deps.log.error({ container: container.id, error }, "record of what a monitor says");
    switch (status?.phase) {
      case "running":
        if (container.state === "running") return;
        this.#started(container, status.startedAtNs ?? container.createdAtNs);
        return;
      case "created":
        // A start whose answer was never read did not happen: the kubelet asks again.
        if (container.state !== "created")
          this.#deps.containers.putFact({ ...container, state: "created", startedAtNs: 0n }, report);
        return;
      case "exited":
        this.#endings.exited(container.id, {
          exitCode: status.exitCode ?? 255,
          oomKilled: status.oomKilled,
          startedAtNs: status.startedAtNs ?? 0n,
          finishedAtNs: status.finishedAtNs ?? this.#deps.nowNs(),
        });
        return;
      case "prepared":
      case undefined:
        return;
    }
  }

  /**
   * Removes every trace of a container that was never finished. Serves after a crash at any point. What can't be
   * removed now (a runtime program that is still making it) is tried again in the background, and keeps no name.
   */
  async undoCreation(container: Container): Promise<void> {
    const { containers, log } = this.#deps;
    const { id, state } = container;
    if (this.#undoing.has(id)) return;
    this.#undoing.add(id);
    this.#release(container);
    const undo = async (): Promise<void> => {
      // Else its pod was ended, and it with that.
      if (containers.find(id)?.state === state) {
        await this.#clear(container, AbortSignal.timeout(undoTryMs));
        containers.remove(id);
      }
      this.#undoing.delete(id);
    };
    const failed = (error: unknown): void =>
      log.error({ container: id, error }, "undo of a container: it is tried again");
    await undo().catch((error: unknown) => {
      failed(error);
      void retryLater(undo, failed);
    });
  }

  async settled(): Promise<void> {
    await this.#creations.settled();
  }

  async #make(id: string, sandbox: Sandbox, config: ContainerConfig): Promise<void> {
    const { containers, connections, snapshots, specs, nowNs } = this.#deps;
    const signal = AbortSignal.timeout(makeTimeoutMs);
    const connection = connections.get(sandbox.id);
    const image = this.#image(config);
    const bundle = join(sandbox.folder, id.slice(0, 16));
    const { envs: _secret, ...kept } = config;
    const container: Container = containers.put({
      id,
      sandboxId: sandbox.id,
      config: kept,
      state: "creating",
      createdAtNs: nowNs(),
      startedAtNs: 0n,
      finishedAtNs: 0n,
      exitCode: 0,
      reason: "",
      message: "",
      imageId: image.id,
      imageRef: image.repoDigests[0] ?? image.id,
      logPath: containerLogPath(sandbox.config, config.logPath),
      stopSignal: config.stopSignal || image.config.stopSignal || "SIGTERM",
      user: undefined,
      bundle,
      pid: 0,
      startTime: "",
      cgroup: this.#deps.places.container(sandbox.cgroupParent, id),
      fingerprint: fingerprint(config, this.#deps.fingerprintKey),
    });
    await using undo = new AsyncDisposableStack();
    undo.defer(() => this.undoCreation(container));

    mkdirSync(bundle, { mode: 0o700 });
    const snapshot = await snapshots.create(id, this.#layersOf(image), sandbox.config.namespaces.idMap);
    const rootfs = {
      ...snapshot,
      options: [...snapshot.options, ...this.#deps.snapshotOptions(sandbox.handler)],
    };
    const user = await connection.prepare(
      { containerId: id, bundle, rootfs, ...specs.userOf(config, image) },
      signal,
    );
    snapshots.handedOver(id);
    const spec = await specs.make({ container, config, sandbox, image, user }, signal);
    this.#endings.hold(id);
    undo.defer(() => void this.#endings.release(id));
    const created = await connection
      .create(
        {
          containerId: id,
          bundle,
          spec,
          logPath: container.logPath === "" ? null : container.logPath,
          logRoot: container.logPath === "" ? null : sandbox.config.logDirectory,
          tty: config.tty,
          stdin: config.stdin,
          stdinOnce: config.stdinOnce,
          shm: usesPodShm(config.mounts, sandbox.config.namespaces.ipc === "node"),
        },
        signal,
      )
      .catch((error: unknown) => {
        throw refusedCreation(error, config);
      });
    containers.put({
      ...container,
      state: transition("creating", "made"),
      user,
      pid: created.pid,
      startTime: created.startTime,
      cgroup: created.cgroup === "" ? container.cgroup : created.cgroup,
    });
    undo.move();
    this.#deps.execBases.made(id, spec.process);
    this.#deps.changed(id, "created");
    const fact = this.#endings.release(id);
    if (fact !== undefined) this.#endings.exited(id, fact);
  }

  /** Records that the program runs. The kernel's fact: it stands also when the disk refuses. */
  #started(container: Container, startedAtNs: bigint): void {
    this.#deps.containers.putFact(
      {
        ...container,
        state: transition(container.state, "started"),
        startedAtNs: latest(container.createdAtNs, startedAtNs),
      },
      (error) => this.#deps.log.error({ container: container.id, error }, "record of a start"),
    );
    this.#deps.changed(container.id, "started");
  }

  #release(container: Container): void {
    this.#creations.release(containerName(container.sandboxId, container.config.metadata), container.id);
  }

  #image(config: ContainerConfig): Image {
    const image = this.#deps.images.find(config.image);
    if (image === undefined) {
      throw new RuntimeError(
        "not-found",
        `image ${JSON.stringify(config.image.slice(0, 200))} is not here: pull it first`,
      );
    }
    return image;
  }

  #layersOf(image: Image) {
    return image.layers.map((key) => {
      const layer = this.#deps.layers.find(key);
      if (layer === undefined) {
        throw new RuntimeError(
          "failed-precondition",
          `layer ${key} of image ${image.id} is missing on disk: pull the image again`,
        );
      }
      return layer;
    });
  }

  #readySandbox(id: string): Sandbox {
    const sandbox = this.#deps.sandboxes.findByPrefix(id);
    if (sandbox === undefined)
      throw new RuntimeError("not-found", `sandbox ${JSON.stringify(id.slice(0, 80))} does not exist`);
    if (sandbox.state !== "ready") {
      throw new RuntimeError(
        "failed-precondition",
        `sandbox ${sandbox.id} is ${sandbox.state}: containers need a ready one`,
      );
    }
    return sandbox;
  }

  async #startFailed(id: string, connection: RuntimeSandbox, error: unknown): Promise<void> {
    const kill = AbortSignal.timeout(undoTimeoutMs);
    await connection.kill({ containerId: id, signal: 9, all: true }, kill).catch(() => undefined); // it may be gone already: then nothing is owed
    const fact = this.#endings.release(id);
    const container = this.#deps.containers.find(id);
    if (container === undefined || !isAlive(container)) return;
    this.#endings.end(container, {
      exitCode: startErrorCode,
      reason: "StartError",
      message: errorText(error),
      startedAtNs: 0n,
      finishedAtNs: fact?.finishedAtNs ?? this.#deps.nowNs(),
    });
  }

  async #remove(container: Container, signal: AbortSignal): Promise<void> {
    const { containers, connections } = this.#deps;
    const connection = connections.find(container.sandboxId);
    if (isAlive(container)) {
      if (connection === undefined) await this.#endings.endUnowned(container, "Removed", signal);
      else await this.#endings.kill(connection, container.id, signal);
    }
    const current = containers.find(container.id) ?? container;
    const removing = containers.put({ ...current, state: transition(current.state, "remove") });
    await this.#clear(removing, signal);
    containers.remove(container.id);
    this.#deps.execBases.forget(container.id);
    this.#release(container);
    this.#deps.changed(container.id, "deleted", removing);
  }

  /** Gives back all that a container has. Each step is success when there is nothing to do. */
  async #clear(container: Container, signal: AbortSignal): Promise<void> {
    const { connections, cgroups, snapshots } = this.#deps;
    const connection = connections.find(container.sandboxId);
    if (connection !== undefined) await connection.delete(container.id, signal);
    else await endCgroup(cgroups, container.cgroup, signal);
    await snapshots.remove(container.id);
    rmSync(container.bundle, { recursive: true, force: true });
  }
}

/** Waits for all of them, then throws the first failure: no work goes on behind the caller's back. */
async function all(work: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
