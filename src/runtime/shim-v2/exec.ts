/** An exec whose process is a shim's: FIFOs of the monitor, then the shim's Exec and Start. */
import { randomBytes } from "node:crypto";
import { RuntimeError } from "../../errors/runtime-error.ts";
import type { MonitorSandbox } from "../builtin.ts";
import type { ExecRequest, ProcessStreams } from "../handler.ts";
import { givenUp } from "../monitor/client.ts";
import { text } from "../monitor/protocol.ts";
import { openStreamsOf } from "../monitor/streams.ts";
import type { ShimLife } from "./life.ts";
import { killMs } from "./recovery.ts";
import { errorLine, isFinished, isProgramFault } from "./refusal.ts";
import { ShimStreams } from "./streams.ts";

export async function openExec(
  monitor: MonitorSandbox,
  life: ShimLife,
  request: ExecRequest,
  signal: AbortSignal,
): Promise<ProcessStreams> {
  const { containerId: id, tty, stdin, timeoutMs } = request;
  const task = life.live();
  const execId = `e${randomBytes(8).toString("hex")}`;
  const process = { id, execId };
  const { streams, result } = await openStreamsOf(
    monitor.identity.runDir,
    monitor.identity,
    "exec_io",
    // The process is moved to the container's cgroups, unless it is a sandbox's own affair.
    { container: id, exec: execId, tty, stdin, moves: !life.record.sandboxed },
    signal,
  );
  let added = false;
  let started = false;
  try {
    const io = {
      stdin: text(result, "stdin"),
      stdout: text(result, "stdout"),
      stderr: text(result, "stderr"),
    };
    // Both to their end, whoever has left meanwhile: what a call makes that was given up could not be ended.
    const { signal: own } = new AbortController();
    await task.exec({ ...process, terminal: tty, ...io }, { ...request.process, terminal: tty }, own);
    added = true;
    if (!signal.aborted) {
      await task.start(process, own);
      started = true;
    }
    if (signal.aborted) throw givenUp(`exec in container ${id}`, signal);
  } catch (error) {
    streams.close();
    const undo = AbortSignal.timeout(killMs);
    if (started) {
      await life.quietly(task.kill(process, 9, true, undo));
      await life.quietly(task.wait(process, killMs, undo));
    }
    if (added) await life.quietly(task.delete(process, undo));
    await life.quietly(monitor.request("exited", { container: id, exec: execId, exit_code: 126 }, undo));
    if (error instanceof RuntimeError && (isProgramFault(error) || isFinished(error)))
      throw new RuntimeError("failed-precondition", errorLine(error), { cause: error });
    throw error;
  }
  return new ShimStreams({ streams, task, process, tty, isExec: true, timeoutMs, report: life.report });
}
