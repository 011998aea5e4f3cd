/** How a shim's tasks are signalled and ended. */
import { RuntimeError } from "../../errors/runtime-error.ts";
import { timestampNs } from "../../ttrpc/message.ts";
import { killedCode, killMs } from "./recovery.ts";
import { isFinished } from "./refusal.ts";
import type { ProcessRef, Task } from "./task.ts";

const neverRanMs = 1_000;

/** SIGKILL ends a paused container too; runtimes that can't do that let it go on first. */
export async function signalTask(
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

export interface TaskEnding {
  /** Created and not started. */
  readonly neverRan: boolean;
  /** Told how it ended; `atNs` 0n: now. */
  readonly ended: (code: number, atNs: bigint) => Promise<void>;
}

function gone(error: unknown): void {
  if (error instanceof RuntimeError && (error.kind === "not-found" || isFinished(error))) return;
  throw error;
}

/** Deletes a task that has ended. One that the shim does not know is success. */
export async function deleteTask(task: Task, id: string, signal: AbortSignal): Promise<void> {
  await task.delete({ id }, signal).catch(gone);
}

/** Kills and deletes a task. One that the shim does not know is success. False: the shim was given up about it. */
export async function endTask(
  task: Task,
  id: string,
  { neverRan, ended }: TaskEnding,
  signal: AbortSignal,
): Promise<boolean> {
  if (neverRan) {
    // gVisor can't delete what never ran: its shim waits for output that nobody closes, and answers nothing about it
    // from then on. It ends with the sandbox.
    const soon = AbortSignal.any([signal, AbortSignal.timeout(neverRanMs)]);
    const given = (error: unknown) => {
      if (!soon.aborted || signal.aborted) gone(error);
    };
    await signalTask(task, { id }, 9, true, soon).catch(given);
    // Before that: a later daemon must not ask.
    await ended(killedCode, 0n).catch(gone);
    await task.delete({ id }, soon).catch(given);
    return !soon.aborted;
  }
  await signalTask(task, { id }, 9, true, signal).catch(gone);
  await task
    .wait({ id }, killMs, signal)
    .then(({ exitStatus, exitedAt }) => ended(exitStatus, timestampNs(exitedAt)))
    .catch(gone);
  await deleteTask(task, id, signal);
  return true;
}
