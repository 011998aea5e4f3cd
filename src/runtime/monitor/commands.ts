/**
 * Commands without input, run to their end: probes, mostly. They come again and again, so the connection of one is kept
 * for the next: to make one costs as much as all else that the daemon does for a probe.
 * Each takes one command at a time, and nothing is sent while it runs; whoever gives a command up ends the connection,
 * which kills it.
 */
import type { Socket } from "node:net";
import { RuntimeError } from "../../errors/runtime-error.ts";
import { OutputCollector } from "../exec-output.ts";
import type { CollectedExec } from "../handler.ts";
import { givenUp, openSocket, socketFault } from "./client.ts";
import {
  encodeMessage,
  FrameReader,
  maxMessageBytes,
  maxStreamFrameBytes,
  messageHeaderBytes,
  streamHeaderBytes,
  streamId,
} from "./frames.ts";
import { errorOf, helloRequest, limitMs, parseObject, parseProcessEnd, type Wire } from "./protocol.ts";
import { expectHello, type MonitorProcess } from "./stream-connection.ts";

/** How long a connection waits for another command: longer than most probes do. */
const keepMs = 30_000;

export class Commands {
  readonly #runDir: string;
  readonly #monitor: MonitorProcess;
  /** One: commands of one pod at the same time are rare. */
  #kept: CommandConnection | undefined;
  #keeping: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(runDir: string, monitor: MonitorProcess) {
    this.#runDir = runDir;
    this.#monitor = monitor;
  }

  /**
   * Runs `exec` with `params`, which ask for `again`.
   * @throws RuntimeError as the monitor answered; `cancelled` or `deadline-exceeded` by `signal`; `unavailable` when the
   * monitor is gone or not the one expected, `not-found` when it is dead.
   */
  async run(params: Wire, capBytes: number, signal: AbortSignal): Promise<CollectedExec> {
    if (signal.aborted) throw givenUp("exec", signal);
    const connection = this.#taken() ?? new CommandConnection(this.#runDir, this.#monitor);
    try {
      return await connection.run(params, capBytes, signal);
    } finally {
      this.#keep(connection);
    }
  }

  /** Keeps no connection any more. Commands that run are not ended. */
  close(): void {
    this.#closed = true;
    this.#taken()?.end(undefined);
  }

  #taken(): CommandConnection | undefined {
    const connection = this.#kept;
    if (connection === undefined) return undefined;
    this.#kept = undefined;
    clearTimeout(this.#keeping);
    return connection.ready ? connection : undefined;
  }

  #keep(connection: CommandConnection): void {
    if (!connection.ready) return;
    if (this.#closed || this.#kept !== undefined) {
      connection.end(undefined);
      return;
    }
    this.#kept = connection;
    this.#keeping = setTimeout(() => this.#taken()?.end(undefined), keepMs);
    this.#keeping.unref();
  }
}

interface Running {
  readonly output: OutputCollector;
  answered(): void;
  settle(result: CollectedExec | RuntimeError): void;
}

class CommandConnection {
  readonly #monitor: MonitorProcess;
  readonly #socket: Socket;
  readonly #messages = new FrameReader(messageHeaderBytes, maxMessageBytes);
  readonly #frames = new FrameReader(streamHeaderBytes, maxStreamFrameBytes);
  #phase: "hello" | "answer" | "output" | "ready" | "over" = "hello";
  #lastId = 0;
  #running: Running | undefined;
  /** Whether the monitor takes another command afterwards: one of an older version does not. */
  #again = false;

  constructor(runDir: string, monitor: MonitorProcess) {
    this.#monitor = monitor;
    this.#socket = openSocket(runDir, (bytes) => this.#read(bytes));
    this.#socket.once("error", (error) => this.end(socketFault(error)));
    this.#socket.once("close", () => {
      if (this.#phase !== "over") this.end(socketFault(undefined));
    });
    this.#socket.unref(); // a pod whose probes are over keeps no process alive
  }

  /** Whether it takes a command. */
  get ready(): boolean {
    return this.#phase === "ready";
  }

  /** Only when it is ready, or new. Nothing of a command is left behind when this settles, but `ready` may be false. */
  run(params: Wire, capBytes: number, signal: AbortSignal): Promise<CollectedExec> {
    return new Promise((resolve, reject) => {
      const request = encodeMessage({ id: ++this.#lastId, method: "exec", params });
      const onAbort = () => this.end(givenUp("exec", signal));
      const forMs = limitMs("exec", this.#monitor.programMs);
      const late = setTimeout(
        () =>
          this.end(new RuntimeError("deadline-exceeded", `monitor did not answer exec within ${forMs} ms`)),
        forMs,
      );
      signal.addEventListener("abort", onAbort, { once: true });
      this.#running = {
        output: new OutputCollector(capBytes),
        answered: () => clearTimeout(late),
        settle: (result) => {
          this.#running = undefined;
          clearTimeout(late);
          signal.removeEventListener("abort", onAbort);
          if (result instanceof RuntimeError) reject(result);
          else resolve(result);
        },
      };
      if (this.#phase === "ready") {
        this.#phase = "answer";
        this.#socket.write(request);
      } else this.#socket.write(Buffer.concat([encodeMessage(helloRequest), request]));
    });
  }

  /** Closes it. A command that runs is killed, and fails with `fault`. */
  end(fault: RuntimeError | undefined): void {
    this.#phase = "over";
    this.#socket.destroy();
    this.#running?.settle(fault ?? new RuntimeError("cancelled", "exec was closed"));
  }

  #read(bytes: Buffer): boolean {
    try {
      let rest = bytes;
      while (rest.length > 0 && this.#phase !== "over") {
        const reader = this.#phase === "output" ? this.#frames : this.#messages;
        rest = rest.subarray(reader.feed(rest, this.#take));
      }
    } catch (error) {
      this.end(error instanceof RuntimeError ? error : socketFault(error as Error));
    }
    return this.#phase !== "over";
  }

  /** False: what follows is for the other reader, or for none. */
  readonly #take = (tag: number, frame: Buffer): boolean => {
    const running = this.#running;
    if (running === undefined)
      throw new RuntimeError("internal", "monitor sent something that nobody asked for");
    switch (this.#phase) {
      case "hello":
        expectHello(frame, this.#monitor);
        this.#phase = "answer";
        return true;
      case "answer": {
        running.answered();
        const { error, result } = parseObject(frame.toString("utf8"), "answer");
        if (typeof error === "object" && error !== null) {
          // The monitor waits for the next request, whatever its version.
          this.#phase = "ready";
          running.settle(errorOf(error as Wire, "exec"));
          return true;
        }
        this.#again = (result as Wire | undefined)?.again === true;
        this.#phase = "output";
        return false;
      }
      case "output":
        if (tag === streamId.status) {
          const end = parseProcessEnd(frame);
          this.#phase = "ready";
          running.settle(running.output.collected(end));
          if (!this.#again) this.end(undefined);
          return false;
        }
        if (tag === streamId.stdout || tag === streamId.stderr) this.#keepOutput(running.output, tag, frame);
        return true;
      default:
        return false;
    }
  };

  #keepOutput(output: OutputCollector, tag: number, frame: Buffer): void {
    // Copied, but for what is dropped: the socket's buffer is shared and read into again.
    output.add(tag === streamId.stdout ? "stdout" : "stderr", output.full ? frame : Buffer.from(frame));
  }
}
