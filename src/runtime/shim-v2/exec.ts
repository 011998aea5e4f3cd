/** An exec whose process is a shim's: FIFOs of the monitor, then the shim's Exec and Start. */
import { randomBytes } from "node:crypto";
import { errorKind, RuntimeError } from "../../errors/runtime-error.ts";
import { abandoned } from "../../process/abandoned.ts";
import type { MonitorSandbox } from "../builtin.ts";
import type { ExecRequest, ProcessStreams } from "../handler.ts";
import { givenUp } from "../monitor/client.ts";
import { text } from "../monitor/protocol.ts";
import { openStreamsOf } from "../monitor/streams.ts";
import type { ShimLife } from "./life.ts";
import { killMs } from "./recovery.ts";
import { errorLine, isFinished, isProgramFault } from "./refusal.ts";
import { ShimStreams } from "./streams.ts";

/**
 * The request's time runs from here. Who leaves, by that or by `signal`, is let go at once: what the shim was asked to
 * make is then ended when it has answered.
 */
export async function openExec(
  monitor: MonitorSandbox,
  life: ShimLife,
  request: ExecRequest,
  signal: AbortSignal,
): Promise<ProcessStreams> {
  const { containerId: id, tty, stdin, timeoutMs } = request;
  const untilMs = performance.now() + timeoutMs;
  const limit = timeoutMs > 0 ? AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]) : signal;
  const what = `exec in container ${id}`;
  const task = life.live();
  const execId = `e${randomBytes(8).toString("hex")}`;
  const process = { id, execId };
  const { streams, result } = await openStreamsOf(
    monitor.identity.runDir,
    monitor.identity,
    "exec_io",
    // The process is moved to the container's cgroups, unless it is a sandbox's own affair.
    { container: id, exec: execId, tty, stdin, moves: !life.record.sandboxed },
    limit,
  );
  let added = false;
  let asked = false;
  const begin = async (): Promise<void> => {
    const io = {
      stdin: text(result, "stdin"),
      stdout: text(result, "stdout"),
      stderr: text(result, "stderr"),
    };
    // Both to their end, whoever has left meanwhile: what a call makes that was given up could not be ended.
    const { signal: own } = new AbortController();
    await task.exec({ ...process, terminal: tty, ...io }, { ...request.process, terminal: tty }, own);
    added = true;
    if (limit.aborted) throw givenUp(what, limit);
    asked = true;
    await task.start(process, own);
  };
  const undo = async (mayRun: boolean): Promise<void> => {
    streams.close();
    const own = AbortSignal.timeout(killMs);
    if (mayRun) {
      await life.quietly(task.kill(process, 9, true, own));
      await life.quietly(task.wait(process, killMs, own));
    }
    if (added) await life.quietly(task.delete(process, own));
    await life.quietly(monitor.request("exited", { container: id, exec: execId, exit_code: 126 }, own));
  };
  const begun = begin();
  try {
    await abandoned(begun, what, limit);
  } catch (error) {
    const undone = begun.then(
      () => undo(true),
      // A start that was not answered in time may have been made.
      (cause: unknown) => undo(asked && errorKind(cause) === "deadline-exceeded"),
    );
    if (limit.aborted) throw givenUp(what, limit);
    await undone;
    if (
      error instanceof RuntimeError &&
      (isProgramFault(error, request.process.args[0]) || isFinished(error))
    )
      throw new RuntimeError("failed-precondition", errorLine(error), { cause: error });
    throw error;
  }
  const restMs = timeoutMs > 0 ? Math.max(1, untilMs - performance.now()) : 0;
  return new ShimStreams({
    streams,
    task,
    process,
    tty,
    isExec: true,
    timeoutMs: restMs,
    report: life.report,
  });
}
