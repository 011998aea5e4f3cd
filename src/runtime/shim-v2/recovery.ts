/** After a restart of the daemon: what the shim says and what the monitor knows are brought together. */
import { setTimeout } from "node:timers/promises";
import { RuntimeError } from "../../errors/runtime-error.ts";
import { TaskStatus, timestampNs, type WaitResponse } from "../../ttrpc/message.ts";
import type { MonitorSandbox } from "../builtin.ts";
import { asObject, callLimitMs, list, text, type Wire } from "../monitor/protocol.ts";
import type { ProcessRef, Task } from "./task.ts";

/** From SIGKILL to the end, when a container is deleted. */
export const killMs = 10_000;
/** For a call that a killed daemon began, of a container that runs or one that is made. One that takes longer is waited for beside. */
const settleMs = { running: 5_000, created: 10_000 } as const;
/** For the shim to say how a container is: the others don't wait for one about which it is silent. */
const stateMs = 10_000;
/** Of what was killed, where nobody can say its exit code. */
export const killedCode = 137;

/** What the sandbox is told of its containers. */
export interface Found {
  runs(containerId: string): void;
  neverRan(containerId: string): void;
  /** Waits for what may find that it is done already. */
  quietly(work: Promise<unknown>): Promise<void>;
  /** A container whose shim answers only when a call of an earlier daemon is done. */
  later(containerId: string, work: Promise<void>): void;
  /** What became of a container is not known: the monitor's word stands until its end is told. */
  unknown(containerId: string, error: unknown): void;
}

/**
 * The monitor hears what became of its containers while no daemon was there; execs that nobody waits for are ended.
 * Each container has its own time, and its trouble is its own.
 * @throws RuntimeError when the monitor does not answer.
 */
export async function agree(
  task: Task,
  monitor: MonitorSandbox,
  signal: AbortSignal,
  found: Found,
): Promise<void> {
  const wire = await monitor.request("state", {}, signal);
  const rows = list(wire, "containers").map((row) => asObject(row, "containers"));
  await Promise.all(
    rows.map(async (container) => {
      const id = text(container, "id");
      const { state } = container;
      if (container.ended === true && container.started_at_ns === undefined) found.neverRan(id);
      if (container.ended === true || (state !== "created" && state !== "running")) return;
      const settled = monitor.request("settle", { container: id }, AbortSignal.timeout(callLimitMs));
      const agreed = async () => {
        try {
          await found.quietly(settled);
          if (await agreeOn(task, monitor, container, found)) found.runs(id);
        } catch (error) {
          found.unknown(id, error);
        }
      };
      if (await isDone(settled, settleMs[state])) {
        await agreed();
        return;
      }
      // Mostly its checkpoint is being made: to runc's shim nothing else gets through meanwhile.
      if (state === "running") found.runs(id);
      found.later(id, agreed());
    }),
  );
}

async function isDone(work: Promise<unknown>, withinMs: number): Promise<boolean> {
  const over = new AbortController();
  const late = setTimeout(withinMs, false, { signal: over.signal }).catch(() => false);
  const done = work.then(
    () => true,
    () => true, // whoever waits for it next is told
  );
  const first = await Promise.race([done, late]);
  over.abort();
  return first;
}

/** True: it runs. */
async function agreeOn(task: Task, monitor: MonitorSandbox, container: Wire, found: Found): Promise<boolean> {
  const id = text(container, "id");
  const signal = AbortSignal.timeout(stateMs + killMs);
  const state = await task.state({ id }, AbortSignal.timeout(stateMs)).catch((error: unknown) => {
    if (error instanceof RuntimeError && error.kind === "not-found") return undefined;
    throw error;
  });
  if (state === undefined) {
    // Never created, or the shim lost it: there is nothing that could still end.
    await monitor.request("exited", { container: id, exit_code: killedCode }, signal);
    return false;
  }
  if (state.status === TaskStatus.TASK_STOPPED) {
    const end = timestampNs(state.exitedAt) === 0n ? await lateEnd(task, id, found, signal) : state;
    await tellExit(monitor, id, end.exitStatus, timestampNs(end.exitedAt), signal);
    return false;
  }
  const runs = state.status !== TaskStatus.TASK_CREATED;
  if (!runs) found.neverRan(id);
  else if (container.state === "created") await monitor.request("started", { container: id }, signal);
  const orphans = Array.isArray(container.orphans) ? container.orphans : [];
  await Promise.all(
    orphans
      .filter((orphan) => typeof orphan === "string")
      .map((execId) => found.quietly(endOrphan(task, monitor, { id, execId }, found))),
  );
  if (container.stdin_closed === true)
    await found.quietly(task.closeStdin({ id }, AbortSignal.timeout(stateMs)));
  return runs;
}

/** gVisor's shim says that a container has stopped before it has its exit code; of one that never ran it has none. */
async function lateEnd(
  task: Task,
  id: string,
  found: Found,
  signal: AbortSignal,
): Promise<Pick<WaitResponse, "exitStatus" | "exitedAt">> {
  const wait = task.wait({ id }, killMs, signal);
  await found.quietly(wait);
  return await wait.catch(() => ({ exitStatus: killedCode, exitedAt: undefined })); // told above
}

async function endOrphan(
  task: Task,
  monitor: MonitorSandbox,
  process: ProcessRef,
  found: Found,
): Promise<void> {
  const signal = AbortSignal.timeout(killMs);
  await found.quietly(task.kill(process, 9, true, signal));
  await found.quietly(task.wait(process, killMs, signal));
  await found.quietly(task.delete(process, signal));
  const params = { container: process.id, exec: process.execId, exit_code: killedCode };
  await monitor.request("exited", params, AbortSignal.timeout(killMs));
}

/** Tells the monitor that a container has ended. `atNs` 0n: now. */
export async function tellExit(
  monitor: MonitorSandbox,
  id: string,
  code: number,
  atNs: bigint,
  signal: AbortSignal,
): Promise<void> {
  const at = atNs === 0n ? {} : { finished_at_ns: String(atNs) };
  await monitor.request("exited", { container: id, exit_code: code, ...at }, signal);
}
