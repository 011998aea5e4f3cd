/**
 * Processes of this host behind the interface that the monitor has: real pipes, so that back-pressure is the
 * kernel's. What needs a terminal or a container is played by `scripted`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { RuntimeError } from "../../../src/errors/runtime-error.ts";
import type { OutputChunk, ProcessEnd, ProcessStreams } from "../../../src/runtime/handler.ts";

const queueBytes = 256 << 10;

/** Bytes to be iterated once, that tell their source when to stop. */
class Output {
  readonly #queue: OutputChunk[] = [];
  #bytes = 0;
  #ended = false;
  #fault: Error | undefined;
  #wake: (() => void) | undefined;
  readonly #flow: (go: boolean) => void;

  constructor(flow: (go: boolean) => void) {
    this.#flow = flow;
  }

  push(stream: "stdout" | "stderr", data: Buffer): void {
    this.#queue.push({ stream, data });
    this.#bytes += data.length;
    if (this.#bytes >= queueBytes) this.#flow(false);
    this.#wake?.();
  }

  end(fault?: Error): void {
    this.#ended = true;
    this.#fault = fault;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<OutputChunk> {
    for (;;) {
      const chunk = this.#queue.shift();
      if (chunk !== undefined) {
        this.#bytes -= chunk.data.length;
        if (this.#bytes < queueBytes) this.#flow(true);
        yield chunk;
      } else if (this.#fault !== undefined) throw this.#fault;
      else if (this.#ended) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

/** A process of the host: `open` of an exec. */
export class HostProcess implements ProcessStreams {
  readonly pid: number;
  readonly output: AsyncIterable<OutputChunk>;
  readonly ended: Promise<ProcessEnd>;
  readonly child: ChildProcess;
  /** Bytes that the process was given. */
  stdinBytes = 0;
  readonly #ended = Promise.withResolvers<ProcessEnd>();

  private constructor(child: ChildProcess) {
    this.child = child;
    this.pid = child.pid ?? 0;
    const { stdout, stderr, stdin } = child;
    const output = new Output((go) => {
      for (const pipe of [stdout, stderr]) go ? pipe?.resume() : pipe?.pause();
    });
    stdout?.on("data", (data: Buffer) => output.push("stdout", data));
    stderr?.on("data", (data: Buffer) => output.push("stderr", data));
    stdin?.on("error", () => {});
    child.once("close", (code, signal) => {
      const killed = signal === "SIGKILL" ? 9 : signal === "SIGTERM" ? 15 : 0;
      output.end();
      this.#ended.resolve({ exitCode: code ?? 128 + killed, signal: killed, timedOut: false });
    });
    this.output = output;
    this.ended = this.#ended.promise;
  }

  static async start(args: readonly string[], signal?: AbortSignal): Promise<HostProcess> {
    signal?.throwIfAborted();
    const [program = "", ...rest] = args;
    const child = spawn(program, rest, { stdio: ["pipe", "pipe", "pipe"], detached: true });
    const started = new HostProcess(child);
    try {
      await once(child, "spawn");
    } catch (cause) {
      throw new RuntimeError("failed-precondition", `program "${program}" can't be executed`, { cause });
    }
    return started;
  }

  async writeStdin(data: Uint8Array): Promise<void> {
    const { stdin } = this.child;
    if (stdin === null || stdin.destroyed || stdin.writableEnded) return;
    this.stdinBytes += data.length;
    if (stdin.write(data)) return;
    const waiting = new AbortController();
    const { signal } = waiting;
    const events = [once(stdin, "drain", { signal }), once(stdin, "close", { signal })];
    await Promise.race(events).catch(() => {});
    for (const event of events) event.catch(() => {});
    waiting.abort();
  }

  endStdin(): void {
    this.child.stdin?.end();
  }

  resize(): void {}

  close(): void {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    try {
      process.kill(-this.pid, "SIGKILL");
    } catch {
      // Ended by itself a moment ago.
    }
    this.child.stdout?.resume();
    this.child.stderr?.resume();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** CPU time that a process has used, in ticks: one that waits uses none. */
export function cpuTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** A process played by a test: it says what it was told and ends when told. */
export class Scripted implements ProcessStreams {
  readonly pid = 1;
  readonly output: AsyncIterable<OutputChunk>;
  readonly ended: Promise<ProcessEnd>;
  readonly sizes: [number, number][] = [];
  input = "";
  inputEnded = false;
  closed = false;
  readonly #output = new Output(() => {});
  readonly #ended = Promise.withResolvers<ProcessEnd>();
  /** Called for each piece of input. */
  onInput: (text: string) => void = () => {};

  constructor() {
    this.output = this.#output;
    this.ended = this.#ended.promise;
    this.ended.catch(() => {});
  }

  say(text: string, stream: "stdout" | "stderr" = "stdout"): void {
    this.#output.push(stream, Buffer.from(text));
  }

  exit(exitCode: number, signal = 0): void {
    this.#output.end();
    this.#ended.resolve({ exitCode, signal, timedOut: false });
  }

  writeStdin(data: Uint8Array): Promise<void> {
    const text = Buffer.from(data).toString();
    this.input += text;
    this.onInput(text);
    return Promise.resolve();
  }

  endStdin(): void {
    this.inputEnded = true;
  }

  resize(width: number, height: number): void {
    this.sizes.push([width, height]);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    const fault = new RuntimeError("cancelled", "closed");
    this.#output.end(fault);
    this.#ended.reject(fault);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
