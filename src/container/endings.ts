/**
 * How containers end: signals, kills, exits, and who waits for them.
 * Enters: what a monitor tells, or that there is none. Leaves: containers in state `exited`, and the wakened.
 * Never: takes a pod's lock.
 */
import { RuntimeError } from "../errors/runtime-error.ts";
import type { Log } from "../log/log.ts";
import type { RuntimeSandbox } from "../runtime/handler.ts";
import { type CgroupTree, endCgroup } from "../sandbox/cgroup-tree.ts";
import type { Collection } from "../store/collection.ts";
import type { Container } from "./container.ts";
import { type ExitFact, readExitRecord } from "./exit-record.ts";
import { Exits } from "./exits.ts";
import { endLog } from "./log-end.ts";
import { transition } from "./state.ts";

/** From SIGKILL to the end: longer only in uninterruptible sleep, which no signal ends. */
const killTimeoutMs = 30_000;
/** Exit code of a container that was killed with its monitor. */
const lostCode = 137;

export interface EndingsDeps {
  readonly containers: Collection<Container>;
  readonly cgroups: CgroupTree;
  readonly log: Log;
  readonly nowNs: () => bigint;
  /** Told after each end. */
  readonly ended: (containerId: string) => void;
}

export type End = Pick<Container, "exitCode" | "reason" | "message" | "startedAtNs" | "finishedAtNs">;

export class Endings {
  readonly #deps: EndingsDeps;
  readonly #exits = new Exits();
  /** Containers whose creation or start is under way, with the exit that came before its answer. */
  readonly #held = new Map<string, ExitFact | undefined>();

  constructor(deps: EndingsDeps) {
    this.#deps = deps;
  }

  /** Whether a process of it may still be there. */
  lives(id: string): boolean {
    const container = this.#deps.containers.find(id);
    return container !== undefined && isAlive(container);
  }

  /** From now until `release` an exit of this container waits: it must not overtake the answer that it follows. */
  hold(id: string): void {
    this.#held.set(id, undefined);
  }

  /** Ends `hold`. Returns the exit that came meanwhile: the caller hands it to `exited`, or has a better one. */
  release(id: string): ExitFact | undefined {
    const fact = this.#held.get(id);
    this.#held.delete(id);
    return fact;
  }

  /** Records how a container ended and wakes who waits for it. Called again, it changes nothing. */
  exited(id: string, fact: ExitFact): void {
    if (this.#held.has(id)) {
      this.#held.set(id, fact);
      return;
    }
    const container = this.#deps.containers.find(id);
    if (container === undefined || !isAlive(container)) return;
    this.end(container, {
      exitCode: fact.exitCode,
      reason: fact.oomKilled ? "OOMKilled" : fact.exitCode === 0 ? "Completed" : "Error",
      message: "",
      startedAtNs: fact.startedAtNs === 0n ? container.startedAtNs : fact.startedAtNs,
      finishedAtNs: fact.finishedAtNs,
    });
  }

  /** Makes the record say how it ended, even when the disk refuses, and tells. */
  end(container: Container, end: End): void {
    // Stamps come from two processes, and the machine's clock may have been set between them.
    const startedAtNs = end.startedAtNs === 0n ? 0n : latest(container.createdAtNs, end.startedAtNs);
    const finishedAtNs = latest(container.createdAtNs, startedAtNs, end.finishedAtNs);
    this.#deps.containers.putFact(
      { ...container, ...end, startedAtNs, finishedAtNs, state: transition(container.state, "exit"), pid: 0 },
      (error) =>
        this.#deps.log.error(
          { container: container.id, error },
          "record of an exit: the monitor's own record stands",
        ),
    );
    this.#exits.tell(container.id);
    this.#deps.ended(container.id);
  }

  /** Sends a signal to the container's init. One that has ended is success. @returns whether it still lives. */
  async ask(connection: RuntimeSandbox, id: string, number: number, signal: AbortSignal): Promise<boolean> {
    await this.#signal(connection, id, number, false, signal);
    return this.lives(id);
  }

  /** Waits for the end of a container that lives: true, or false after `timeoutMs`. */
  wait(id: string, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    return this.#exits.wait(id, timeoutMs, signal);
  }

  /**
   * Kills every process of the container and waits until it is gone.
   * @throws RuntimeError `deadline-exceeded` when not even SIGKILL ends it, `unavailable` when the
   * monitor goes away meanwhile.
   */
  async kill(connection: RuntimeSandbox, id: string, signal: AbortSignal): Promise<void> {
    if (!this.lives(id)) return;
    const over = new AbortController();
    const gone = this.#exits.wait(id, killTimeoutMs, AbortSignal.any([signal, over.signal]));
    gone.catch(() => undefined);
    void connection.closed.then(() =>
      over.abort(
        new RuntimeError(
          "unavailable",
          `monitor of container ${id} went away while the container was killed`,
        ),
      ),
    );
    try {
      await this.#signal(connection, id, 9, true, signal);
    } catch (error) {
      over.abort(error);
      const container = this.#deps.containers.find(id);
      if (container === undefined || !(error instanceof RuntimeError && error.kind === "not-found"))
        throw error;
      // The monitor does not know it: what is left of it is in its cgroup.
      await this.endUnowned(container, "ContainerLost", signal);
      return;
    }
    if (!(await gone)) {
      throw new RuntimeError(
        "deadline-exceeded",
        `container ${id} does not end ${killTimeoutMs / 1000} s after SIGKILL: a process of it waits in the kernel (D state, often a dead network disk)`,
      );
    }
  }

  /** Ends a container that has no monitor: by its cgroup, and with the exit record if one was written. */
  async endUnowned(container: Container, reason: string, signal: AbortSignal): Promise<void> {
    const { cgroups, containers, nowNs } = this.#deps;
    const record = await readExitRecord(container.bundle);
    await endCgroup(cgroups, container.cgroup, signal);
    const current = containers.find(container.id) ?? container;
    if (current.state === "exited" || current.state === "removing") return;
    if (container.logPath !== "") await this.#endLog(container);
    if (record !== undefined && isAlive(current)) {
      this.exited(current.id, record);
      return;
    }
    this.end(current, {
      exitCode: lostCode,
      reason,
      message: `the container was ended: ${reason}`,
      startedAtNs: current.startedAtNs,
      finishedAtNs: nowNs(),
    });
  }

  async #endLog({ id, logPath }: Container): Promise<void> {
    try {
      await endLog(logPath);
    } catch (error) {
      this.#deps.log.warn(
        { container: id, error },
        "half a line may stand at the end of the container's log",
      );
    }
  }

  async #signal(
    connection: RuntimeSandbox,
    containerId: string,
    number: number,
    everyone: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await connection.kill({ containerId, signal: number, all: everyone }, signal);
    } catch (error) {
      // It ended between our look and the signal: that is what was wanted.
      if (!this.lives(containerId)) return;
      if (error instanceof RuntimeError && error.kind === "failed-precondition") return;
      throw error;
    }
  }
}

/** Whether a process of it may still be there. */
export function isAlive(container: Container): boolean {
  return container.state === "created" || container.state === "starting" || container.state === "running";
}

/** The latest of some stamps. */
export function latest(...stamps: readonly bigint[]): bigint {
  return stamps.reduce((a, b) => (b > a ? b : a), 0n);
}
