/**
 * Port-forward over SPDY: for each connection the client opens two streams, `error` and `data`, that share the
 * header `requestID` and name the `port`. What cannot be reached is said on the error stream; the end of that
 * stream is what clients wait for before they close a connection.
 */
import { errorText } from "../../errors/runtime-error.ts";
import { defaultInputLimits } from "../inbox.ts";
import type { Link } from "../link.ts";
import { SpdyConnection, type SpdyStream } from "../spdy/connection.ts";
import type { Transport } from "../transport.ts";
import type { PortDialer } from "./dialer.ts";
import { forward } from "./forward.ts";

export const portForwardProtocol = "portforward.k8s.io";

/** Two streams a connection. */
const maxStreams = 512;
/** A burst of a thousand connections has most of its streams refused, and is honest. */
const maxRefusals = 4096;

interface Pair {
  error?: SpdyStream;
  data?: SpdyStream;
  readonly timer: NodeJS.Timeout;
}

export interface SpdyPortForwardOptions {
  readonly sandboxId: string;
  readonly dialer: PortDialer;
  /** How long the second stream of a pair may take. */
  readonly setupMs: number;
  readonly onActivity: () => void;
}

export class SpdyPortForward implements Link {
  readonly gone: Promise<Error | undefined>;
  readonly #o: SpdyPortForwardOptions;
  readonly #connection: SpdyConnection;
  /** Pairs that lack a stream, by request id; no more than `maxStreams`, as the stream of each is open. */
  readonly #pairs = new Map<string, Pair>();
  readonly #leaving = new AbortController();
  readonly #gone = Promise.withResolvers<Error | undefined>();

  constructor(transport: Transport, o: SpdyPortForwardOptions) {
    this.#o = o;
    this.gone = this.#gone.promise;
    this.#connection = new SpdyConnection(transport, {
      input: defaultInputLimits,
      maxStreams,
      maxRefusals,
      onStream: (stream) => this.#take(stream),
      onActivity: o.onActivity,
      onClosed: (fault) => {
        for (const { timer } of this.#pairs.values()) clearTimeout(timer);
        this.#pairs.clear();
        this.#leaving.abort(fault);
        this.#gone.resolve(fault);
      },
    });
    this.#connection.start();
  }

  get inputPaused(): boolean {
    return this.#connection.inputPaused;
  }

  ping(): void {
    this.#connection.ping();
  }

  destroy(fault?: Error): void {
    this.#connection.destroy(fault);
  }

  #take(stream: SpdyStream): boolean {
    const type = stream.headers.get("streamtype");
    const port = portOf(stream);
    if (port === undefined || (type !== "error" && type !== "data")) return false;
    // Clients from before request ids open the error stream first and the data stream next.
    const request =
      stream.headers.get("requestid") ?? `stream ${type === "error" ? stream.id : stream.id - 2}`;
    const pair = this.#pairs.get(request) ?? this.#newPair(request);
    if (pair[type] !== undefined) return false;
    pair[type] = stream;
    if (type === "error") stream.input.discard();
    const { error, data } = pair;
    if (error === undefined || data === undefined) {
      stream.onReset(() => this.#forget(request, pair));
      return true;
    }
    this.#forget(request, pair);
    void stream.accepted.then(() => this.#serve(error, data, port));
    return true;
  }

  #newPair(request: string): Pair {
    const timer = setTimeout(() => {
      this.#pairs.delete(request);
      pair.error?.reset();
      pair.data?.reset();
    }, this.#o.setupMs);
    const pair: Pair = { timer };
    this.#pairs.set(request, pair);
    return pair;
  }

  /** The pair is whole, or half of it was reset. */
  #forget(request: string, pair: Pair): void {
    clearTimeout(pair.timer);
    if (this.#pairs.get(request) === pair) this.#pairs.delete(request);
  }

  /** Never rejects. */
  async #serve(error: SpdyStream, data: SpdyStream, port: number): Promise<void> {
    const leaving = new AbortController();
    data.onReset(() => leaving.abort());
    const signal = AbortSignal.any([leaving.signal, this.#leaving.signal]);
    const { sandboxId, dialer } = this.#o;
    const end = () => {
      data.end();
      // At once, not when the client's direction has ended too: clients close theirs when they see this.
      error.end();
    };
    try {
      const connection = await dialer.connect(sandboxId, port, signal);
      // A connection that broke off later says so by the reset of its stream: a message would make kubectl end
      // the forwarding of all others too.
      const client = { input: data.input, write: (bytes: Buffer) => data.write(bytes), end };
      if (!(await forward(client, connection, signal, false))) data.reset();
    } catch (fault) {
      // What the client itself gave up is no failure to tell.
      if (!signal.aborted) await error.write(Buffer.from(forwardFault(port, sandboxId, fault)));
      data.reset();
    }
    error.end();
  }
}

/** The message on an error stream. */
export function forwardFault(port: number, sandboxId: string, fault: unknown): string {
  return `error forwarding port ${port} to pod ${sandboxId}: ${errorText(fault).slice(0, 2048)}`;
}

function portOf(stream: SpdyStream): number | undefined {
  const text = stream.headers.get("port") ?? "";
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65535 ? port : undefined;
}
