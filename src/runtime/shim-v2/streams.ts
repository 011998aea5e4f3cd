/**
 * The streams of an exec or attach whose process is a shim's: the bytes go through the monitor's FIFOs, what else
 * happens to the process (its size, the end of its input, its death) is asked of the shim.
 */
import type { OutputChunk, ProcessEnd, ProcessStreams } from "../handler.ts";
import type { ProcessRef, Task } from "./task.ts";

/** After the end of an exec, or for one that is given up: its own time, the caller's is over. */
const afterMs = 10_000;

export interface ShimStreamsOptions {
  readonly streams: ProcessStreams;
  readonly task: Task;
  readonly process: ProcessRef;
  readonly tty: boolean;
  /** An exec ends with its streams; a container that is attached to does not. */
  readonly isExec: boolean;
  /** 0: never. */
  readonly timeoutMs: number;
  /** What nobody waits for failed. */
  readonly report: (what: string, error: unknown) => void;
}

export class ShimStreams implements ProcessStreams {
  readonly pid = 0;
  readonly output: AsyncIterable<OutputChunk>;
  readonly ended: Promise<ProcessEnd>;
  readonly #options: ShimStreamsOptions;
  #resized: Promise<void> = Promise.resolve();
  #timedOut = false;
  #over = false;

  constructor(options: ShimStreamsOptions) {
    this.#options = options;
    const { streams, isExec, timeoutMs } = options;
    this.output = streams.output;
    const timer =
      isExec && timeoutMs > 0
        ? setTimeout(() => {
            this.#timedOut = true;
            this.#kill();
          }, timeoutMs)
        : undefined;
    this.ended = streams.ended
      .then((end) => ({ ...end, timedOut: this.#timedOut }))
      .finally(() => {
        clearTimeout(timer);
        if (this.#over || !isExec) return;
        this.#over = true;
        void this.#ask("delete an exec", (signal) => options.task.delete(options.process, signal));
      });
    this.ended.catch(() => {}); // whoever only reads the output hears of the loss there
  }

  async writeStdin(data: Uint8Array): Promise<void> {
    // Another way than the shim's answers: what is typed after a resize finds the new size.
    await this.#resized;
    await this.#options.streams.writeStdin(data);
  }

  endStdin(): void {
    this.#options.streams.endStdin();
    // The shim holds an end of the FIFO itself: without this the process would wait for ever. A terminal does not end.
    if (this.#options.isExec && !this.#options.tty)
      void this.#ask("close standard input", (signal) =>
        this.#options.task.closeStdin(this.#options.process, signal),
      );
  }

  resize(width: number, height: number): void {
    this.#resized = this.#resized.then(() =>
      this.#ask("resize", (signal) =>
        this.#options.task.resizePty(this.#options.process, width, height, signal),
      ),
    );
  }

  close(): void {
    if (this.#options.isExec && !this.#over) {
      this.#over = true;
      this.#kill();
    }
    this.#options.streams.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #kill(): void {
    void this.#ask("kill an exec", async (signal) => {
      const { task, process } = this.#options;
      await task.kill(process, 9, true, signal);
      if (this.#over) {
        await task.wait(process, afterMs, signal);
        await task.delete(process, signal);
      }
    });
  }

  async #ask(what: string, work: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    try {
      await work(AbortSignal.timeout(afterMs));
    } catch (error) {
      this.#options.report(what, error);
    }
  }
}
