/**
 * One exec or attach: joins a client with a process. Each direction is a loop that waits for the other side's
 * room, so a slow client stops the process and a slow process stops the client.
 * The client leaving closes the process's streams: that kills an exec and detaches an attach.
 */
import { RuntimeError } from "../../errors/runtime-error.ts";
import type { ProcessStreams } from "../../runtime/handler.ts";
import type { CommandChannel, CommandStreams } from "./channel.ts";
import { exitStatus, failureStatus, success } from "./status.ts";
import { applySizes } from "./terminal-size.ts";

export interface CommandGrant extends CommandStreams {
  readonly kind: "exec" | "attach";
  readonly containerId: string;
  /** Starts the process, or attaches to it, when its client is there. */
  open(signal: AbortSignal): Promise<ProcessStreams>;
}

/** Serves until the process has ended and its client was told, or the client is gone. Resolves to why it failed. */
export async function serveCommand(channel: CommandChannel, grant: CommandGrant): Promise<unknown> {
  const leaving = new AbortController();
  void channel.gone.then((fault) =>
    leaving.abort(fault ?? new RuntimeError("cancelled", `the client of ${grant.kind} left`)),
  );
  const what =
    grant.kind === "exec" ? "error executing command in container" : "error attaching to container";
  try {
    using streams = await grant.open(leaving.signal);
    if (leaving.signal.aborted) return undefined;
    leaving.signal.addEventListener("abort", () => streams.close(), { once: true });
    void copyInput(channel, streams);
    if (channel.sizes !== undefined)
      applySizes(channel.sizes, ({ width, height }) => streams.resize(width, height)).catch(() => {});
    for await (const { stream, data } of streams.output) await channel.write(stream, data);
    const end = await streams.ended;
    // What an attached container's end means is in its own status: kubectl would take a failure here for a
    // failure to attach, and begin to show the log.
    await channel.finish(grant.kind === "exec" ? exitStatus(end) : success);
    return undefined;
  } catch (error) {
    if (leaving.signal.aborted) return undefined;
    await channel.finish(failureStatus(what, error));
    return error;
  }
}

async function copyInput(channel: CommandChannel, streams: ProcessStreams): Promise<void> {
  if (channel.stdin === undefined) return;
  try {
    for await (const piece of channel.stdin) await streams.writeStdin(piece);
  } catch {
    // The client gave the stream up, or the process is gone: either way there is no more input.
  }
  streams.endStdin();
}
