/** The body of one answer: read with a cap, a watch over its progress and the caller's signal. */
import { addAbortListener } from "node:events";
import type { IncomingMessage } from "node:http";
import { connectionFailure, RegistryError } from "./failure.ts";
import type { RegistryTiming } from "./retry.ts";

const discardBytes = 64 << 10;

export class Body {
  readonly #response: IncomingMessage;
  readonly #origin: string;
  readonly #isHead: boolean;
  readonly #timing: RegistryTiming;

  /** `isHead`: the answer to a HEAD, which has the length of a body but none. */
  constructor(response: IncomingMessage, o: { origin: string; isHead: boolean; timing: RegistryTiming }) {
    this.#response = response;
    this.#origin = o.origin;
    this.#isHead = o.isHead;
    this.#timing = o.timing;
    // Errors are for the reader; one that comes when nobody reads must not end the process.
    response.on("error", () => undefined);
  }

  /** The Content-Length that was sent, if it was a number. */
  get declaredBytes(): number | undefined {
    const header = this.#response.headers["content-length"];
    return !this.#isHead && header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
  }

  /**
   * The bytes as they come, once. Leaving the loop early closes the connection.
   * The watch runs only while the other side is waited for: a reader busy with a slow disk is no stall.
   * @throws RegistryError `unavailable` (broken off, stalled, or slower than the least rate); the signal's reason.
   */
  async *chunks(signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    signal.throwIfAborted();
    const response = this.#response;
    using _ = addAbortListener(signal, () => response.destroy(signal.reason));
    const { noProgressMs, minProgressBytes } = this.#timing;
    const reader = response[Symbol.asyncIterator]();
    let waitedMs = 0;
    let windowBytes = 0;
    try {
      for (;;) {
        const stalled = setTimeout(
          () => response.destroy(this.#stall(noProgressMs)),
          noProgressMs - waitedMs,
        );
        const startMs = performance.now();
        let next: IteratorResult<Uint8Array>;
        try {
          next = await reader.next();
        } finally {
          clearTimeout(stalled);
        }
        signal.throwIfAborted();
        if (next.done) return;
        waitedMs = Math.min(waitedMs + performance.now() - startMs, noProgressMs);
        windowBytes += next.value.byteLength;
        if (windowBytes >= minProgressBytes) {
          waitedMs = 0;
          windowBytes = 0;
        }
        yield next.value;
      }
    } catch (error) {
      signal.throwIfAborted();
      throw broken(this.#origin, error);
    } finally {
      await reader.return?.();
    }
  }

  /**
   * The whole body.
   * @param what names it in the error, e.g. "manifest".
   * @throws RegistryError `invalid-argument` at the first byte over `capBytes`.
   */
  async bytes(capBytes: number, what: string, signal: AbortSignal): Promise<Uint8Array> {
    const tooLarge = () =>
      new RegistryError(
        "invalid-argument",
        `${what} from registry ${this.#origin} is over the limit of ${capBytes} bytes`,
      );
    if ((this.declaredBytes ?? 0) > capBytes) {
      this.#response.destroy();
      throw tooLarge();
    }
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of this.chunks(signal)) {
      length += chunk.byteLength;
      if (length > capBytes) throw tooLarge();
      parts.push(chunk);
    }
    return Buffer.concat(parts, length);
  }

  /** What there is of a short body, for an error message; never throws but for the signal. */
  async excerpt(signal: AbortSignal): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let length = 0;
    try {
      for await (const chunk of this.chunks(signal)) {
        length += chunk.byteLength;
        if (length > discardBytes) break;
        parts.push(chunk);
      }
    } catch {
      signal.throwIfAborted();
    }
    return Buffer.concat(parts);
  }

  /** Reads a short rest so that the connection can be used again, closes it on a long one. */
  async discard(signal: AbortSignal): Promise<void> {
    if ((this.declaredBytes ?? 0) > discardBytes) this.#response.destroy();
    else await this.excerpt(signal);
  }

  #stall(noProgressMs: number): RegistryError {
    return new RegistryError(
      "unavailable",
      `registry ${this.#origin} made no progress for ${noProgressMs} ms`,
      {
        retry: "later",
      },
    );
  }
}

function broken(origin: string, error: unknown): RegistryError {
  if (error instanceof RegistryError) return error;
  const failure = connectionFailure(origin, error);
  return new RegistryError("unavailable", `registry ${origin} broke off the connection`, {
    retry: "later",
    cause: failure.cause ?? error,
  });
}
