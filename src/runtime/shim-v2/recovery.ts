/** After a restart of the daemon: what the shim says and what the monitor knows are brought together. */
import { RuntimeError } from "../../errors/runtime-error.ts";
import { TaskStatus, timestampNs, type WaitResponse } from "../../ttrpc/message.ts";
import type { MonitorSandbox } from "../builtin.ts";
import { asObject, list, text } from "../monitor/protocol.ts";
import type { ProcessRef, Task } from "./task.ts";

/** From SIGKILL to the end, when a container is deleted. */
export const killMs = 10_000;
/** For a call that a killed daemon began; a shim that takes longer is met by the next start. */
const settleMs = 5_000;
/** Of what was killed, where nobody can say its exit code. */
export const killedCode = 137;

/** What the sandbox is told of its containers. */
export interface Found {
  runs(containerId: string): void;
  neverRan(containerId: string): void;
  /** Waits for what may find that it is done already. */
  quietly(work: Promise<unknown>): Promise<void>;
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
    // An earlier daemon may have begun a call that the monitor makes to its end.
    const settled = AbortSignal.any([signal, AbortSignal.timeout(settleMs)]);
    await found.quietly(monitor.request("settle", { container: id }, settled));
    const state = await task.state({ id }, signal).catch((error: unknown) => {
      if (error instanceof RuntimeError && error.kind === "not-found") return undefined;
      throw error;
    });
    if (state === undefined) {
      // Never created, or the shim lost it: there is nothing that could still end.
      await monitor.request("exited", { container: id, exit_code: killedCode }, signal);
      continue;
    }
    if (state.status === TaskStatus.TASK_STOPPED) {
      const end = timestampNs(state.exitedAt) === 0n ? await lateEnd(task, id, found, signal) : state;
      await tellExit(monitor, id, end.exitStatus, timestampNs(end.exitedAt), signal);
      continue;
    }
    const runs = state.status !== TaskStatus.TASK_CREATED;
    if (runs) {
      if (container.state === "created") await monitor.request("started", { container: id }, signal);
      found.runs(id);
    } else found.neverRan(id);
    for (const orphan of Array.isArray(container.orphans) ? container.orphans : [])
      if (typeof orphan === "string") await endOrphan(task, monitor, { id, execId: orphan }, found, signal);
    if (container.stdin_closed === true) await found.quietly(task.closeStdin({ id }, signal));
  }
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
