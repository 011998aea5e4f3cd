/** After a restart of the daemon: what the shim says and what the monitor knows are brought together. */
import { setTimeout } from "node:timers/promises";
import { RuntimeError } from "../../errors/runtime-error.ts";
import { abandoned } from "../../process/abandoned.ts";
import { TaskStatus, timestampNs, type WaitResponse } from "../../ttrpc/message.ts";
import type { MonitorSandbox } from "../builtin.ts";
import { asObject, callLimitMs, list, text, type Wire } from "../monitor/protocol.ts";
import type { ProcessRef, Task } from "./task.ts";

/** From SIGKILL to the end, when a container is deleted. */
export const killMs = 10_000;
/** For a call that a killed daemon began. One that takes longer is waited for beside. */
const settleMs = 5_000;
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
}

/** The monitor hears what became of its containers while no daemon was there; execs that nobody waits for are ended. */
export async function agree(
  task: Task,
  monitor: MonitorSandbox,
  signal: AbortSignal,
  found: Found,
): Promise<void> {
  const wire = await monitor.request("state", {}, signal);
  for (const row of list(wire, "containers")) {
    const container = asObject(row, "containers");
    const id = text(container, "id");
    if (container.ended === true && container.started_at_ns === undefined) found.neverRan(id);
    if (container.ended === true) continue;
    if (container.state !== "created" && container.state !== "running") continue;
    const settled = monitor.request("settle", { container: id }, AbortSignal.timeout(callLimitMs));
    if (container.state === "running" && !(await isDone(settled, settleMs))) {
      // Its checkpoint is being made: to runc's shim nothing else gets through meanwhile.
      found.runs(id);
      const rest = async () => {
        await settled;
        await agreeOn(task, monitor, container, AbortSignal.timeout(settleMs + killMs), found);
      };
      found.later(id, rest());
      continue;
    }
    await found.quietly(abandoned(settled, "settle", signal));
    if (await agreeOn(task, monitor, container, signal, found)) found.runs(id);
  }
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
async function agreeOn(
  task: Task,
  monitor: MonitorSandbox,
  container: Wire,
  signal: AbortSignal,
  found: Found,
): Promise<boolean> {
  const id = text(container, "id");
  const state = await task.state({ id }, signal).catch((error: unknown) => {
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
  for (const orphan of Array.isArray(container.orphans) ? container.orphans : [])
    if (typeof orphan === "string") await endOrphan(task, monitor, { id, execId: orphan }, found, signal);
  if (container.stdin_closed === true) await found.quietly(task.closeStdin({ id }, signal));
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
  signal: AbortSignal,
): Promise<void> {
  await found.quietly(task.kill(process, 9, true, signal));
  await found.quietly(task.wait(process, killMs, signal));
  await found.quietly(task.delete(process, signal));
  const params = { container: process.id, exec: process.execId, exit_code: killedCode };
  await monitor.request("exited", params, signal);
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
